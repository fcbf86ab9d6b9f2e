//! What edge processes were promised before they were welcomed: written first, so that a later run knows it.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "promises")]
pub struct Model {
    /// Which.
    #[sea_orm(primary_key, auto_increment = false)]
    pub process: Uuid,
    /// What it does with stored objects while it is isolated.
    pub when_isolated: String,
    /// The longest lease that it was promised.
    pub lease_ms: i64,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
