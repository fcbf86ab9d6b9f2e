//! Policy revisions.

use super::{Store, StoreError, entity::policies, state};
use crate::fold::Head;
use latencify_conf::change::{Epoch, Revision};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

impl Store {
    /// Revisions before a number (none: from the newest), newest first, at most `limit`.
    pub async fn policies(
        &self,
        before: Option<Revision>,
        limit: u64,
    ) -> Result<Vec<policies::Model>, StoreError> {
        let mut query = policies::Entity::find()
            .order_by_desc(policies::Column::Revision)
            .limit(limit);
        if let Some(before) = before {
            query = query.filter(policies::Column::Revision.lt(before.0 as i64));
        }
        Ok(query.all(&self.read).await?)
    }

    /// One revision.
    pub async fn policy(&self, revision: Revision) -> Result<Option<policies::Model>, StoreError> {
        Ok(policies::Entity::find_by_id(revision.0 as i64)
            .one(&self.read)
            .await?)
    }

    /// The revision that an entry made.
    pub async fn policy_at(&self, epoch: Epoch) -> Result<Option<policies::Model>, StoreError> {
        let query = policies::Entity::find().filter(policies::Column::Epoch.eq(epoch.0 as i64));
        Ok(query.one(&self.read).await?)
    }
}

impl policies::Model {
    /// The revision as the fold knows it.
    pub fn head(&self) -> Result<Head, StoreError> {
        let sites = serde_json::from_str(&self.sites)
            .map_err(|error| StoreError::damaged("a policy's sites", error))?;
        Ok(Head {
            revision: Revision(self.revision as u64),
            digest: state::digest(&self.digest)?,
            sites,
        })
    }
}
