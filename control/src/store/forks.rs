//! That a log has lost what an edge obeyed: kept for as long as the store follows that log, because nothing in the log tells
//! of it, and the edge that did starts over.

use super::{Store, StoreError, entity::forks};
use latencify_conf::change::{Epoch, LogId};
use sea_orm::{ActiveValue::Set, EntityTrait, sea_query::OnConflict};

/// The first edge that was found to have obeyed what is not in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The operator's name for it.
    pub edge: String,
    /// What it had obeyed.
    pub epoch: Epoch,
}

impl Store {
    /// What was found of a log; none: nothing.
    pub async fn fork(&self, log: LogId) -> Result<Option<Fork>, StoreError> {
        let row = forks::Entity::find_by_id(log.0).one(&self.read).await?;
        Ok(row.map(|row| Fork {
            edge: row.edge,
            epoch: Epoch(row.epoch as u64),
        }))
    }

    /// Keeps what was found, unless something was before.
    pub async fn keep_fork(&self, log: LogId, fork: &Fork) -> Result<(), StoreError> {
        let row = forks::ActiveModel {
            log: Set(log.0),
            edge: Set(fork.edge.clone()),
            epoch: Set(fork.epoch.0 as i64),
        };
        let keep = OnConflict::column(forks::Column::Log)
            .do_nothing()
            .to_owned();
        let kept = forks::Entity::insert(row)
            .on_conflict(keep)
            .exec_without_returning(&self.writer().await?)
            .await;
        self.noted(kept.map(|_| ()).map_err(StoreError::from)).await
    }
}
