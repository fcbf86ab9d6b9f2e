//! The audit log's rows: only ever added.

use super::{Store, StoreError, entity::audit};
use latencify_conf::{
    api::{audit_chain, audit_genesis},
    digest::Digest,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, TransactionTrait,
};

/// What a row is found by; its record is made once its number is known.
#[derive(Debug, Clone)]
pub struct Found {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who.
    pub caller: String,
    /// What.
    pub action: String,
    /// How it ended.
    pub outcome: &'static str,
}

/// Which records.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Before this number.
    pub before: Option<i64>,
    /// Of this caller.
    pub caller: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// That ended so.
    pub outcome: Option<String>,
    /// Not before this time, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// How many at most.
    pub limit: u64,
}

impl Store {
    /// Adds a record behind the newest one.
    pub async fn add_audit(
        &self,
        found: Found,
        record: impl FnOnce(u64) -> String,
    ) -> Result<(), StoreError> {
        // While writes are refused, a record neither troubles the disk nor passes for its recovery: it is small, and could
        // find room where the next write does not.
        if let Some(fault) = self.condition().fault() {
            return Err(StoreError::Database(DbErr::Custom(fault.to_string())));
        }
        let _turn = self.turn.lock().await;
        match add(&self.writer().await?, found, record).await {
            Ok(()) => Ok(()),
            failed => self.noted(failed).await,
        }
    }

    /// Records, the newest first.
    pub async fn audit(&self, filter: &Filter) -> Result<Vec<audit::Model>, StoreError> {
        let mut query = audit::Entity::find()
            .order_by_desc(audit::Column::Seq)
            .limit(filter.limit);
        if let Some(before) = filter.before {
            query = query.filter(audit::Column::Seq.lt(before));
        }
        if let Some(caller) = &filter.caller {
            query = query.filter(audit::Column::Caller.eq(caller));
        }
        if let Some(action) = &filter.action {
            query = query.filter(audit::Column::Action.eq(action));
        }
        if let Some(outcome) = &filter.outcome {
            query = query.filter(audit::Column::Outcome.eq(outcome));
        }
        if let Some(since_ms) = filter.since_ms {
            query = query.filter(audit::Column::AtMs.gte(since_ms));
        }
        Ok(query.all(&self.read).await?)
    }

    /// Records after a number, in order.
    pub async fn audit_after(&self, seq: i64, limit: u64) -> Result<Vec<audit::Model>, StoreError> {
        Ok(audit::Entity::find()
            .filter(audit::Column::Seq.gt(seq))
            .order_by_asc(audit::Column::Seq)
            .limit(limit)
            .all(&self.read)
            .await?)
    }
}

async fn add(
    database: &DatabaseConnection,
    found: Found,
    record: impl FnOnce(u64) -> String,
) -> Result<(), StoreError> {
    let transaction = database.begin().await?;
    let newest: Result<_, DbErr> = audit::Entity::find()
        .order_by_desc(audit::Column::Seq)
        .one(&transaction)
        .await;
    let (seq, before) = match newest? {
        None => (1, audit_genesis()),
        Some(newest) => (newest.seq + 1, hash(&newest)?),
    };
    let record = record(seq as u64);
    let row = audit::ActiveModel {
        seq: Set(seq),
        at_ms: Set(found.at_ms),
        caller: Set(found.caller),
        action: Set(found.action),
        outcome: Set(found.outcome.to_owned()),
        hash: Set(audit_chain(&before, record.as_bytes()).0.to_vec()),
        record: Set(record),
    };
    audit::Entity::insert(row)
        .exec_without_returning(&transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// The chain up to and including a record.
pub fn hash(row: &audit::Model) -> Result<Digest, StoreError> {
    super::state::hash(&row.hash)
}
