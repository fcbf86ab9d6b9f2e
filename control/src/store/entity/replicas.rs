//! Stays of replicas: each run of a control program that has announced itself.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "replicas")]
pub struct Model {
    /// The entry by which it announced itself.
    #[sea_orm(primary_key, auto_increment = false)]
    pub joined: i64,
    /// Which run.
    pub replica: Uuid,
    /// Its name, for people.
    pub name: String,
    /// What kind of store it folds into.
    pub kind: String,
    /// Which store.
    pub store: Uuid,
    /// Its version.
    pub version: String,
    /// For so long after it has read the log to its end it may answer edges.
    pub unread_max_ms: Option<i64>,
    /// The entry by which it left.
    pub left: Option<i64>,
    /// Why it left.
    pub why: Option<String>,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
