//! What edge processes were promised: kept before each `Welcome`, so that a replica that was killed a moment later still
//! knows how long it has to wait before it calls anybody fenced.

use super::{Store, StoreError, entity::promises};
use latencify_conf::{change::ProcessId, link::message::WhenIsolated};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::OnConflict};
use std::time::Duration;

/// What a process said it does when isolated, and the longest lease that it was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// None: something that this version does not know.
    pub when_isolated: Option<WhenIsolated>,
    /// The longest.
    pub lease: Duration,
}

impl Store {
    /// What these processes were promised.
    pub async fn promises(
        &self,
        of: impl IntoIterator<Item = ProcessId>,
    ) -> Result<Vec<(ProcessId, Promise)>, StoreError> {
        let query = promises::Entity::find()
            .filter(promises::Column::Process.is_in(of.into_iter().map(|id| id.0)));
        let rows = query.all(&self.read).await?;
        Ok(rows.into_iter().map(read).collect())
    }

    /// The longest lease that any of these processes was promised; zero: none was.
    pub async fn longest_lease(
        &self,
        of: impl IntoIterator<Item = ProcessId>,
    ) -> Result<Duration, StoreError> {
        let promises = self.promises(of).await?.into_iter();
        let leases = promises.map(|(_, promise)| promise.lease);
        Ok(leases.max().unwrap_or_default())
    }

    /// Keeps what a process is about to be promised.
    pub async fn promise(&self, process: ProcessId, promise: Promise) -> Result<(), StoreError> {
        let row = promises::ActiveModel {
            process: Set(process.0),
            when_isolated: Set(word(promise.when_isolated).to_owned()),
            lease_ms: Set(promise.lease.as_millis() as i64),
        };
        let replace = OnConflict::column(promises::Column::Process)
            .update_columns([promises::Column::WhenIsolated, promises::Column::LeaseMs])
            .to_owned();
        let kept = promises::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&self.writer().await?)
            .await;
        self.noted(kept.map(|_| ()).map_err(StoreError::from)).await
    }
}

fn word(when_isolated: Option<WhenIsolated>) -> &'static str {
    match when_isolated {
        Some(WhenIsolated::Revalidate) => "revalidate",
        Some(WhenIsolated::Serve) => "serve",
        Some(WhenIsolated::Refuse) => "refuse",
        None => "unknown",
    }
}

fn read(row: promises::Model) -> (ProcessId, Promise) {
    let known = [
        WhenIsolated::Revalidate,
        WhenIsolated::Serve,
        WhenIsolated::Refuse,
    ];
    let when_isolated = known
        .into_iter()
        .find(|known| word(Some(*known)) == row.when_isolated);
    let promise = Promise {
        when_isolated,
        lease: Duration::from_millis(row.lease_ms.unsigned_abs()),
    };
    (ProcessId(row.process), promise)
}
