//! What edge processes were promised: kept before each `Welcome`, so that a replica that was killed a moment later still
//! knows how long it has to wait before it calls anybody fenced. Whoever has left has stopped using what it has stored, and
//! whoever was taken out held no lease: what they were promised is deleted.

use super::{
    Store, StoreError,
    entity::{promises, roster},
};
use latencify_conf::{change::ProcessId, link::message::WhenIsolated};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect as _, QueryTrait as _,
    sea_query::OnConflict,
};
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

    /// Forgets what processes were promised that are not in the roster, in one statement: a process is in it before it is
    /// promised anything. Says how many.
    pub async fn forget_promises_of_the_gone(&self) -> Result<u64, StoreError> {
        let members = roster::Entity::find()
            .filter(roster::Column::Left.is_null())
            .select_only()
            .column(roster::Column::Process)
            .into_query();
        let forgotten = promises::Entity::delete_many()
            .filter(promises::Column::Process.not_in_subquery(members))
            .exec(&self.writer().await?)
            .await;
        let forgotten = forgotten.map_err(StoreError::from);
        Ok(self.noted(forgotten).await?.rows_affected)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Record, first_entry};
    use latencify_conf::change::{Change, Entry, Epoch, LeaveReason, LogId, ReplicaId};
    use std::collections::BTreeMap;
    use uuid::Uuid;

    const LOG: LogId = LogId(Uuid::from_u128(1));

    fn record(epoch: u64, change: Change) -> Record {
        let entry = Entry {
            id: Uuid::from_u128(epoch.into()),
            key: None,
            request: None,
            by: "test".into(),
            at: time::OffsetDateTime::UNIX_EPOCH,
            change,
        };
        Record {
            epoch: Epoch(epoch),
            bytes: entry.encode().unwrap().into(),
        }
    }

    /// An older copy of a store lacks what a later run has promised; what that run has announced is in the log.
    #[tokio::test]
    async fn the_longest_lease_that_was_ever_announced_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let mut state = store.bind(LOG).await.unwrap();
        let begin = Record {
            epoch: Epoch(1),
            bytes: first_entry(LOG, None).unwrap(),
        };
        store.fold(&mut state, &[begin]).await.unwrap();
        let announced = |run, lease_ms| Change::ReplicaJoined {
            replica: ReplicaId(Uuid::from_u128(run)),
            name: "control".into(),
            store: store.identity(),
            version: "1".into(),
            replaces: None,
            unread_max_ms: None,
            lease_ms,
        };
        // The last one is of an older version.
        for (epoch, lease, longest) in [
            (2, Some(10_000), 10),
            (3, Some(60_000), 60),
            (4, Some(5_000), 60),
            (5, None, 60),
        ] {
            let entry = record(epoch, announced(epoch.into(), lease));
            store.fold(&mut state, &[entry]).await.unwrap();
            assert_eq!(state.longest_lease, Duration::from_secs(longest), "{epoch}");
            assert_eq!(store.bind(LOG).await.unwrap(), state, "{epoch}");
        }
    }

    #[tokio::test]
    async fn what_those_were_promised_who_are_gone_counts_no_more_and_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let mut state = store.bind(LOG).await.unwrap();
        let processes = [7, 8, 9].map(|number| ProcessId(Uuid::from_u128(number)));
        let mut records = vec![Record {
            epoch: Epoch(1),
            bytes: first_entry(LOG, None).unwrap(),
        }];
        let joined = |process| Change::EdgeJoined {
            process,
            edge: "paris".into(),
            about: BTreeMap::new(),
            replica: None,
        };
        records.extend(
            (2..)
                .zip(processes)
                .map(|(epoch, process)| record(epoch, joined(process))),
        );
        store.fold(&mut state, &records).await.unwrap();
        let hours = |hours| Promise {
            when_isolated: Some(WhenIsolated::Refuse),
            lease: Duration::from_hours(hours),
        };
        for (process, lease) in processes.into_iter().zip([1, 2, 3]) {
            store.promise(process, hours(lease)).await.unwrap();
        }
        let left = |process, why| Change::EdgeLeft {
            process,
            why,
            replica: None,
        };
        let gone = [
            record(5, left(processes[1], LeaveReason::Removed)),
            record(6, left(processes[2], LeaveReason::Stopped)),
            record(7, joined(processes[1])),
        ];
        let longest = async |state: &crate::fold::State| {
            store
                .longest_lease(state.roster.keys().copied())
                .await
                .unwrap()
        };
        assert_eq!(longest(&state).await, Duration::from_hours(3));
        store.fold(&mut state, &gone[..2]).await.unwrap();
        assert_eq!(
            longest(&state).await,
            Duration::from_hours(1),
            "of those who are there"
        );
        // Who is back before anybody looks is owed what it was promised.
        store.fold(&mut state, &gone[2..]).await.unwrap();
        assert_eq!(store.forget_promises_of_the_gone().await.unwrap(), 1);
        let left = store.promises(processes).await.unwrap();
        let left: BTreeMap<_, _> = left.into_iter().collect();
        let expected = [(processes[0], hours(1)), (processes[1], hours(2))];
        assert_eq!(left, BTreeMap::from(expected));
    }
}
