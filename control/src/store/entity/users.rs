//! Accounts.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// Who.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// argon2id, as a PHC string; none: no password lets in.
    pub password: Option<String>,
    /// Names of roles, as JSON.
    pub roles: String,
    /// Limited to these, as JSON; none: to nothing.
    pub sites: Option<String>,
    /// 1: it is shut.
    pub disabled: i64,
    /// In milliseconds since 1970.
    pub created_ms: i64,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
