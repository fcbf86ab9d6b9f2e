//! API tokens, hashed, and the keys that access tokens are signed with, sealed.

use super::{
    Store, StoreError,
    entity::{api_tokens, signing_keys},
};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

impl Store {
    /// The API token of a hash.
    pub async fn api_token(&self, hash: &str) -> Result<Option<api_tokens::Model>, StoreError> {
        Ok(api_tokens::Entity::find()
            .filter(api_tokens::Column::Hash.eq(hash))
            .one(&self.read)
            .await?)
    }

    /// An API token by its id.
    pub async fn api_token_by_id(&self, id: Uuid) -> Result<Option<api_tokens::Model>, StoreError> {
        Ok(api_tokens::Entity::find_by_id(id).one(&self.read).await?)
    }

    /// API tokens, the newest first; those of one account, or all.
    pub async fn api_tokens(
        &self,
        account: Option<&str>,
        limit: u64,
    ) -> Result<Vec<api_tokens::Model>, StoreError> {
        let mut query = api_tokens::Entity::find()
            .order_by_desc(api_tokens::Column::CreatedMs)
            .limit(limit);
        if let Some(account) = account {
            query = query.filter(api_tokens::Column::Account.eq(account));
        }
        Ok(query.all(&self.read).await?)
    }

    /// How many API tokens are kept that have not expired.
    pub async fn count_api_tokens(&self, now_ms: i64) -> Result<u64, StoreError> {
        Ok(api_tokens::Entity::find()
            .filter(api_tokens::Column::ExpiresMs.gt(now_ms))
            .count(&self.read)
            .await?)
    }

    /// Keeps a new API token.
    pub async fn add_api_token(&self, row: api_tokens::Model) -> Result<(), StoreError> {
        let kept = api_tokens::Entity::insert(row.into_active_model())
            .exec_without_returning(&self.writer().await?)
            .await;
        self.noted(kept.map(|_| ()).map_err(StoreError::from)).await
    }

    /// Takes an API token back.
    pub async fn revoke_api_token(&self, id: Uuid, now_ms: i64) -> Result<(), StoreError> {
        let revoked = api_tokens::Entity::update_many()
            .col_expr(api_tokens::Column::RevokedMs, Expr::value(now_ms))
            .filter(api_tokens::Column::Id.eq(id))
            .filter(api_tokens::Column::RevokedMs.is_null())
            .exec(&self.writer().await?)
            .await;
        self.noted(revoked.map(|_| ()).map_err(StoreError::from))
            .await
    }

    /// Takes every API token of an account back.
    pub async fn revoke_api_tokens_of(&self, account: &str, now_ms: i64) -> Result<(), StoreError> {
        let revoked = api_tokens::Entity::update_many()
            .col_expr(api_tokens::Column::RevokedMs, Expr::value(now_ms))
            .filter(api_tokens::Column::Account.eq(account))
            .filter(api_tokens::Column::RevokedMs.is_null())
            .exec(&self.writer().await?)
            .await;
        self.noted(revoked.map(|_| ()).map_err(StoreError::from))
            .await
    }

    /// The signing keys, the newest first.
    pub async fn signing_keys(&self) -> Result<Vec<signing_keys::Model>, StoreError> {
        Ok(signing_keys::Entity::find()
            .order_by_desc(signing_keys::Column::CreatedMs)
            .all(&self.read)
            .await?)
    }

    /// Keeps a new signing key.
    pub async fn add_signing_key(&self, row: signing_keys::Model) -> Result<(), StoreError> {
        let kept = signing_keys::Entity::insert(row.into_active_model())
            .exec_without_returning(&self.writer().await?)
            .await;
        self.noted(kept.map(|_| ()).map_err(StoreError::from)).await
    }

    /// Destroys a signing key.
    pub async fn remove_signing_key(&self, kid: &str) -> Result<(), StoreError> {
        let removed = signing_keys::Entity::delete_by_id(kid.to_owned())
            .exec(&self.writer().await?)
            .await;
        self.noted(removed.map(|_| ()).map_err(StoreError::from))
            .await
    }

    /// Keeps a signing key sealed anew.
    pub async fn reseal_signing_key(&self, kid: &str, sealed: Vec<u8>) -> Result<(), StoreError> {
        let kept = signing_keys::Entity::update_many()
            .col_expr(signing_keys::Column::Sealed, Expr::value(sealed))
            .filter(signing_keys::Column::Kid.eq(kid))
            .exec(&self.writer().await?)
            .await;
        self.noted(kept.map(|_| ()).map_err(StoreError::from)).await
    }
}
