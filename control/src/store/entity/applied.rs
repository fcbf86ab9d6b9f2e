//! The one row that says how far the store has folded which log. Locked in every fold's transaction.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "applied")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// The log.
    pub log: Uuid,
    /// The newest folded entry.
    pub epoch: i64,
    /// The newest accepted entry.
    pub position: i64,
    /// The chain up to it.
    pub hash: Vec<u8>,
    /// The greatest id that was given to a site.
    pub last_site: i64,
    /// How long runs that are announced no more may answer edges; none: there are none.
    pub absent_ms: Option<i64>,
    /// The newest entry that said that there are none.
    pub none_absent_since: i64,
    /// The longest lease that a run has announced; 0: none has.
    pub lease_ms: i64,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
