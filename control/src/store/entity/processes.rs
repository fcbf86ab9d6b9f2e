//! What edge processes last said: beside the log, so only as new as the last flush.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "processes")]
pub struct Model {
    /// Which.
    #[sea_orm(primary_key, auto_increment = false)]
    pub process: Uuid,
    /// The newest epoch that all its workers obey.
    pub acked: i64,
    /// Its version.
    pub version: String,
    /// Digest of what it runs.
    pub running: Option<String>,
    /// Revision of what it runs.
    pub revision: Option<i64>,
    /// Digest of what it can't build.
    pub failed: Option<String>,
    /// Revision of what it can't build.
    pub failed_revision: Option<i64>,
    /// Why it can't.
    pub reason: String,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
