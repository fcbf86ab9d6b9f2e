//! Stays of edge processes in the fleet: a process that leaves and comes back has two.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "roster")]
pub struct Model {
    /// The entry by which it joined.
    #[sea_orm(primary_key, auto_increment = false)]
    pub joined: i64,
    /// Which.
    pub process: Uuid,
    /// The edge's name.
    pub edge: String,
    /// What it said of itself, as a JSON object.
    pub about: String,
    /// The entry by which it left.
    pub left: Option<i64>,
    /// Why it left.
    pub why: Option<String>,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
