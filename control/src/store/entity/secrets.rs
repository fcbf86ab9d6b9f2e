//! Secrets that there are, as the fold has them: names and numbers, no values.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "secrets")]
pub struct Model {
    /// Its name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The number of its value.
    pub version: i64,
    /// The entry that set it.
    pub epoch: i64,
    /// Who asked for it.
    pub by: String,
    /// When, in RFC 3339.
    pub at: String,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
