//! The fold's state, read back from the tables.

use super::{
    Store, StoreError,
    certificates::revoked,
    entity::{applied, replicas, roster},
    rollouts, secrets, trust,
};
use crate::fold::{Absent, Announced, Member, State};
use latencify_conf::{
    change::{Epoch, LogId, Position, ProcessId, ReplicaId, SiteId, StoreId, StoreKind, StoreRef},
    digest::Digest,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter,
    TransactionTrait,
};
use std::{sync::Arc, time::Duration};

/// The key of the only row of `applied`.
pub const ONLY: i32 = 1;

impl Store {
    /// Binds the store to a log, which must be the one it was folded from, and reads the state.
    pub async fn bind(&self, log: LogId) -> Result<State, StoreError> {
        let _turn = self.turn.lock().await;
        let state = bind(&self.writer().await?, log).await;
        let state = self.noted(state).await?;
        if state.position.log != log {
            return Err(StoreError::OtherLog {
                store: state.position.log,
                log,
            });
        }
        Ok(state)
    }

    /// The log that this store was folded from; none before it is bound to one.
    pub async fn bound(&self) -> Result<Option<LogId>, StoreError> {
        let row = applied::Entity::find_by_id(ONLY).one(&self.read).await?;
        Ok(row.map(|row| LogId(row.log)))
    }
}

async fn bind(database: &DatabaseConnection, log: LogId) -> Result<State, StoreError> {
    let transaction = database.begin().await?;
    if applied::Entity::find_by_id(ONLY)
        .one(&transaction)
        .await?
        .is_none()
    {
        let before = State::before(log);
        let row = applied::ActiveModel {
            id: Set(ONLY),
            log: Set(log.0),
            epoch: Set(0),
            position: Set(0),
            hash: Set(before.position.hash.0.to_vec()),
            last_site: Set(0),
            absent_ms: Set(None),
            none_absent_since: Set(0),
            lease_ms: Set(0),
        };
        applied::Entity::insert(row)
            .exec_without_returning(&transaction)
            .await?;
    }
    let state = load(&transaction).await?;
    transaction.commit().await?;
    Ok(state)
}

/// Reads the whole state.
pub async fn load(connection: &impl ConnectionTrait) -> Result<State, StoreError> {
    let applied = applied::Entity::find_by_id(ONLY)
        .one(connection)
        .await?
        .ok_or_else(|| StoreError::damaged("the applied epoch", "its row is missing"))?;
    let rollouts::Loaded {
        head,
        newest,
        rollout,
    } = rollouts::load(connection).await?;
    let members = roster::Entity::find()
        .filter(roster::Column::Left.is_null())
        .all(connection)
        .await?;
    let announced = replicas::Entity::find()
        .filter(replicas::Column::Left.is_null())
        .all(connection)
        .await?;
    Ok(State {
        applied: Epoch(applied.epoch as u64),
        position: Position {
            log: LogId(applied.log),
            epoch: Epoch(applied.position as u64),
            hash: hash(&applied.hash)?,
        },
        head,
        newest,
        rollout,
        last_site: SiteId(applied.last_site as u64),
        roster: members.into_iter().map(member).collect::<Result<_, _>>()?,
        replicas: announced
            .into_iter()
            .map(replica)
            .collect::<Result<_, _>>()?,
        absent: Absent {
            longest: applied.absent_ms.map(millis),
            none_since: Epoch(applied.none_absent_since as u64),
        },
        longest_lease: millis(applied.lease_ms),
        revoked_certificates: revoked::load(connection).await?,
        trust: Arc::new(trust::load(connection).await?),
        secrets: Arc::new(secrets::load(connection).await?),
    })
}

/// A hash of the chain as it is stored.
pub fn hash(bytes: &[u8]) -> Result<Digest, StoreError> {
    bytes
        .try_into()
        .map(Digest)
        .map_err(|_| StoreError::damaged("a hash", "it is not 32 bytes"))
}

/// A digest as it is stored.
pub fn digest(text: &str) -> Result<Digest, StoreError> {
    text.parse()
        .map_err(|error| StoreError::damaged("a digest", error))
}

fn member(row: roster::Model) -> Result<(ProcessId, Member), StoreError> {
    let about =
        serde_json::from_str(&row.about).map_err(|error| StoreError::damaged("an edge", error))?;
    Ok((
        ProcessId(row.process),
        Member {
            edge: row.edge,
            joined: Epoch(row.joined as u64),
            about,
        },
    ))
}

fn replica(row: replicas::Model) -> Result<(ReplicaId, Announced), StoreError> {
    let kind = match row.kind.as_str() {
        "sqlite" => StoreKind::Sqlite,
        other => return Err(StoreError::damaged("a replica", format!("store {other:?}"))),
    };
    let announced = Announced {
        name: row.name,
        store: StoreRef {
            kind,
            id: StoreId(row.store),
        },
        version: row.version,
        joined: Epoch(row.joined as u64),
        unread_max: row.unread_max_ms.map(millis),
    };
    Ok((ReplicaId(row.replica), announced))
}

fn millis(number: i64) -> Duration {
    Duration::from_millis(number.unsigned_abs())
}
