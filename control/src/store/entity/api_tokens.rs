//! API tokens, hashed.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_tokens")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// SHA-256 of the token, in hex.
    pub hash: String,
    /// For people.
    pub name: String,
    /// Who made it; none: the token that control was started with.
    pub account: Option<String>,
    /// Names of roles, as JSON.
    pub roles: String,
    /// Limited to these, as JSON; none: to nothing.
    pub sites: Option<String>,
    /// In milliseconds since 1970.
    pub created_ms: i64,
    /// The same.
    pub expires_ms: i64,
    /// Since when it counts no more.
    pub revoked_ms: Option<i64>,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
