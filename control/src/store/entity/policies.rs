//! Policy revisions.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "policies")]
pub struct Model {
    /// Its number.
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    /// Its entry.
    pub epoch: i64,
    /// Its bundle's digest.
    pub digest: String,
    /// Who.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// Why.
    pub message: String,
    /// Its sites and their ids, as a JSON object.
    pub sites: String,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
