//! The fleet's own CAs.

use crate::store::{Store, StoreError, entity::authorities};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

impl Store {
    /// Every CA that is trusted, the newest first.
    pub async fn authorities(&self) -> Result<Vec<authorities::Model>, StoreError> {
        let trusted = authorities::Entity::find()
            .filter(authorities::Column::RetiredMs.is_null())
            .order_by_desc(authorities::Column::Number);
        Ok(trusted.all(&self.read).await?)
    }

    /// Keeps a new CA.
    pub async fn keep_authority(
        &self,
        number: i64,
        certificate: &[u8],
        sealed_key: &[u8],
    ) -> Result<(), StoreError> {
        let row = authorities::ActiveModel {
            number: Set(number),
            certificate: Set(certificate.to_vec()),
            sealed_key: Set(sealed_key.to_vec()),
            retired_ms: Set(None),
        };
        let kept = authorities::Entity::insert(row)
            .exec_without_returning(&self.writer().await?)
            .await;
        self.noted(kept.map(|_| ()).map_err(StoreError::from)).await
    }

    /// Keeps the key of a CA sealed anew.
    pub async fn reseal_authority(&self, number: i64, sealed_key: &[u8]) -> Result<(), StoreError> {
        let row = authorities::ActiveModel {
            number: Set(number),
            sealed_key: Set(sealed_key.to_vec()),
            ..Default::default()
        };
        let kept = authorities::Entity::update(row)
            .exec(&self.writer().await?)
            .await;
        self.noted(kept.map(|_| ()).map_err(StoreError::from)).await
    }
}
