//! Certificates that count no more, folded from the log.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "revoked_certificates")]
pub struct Model {
    /// Its serial number, in hexadecimal digits.
    #[sea_orm(primary_key, auto_increment = false)]
    pub serial: String,
    /// Whose it was.
    pub edge: String,
    /// When it would have expired, in milliseconds since 1970.
    pub until_ms: i64,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
