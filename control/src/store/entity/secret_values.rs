//! Values of secrets, sealed: those that are in force, and those whose entry is on its way to the log.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "secret_values")]
pub struct Model {
    /// Name and version, `origin-key/3`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The secret's name.
    pub name: String,
    /// The number of the value.
    pub version: i64,
    /// The value, sealed for the context `secret/` and the id.
    pub sealed: Vec<u8>,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
