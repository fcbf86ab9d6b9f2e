//! Token hashes.

use super::{Store, StoreError, entity::tokens};
use sea_orm::{ActiveValue::Set, EntityTrait, sea_query::OnConflict};

impl Store {
    /// The hash of the token for a purpose.
    pub async fn token_hash(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(tokens::Entity::find_by_id(name.to_owned())
            .one(&self.read)
            .await?
            .map(|row| row.hash))
    }

    /// Sets the hash of the token for a purpose.
    pub async fn set_token_hash(&self, name: &str, hash: &[u8]) -> Result<(), StoreError> {
        let row = tokens::ActiveModel {
            name: Set(name.to_owned()),
            hash: Set(hash.to_vec()),
        };
        let replace = OnConflict::column(tokens::Column::Name)
            .update_column(tokens::Column::Hash)
            .to_owned();
        let kept = tokens::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&self.writer().await?)
            .await;
        self.noted(kept.map(|_| ()).map_err(StoreError::from)).await
    }
}
