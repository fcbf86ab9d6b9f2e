//! Accounts and custom roles.

use super::{
    Store, StoreError,
    entity::{roles, users},
};
use sea_orm::{EntityTrait, IntoActiveModel, QueryOrder, sea_query::OnConflict};
use std::collections::BTreeSet;

impl Store {
    /// One account.
    pub async fn user(&self, name: &str) -> Result<Option<users::Model>, StoreError> {
        Ok(users::Entity::find_by_id(name.to_owned())
            .one(&self.read)
            .await?)
    }

    /// All accounts, by name.
    pub async fn users(&self) -> Result<Vec<users::Model>, StoreError> {
        Ok(users::Entity::find()
            .order_by_asc(users::Column::Name)
            .all(&self.read)
            .await?)
    }

    /// Keeps an account as it is now.
    pub async fn put_user(&self, row: users::Model) -> Result<(), StoreError> {
        let replace = OnConflict::column(users::Column::Name)
            .update_columns([
                users::Column::Password,
                users::Column::Roles,
                users::Column::Sites,
                users::Column::Disabled,
            ])
            .to_owned();
        let kept = users::Entity::insert(row.into_active_model())
            .on_conflict(replace)
            .exec_without_returning(&self.writer().await?)
            .await;
        self.noted(kept.map(|_| ()).map_err(StoreError::from)).await
    }

    /// Removes an account.
    pub async fn remove_user(&self, name: &str) -> Result<(), StoreError> {
        let removed = users::Entity::delete_by_id(name.to_owned())
            .exec(&self.writer().await?)
            .await;
        self.noted(removed.map(|_| ()).map_err(StoreError::from))
            .await
    }

    /// One custom role.
    pub async fn role(&self, name: &str) -> Result<Option<roles::Model>, StoreError> {
        Ok(roles::Entity::find_by_id(name.to_owned())
            .one(&self.read)
            .await?)
    }

    /// All custom roles, by name.
    pub async fn roles(&self) -> Result<Vec<roles::Model>, StoreError> {
        Ok(roles::Entity::find()
            .order_by_asc(roles::Column::Name)
            .all(&self.read)
            .await?)
    }

    /// Keeps a custom role as it is now.
    pub async fn put_role(&self, row: roles::Model) -> Result<(), StoreError> {
        let replace = OnConflict::column(roles::Column::Name)
            .update_columns([roles::Column::Permissions, roles::Column::Description])
            .to_owned();
        let kept = roles::Entity::insert(row.into_active_model())
            .on_conflict(replace)
            .exec_without_returning(&self.writer().await?)
            .await;
        self.noted(kept.map(|_| ()).map_err(StoreError::from)).await
    }

    /// Removes a custom role.
    pub async fn remove_role(&self, name: &str) -> Result<(), StoreError> {
        let removed = roles::Entity::delete_by_id(name.to_owned())
            .exec(&self.writer().await?)
            .await;
        self.noted(removed.map(|_| ()).map_err(StoreError::from))
            .await
    }
}

/// A list of names as it is stored.
pub fn names(json: &str) -> Result<BTreeSet<String>, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::damaged("a list of names", error))
}

/// Sites as they are stored; none: not limited.
pub fn sites(json: Option<&str>) -> Result<Option<BTreeSet<String>>, StoreError> {
    json.map(names).transpose()
}

/// How a list of names is stored.
pub fn written(names: &BTreeSet<String>) -> String {
    serde_json::to_string(names).unwrap_or_else(|_| "[]".to_owned())
}
