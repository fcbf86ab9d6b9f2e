//! What entries name by digest: policy bundles.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "blobs")]
pub struct Model {
    /// `sha256:…`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: String,
    /// The blob.
    pub bytes: Vec<u8>,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
