//! The key that policies are signed with.

use super::{Store, StoreError, entity::policy_keys};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel as _, QueryFilter, sea_query::Expr};

impl Store {
    /// The key, if there is one yet.
    pub async fn policy_key(&self) -> Result<Option<policy_keys::Model>, StoreError> {
        Ok(policy_keys::Entity::find().one(&self.read).await?)
    }

    /// Puts a key that is sealed anew in the place of the former one.
    pub async fn reseal_policy_key(&self, kid: &str, sealed: Vec<u8>) -> Result<(), StoreError> {
        let replaced = policy_keys::Entity::update_many()
            .col_expr(policy_keys::Column::Sealed, Expr::value(sealed))
            .filter(policy_keys::Column::Kid.eq(kid))
            .exec(&self.writer().await?)
            .await;
        self.noted(replaced.map(|_| ()).map_err(StoreError::from))
            .await
    }

    /// Keeps a new key.
    pub async fn add_policy_key(&self, row: policy_keys::Model) -> Result<(), StoreError> {
        let kept = policy_keys::Entity::insert(row.into_active_model())
            .exec_without_returning(&self.writer().await?)
            .await;
        self.noted(kept.map(|_| ()).map_err(StoreError::from)).await
    }
}
