//! Tokens that are believed no more.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "revocations")]
pub struct Model {
    /// Whose, as JSON.
    #[sea_orm(primary_key, auto_increment = false)]
    pub what: String,
    /// Those that were issued up to this instant, in milliseconds since 1970.
    pub before_ms: i64,
    /// By then all of them have expired, in milliseconds since 1970.
    pub until_ms: i64,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
