//! The fleet's own CAs: the newest signs, all that are not retired are trusted.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "authorities")]
pub struct Model {
    /// A later one has a larger number.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// Its private key (PKCS #8, DER), sealed.
    pub sealed_key: Vec<u8>,
    /// Since when it is trusted no more, in milliseconds since 1970; none: it is.
    pub retired_ms: Option<i64>,
}

/// No relations: look-ups go by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
