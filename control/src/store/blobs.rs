//! Blobs by digest: policy bundles, kept before the entry that names them is appended.

use super::{Store, StoreError, entity::blobs};
use latencify_conf::digest::Digest;
use sea_orm::{ActiveValue::Set, EntityTrait, PaginatorTrait, sea_query::OnConflict};

impl Store {
    /// Keeps a blob. One that is there already is left alone: a digest names one content.
    pub async fn put_blob(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), StoreError> {
        let row = blobs::ActiveModel {
            digest: Set(digest.to_string()),
            bytes: Set(bytes),
        };
        let keep = OnConflict::column(blobs::Column::Digest)
            .do_nothing()
            .to_owned();
        let kept = blobs::Entity::insert(row)
            .on_conflict(keep)
            .exec_without_returning(&self.writer().await?)
            .await;
        self.noted(kept.map(|_| ()).map_err(StoreError::from)).await
    }

    /// Whether this store has a blob.
    pub async fn has_blob(&self, digest: Digest) -> Result<bool, StoreError> {
        let query = blobs::Entity::find_by_id(digest.to_string());
        Ok(query.count(&self.read).await? > 0)
    }

    /// A blob; none when this store does not have it.
    pub async fn blob(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(blobs::Entity::find_by_id(digest.to_string())
            .one(&self.read)
            .await?
            .map(|row| row.bytes))
    }
}
