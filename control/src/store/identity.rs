//! Which store this is.

use super::{Store, StoreError, entity::identity, state::ONLY};
use latencify_conf::change::{StoreId, StoreKind, StoreRef};
use sea_orm::{ActiveValue::Set, DatabaseConnection, EntityTrait};
use uuid::Uuid;

impl Store {
    /// Which store this is, wherever its files move.
    pub fn identity(&self) -> StoreRef {
        StoreRef {
            kind: StoreKind::Sqlite,
            id: self.id,
        }
    }
}

/// Reads the identity of a database, and gives it one if it has none.
pub(super) async fn establish(database: &DatabaseConnection) -> Result<StoreId, StoreError> {
    if let Some(row) = identity::Entity::find_by_id(ONLY).one(database).await? {
        return Ok(StoreId(row.store));
    }
    let id = Uuid::new_v4();
    let row = identity::ActiveModel {
        id: Set(ONLY),
        store: Set(id),
    };
    identity::Entity::insert(row)
        .exec_without_returning(database)
        .await?;
    Ok(StoreId(id))
}
