//! Folded entries, with what the fold made of them.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "entries")]
pub struct Model {
    /// Its position.
    #[sea_orm(primary_key, auto_increment = false)]
    pub epoch: i64,
    /// Its writer's name for it.
    pub id: Uuid,
    /// `accepted`, `repeat` or `conflict`.
    pub outcome: String,
    /// The accepted entry before it; none unless it was accepted.
    pub previous: Option<i64>,
    /// The chain before it.
    pub previous_hash: Option<Vec<u8>>,
    /// The chain with it.
    pub hash: Option<Vec<u8>>,
    /// As written.
    pub bytes: Vec<u8>,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
