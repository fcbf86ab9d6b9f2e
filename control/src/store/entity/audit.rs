//! Who did what: never changed, never deleted.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit")]
pub struct Model {
    /// 1, 2, 3 …
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// In milliseconds since 1970.
    pub at_ms: i64,
    /// Who.
    pub caller: String,
    /// What.
    pub action: String,
    /// How it ended.
    pub outcome: String,
    /// Everything, as JSON: what the hash is over.
    pub record: String,
    /// The chain up to and including this record.
    pub hash: Vec<u8>,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
