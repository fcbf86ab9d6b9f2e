//! Folded entries, read back: for edges that catch up, and for `/v1/log`.

use super::{Store, StoreError, entity::entries, state};
use bytes::Bytes;
use latencify_conf::{
    change::{Entry, Epoch, LogId, Position},
    link::{chain, replica::Accepted},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::sync::Arc;

impl Store {
    /// Accepted entries after an epoch, in order, at most `limit`.
    pub async fn accepted_after(
        &self,
        log: LogId,
        after: Epoch,
        limit: u64,
    ) -> Result<Vec<Arc<Accepted>>, StoreError> {
        let rows = entries::Entity::find()
            .filter(entries::Column::Epoch.gt(after.0 as i64))
            .filter(entries::Column::Hash.is_not_null())
            .order_by_asc(entries::Column::Epoch)
            .limit(limit)
            .all(&self.read)
            .await?;
        rows.into_iter()
            .map(|row| accepted(log, row).map(Arc::new))
            .collect()
    }

    /// The entry at an epoch, whatever became of it.
    pub async fn entry(&self, epoch: Epoch) -> Result<Option<Entry>, StoreError> {
        let row = entries::Entity::find_by_id(epoch.0 as i64)
            .one(&self.read)
            .await?;
        let entry = row.map(|row| Entry::decode(&row.bytes));
        let entry = entry.transpose();
        entry.map_err(|error| StoreError::damaged("an entry", error))
    }

    /// The position that the log has at an epoch; none where no accepted entry stands.
    pub async fn position_at(
        &self,
        log: LogId,
        epoch: Epoch,
    ) -> Result<Option<Position>, StoreError> {
        if epoch == Epoch(0) {
            return Ok(Some(chain::genesis(log)));
        }
        let row = entries::Entity::find_by_id(epoch.0 as i64)
            .one(&self.read)
            .await?;
        let Some(hash) = row.and_then(|row| row.hash) else {
            return Ok(None);
        };
        Ok(Some(Position {
            log,
            epoch,
            hash: state::hash(&hash)?,
        }))
    }

    /// Folded entries after an epoch, whatever became of them, in order, at most `limit`.
    pub async fn entries_after(
        &self,
        after: Epoch,
        limit: u64,
    ) -> Result<Vec<entries::Model>, StoreError> {
        let rows = entries::Entity::find()
            .filter(entries::Column::Epoch.gt(after.0 as i64))
            .order_by_asc(entries::Column::Epoch)
            .limit(limit)
            .all(&self.read)
            .await?;
        Ok(rows)
    }
}

fn accepted(log: LogId, row: entries::Model) -> Result<Accepted, StoreError> {
    let (Some(previous), Some(previous_hash), Some(hash)) =
        (row.previous, &row.previous_hash, &row.hash)
    else {
        return Err(StoreError::damaged(
            "an entry",
            format!("epoch {} is accepted without its chain", row.epoch),
        ));
    };
    Ok(Accepted {
        previous: Position {
            log,
            epoch: Epoch(previous as u64),
            hash: state::hash(previous_hash)?,
        },
        position: Position {
            log,
            epoch: Epoch(row.epoch as u64),
            hash: state::hash(hash)?,
        },
        entry: Bytes::from(row.bytes),
    })
}
