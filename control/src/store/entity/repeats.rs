//! Idempotency keys and events of the last entries.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "repeats")]
pub struct Model {
    /// As the fold names it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The entry that had it first.
    pub epoch: i64,
    /// That entry's id.
    pub id: Uuid,
    /// Digest of the request behind it.
    pub request: Option<String>,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
