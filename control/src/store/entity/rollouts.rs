//! Rollouts: those that are over, and the one that is under way.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rollouts")]
pub struct Model {
    /// The revision that is rolled out.
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    /// The revision before it; none: there was none.
    pub stable: Option<i64>,
    /// How, as JSON.
    pub plan: String,
    /// The stage, from 0.
    pub stage: i64,
    /// How many steps it has taken.
    pub step: i64,
    /// Whether it is paused: 0 or 1.
    pub paused: i64,
    /// Who took the last step.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// Why it is over, as JSON; none: it is under way.
    pub ended: Option<String>,
    /// Whether the fleet went back to the revision before it: 0 or 1.
    pub returned: i64,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
