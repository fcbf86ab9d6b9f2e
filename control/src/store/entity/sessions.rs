//! Logins: each is a family of refresh tokens.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    /// The family.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose.
    pub account: String,
    /// In milliseconds since 1970.
    pub created_ms: i64,
    /// The same; nothing prolongs it.
    pub expires_ms: i64,
    /// Since when it is over.
    pub ended_ms: Option<i64>,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
