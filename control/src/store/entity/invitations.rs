//! Join tokens that let one edge in, once.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invitations")]
pub struct Model {
    /// SHA-256 of the token, in hexadecimal digits.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: String,
    /// Whom it lets in.
    pub edge: String,
    /// Who made it.
    pub by: String,
    /// When it expires, in milliseconds since 1970.
    pub expires_ms: i64,
    /// SHA-256 of the public key that it was used for; none: it was not used yet.
    pub used_for: Option<Vec<u8>>,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
