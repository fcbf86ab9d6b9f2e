//! Logs of which an edge has obeyed what is not in them.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "forks")]
pub struct Model {
    /// Which log.
    #[sea_orm(primary_key, auto_increment = false)]
    pub log: Uuid,
    /// The first edge that came with it.
    pub edge: String,
    /// What that had obeyed.
    pub epoch: i64,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
