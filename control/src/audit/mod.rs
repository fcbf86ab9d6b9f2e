//! Who did what, from where, and what it changed: every change through the API and every refusal.
//!
//! # Characters
//! - [`Audit`]: adds records to the store, one behind the other, and checks that they are as they were written;
//! - [`Note`]: what a handler knows of a change and the layers around it don't: what was there before, what is there now;
//! - [`Quiet`]: keeps strangers from filling the disk with refusals.
//!
//! # The chain
//! Each record is hashed with the hash of all before it. Whoever alters, inserts or takes away one breaks the chain there; who cuts
//! the end off, or writes everything anew, is found out by a head that was kept elsewhere (`latencify audit verify --expect`).
//!
//! # What is not in it
//! Passwords, tokens and secrets: handlers note what the API shows, which never has them. Reads that were allowed. Changes that
//! edges and content systems make (`PURGE`, Kafka): the change log names these.
//!
//! # When a record can't be kept
//! What was done is done: it is told in the program's log, and answered as it went. The store that can't keep a
//! record can keep no change either, so that is a moment and not a way around.

mod quiet;

pub use quiet::Quiet;

use crate::{
    identity::now_ms,
    store::{
        Store, StoreError,
        audit::{Filter, Found, hash},
    },
};
use latencify_conf::{
    api::{AuditOutcome, AuditRecord, AuditRecords, AuditVerified, audit_chain, audit_genesis},
    digest::Digest,
};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use std::{net::IpAddr, sync::Arc, time::Instant};

/// The most bytes of what was before or is after; of more, its digest and size are kept.
pub const SIDE_BYTES_MAX: usize = 16 * 1024;
/// The most bytes of any other part.
const PART_BYTES_MAX: usize = 1024;
/// The most records of one answer.
pub const LIST_MAX: u64 = 1000;
/// Records that are verified at a time.
const VERIFIED_AT_A_TIME: u64 = 1000;

/// Keeps records. A clone is the same.
#[derive(Clone)]
pub struct Audit {
    store: Store,
    quiet: Arc<Mutex<Quiet>>,
}

/// What is to be recorded.
#[derive(Debug, Clone)]
pub struct Event {
    /// Who.
    pub by: String,
    /// From where.
    pub from: Option<IpAddr>,
    /// What: a permission, `login`, `refresh`, `authenticate`.
    pub action: &'static str,
    /// On what.
    pub target: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Why not.
    pub why: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// What it changed.
    pub note: Note,
}

/// What a handler says of a change. A clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Note {
    sides: Arc<Mutex<Sides>>,
}

#[derive(Debug, Default)]
struct Sides {
    before: Option<Value>,
    after: Option<Value>,
}

impl Note {
    /// What was there before.
    pub fn before(&self, value: &impl Serialize) {
        self.sides.lock().before = Some(bounded(value));
    }

    /// What is there now.
    pub fn after(&self, value: &impl Serialize) {
        self.sides.lock().after = Some(bounded(value));
    }
}

impl Audit {
    /// Into this store.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            quiet: Arc::default(),
        }
    }

    /// Keeps a record. Of too many refusals of strangers only their number is kept, with the next one that is.
    pub async fn record(&self, event: Event) {
        let is_strangers = event.outcome == AuditOutcome::Refused && event.by == STRANGER;
        let unrecorded = if is_strangers {
            match self.quiet.lock().admits(event.from, Instant::now()) {
                Some(unrecorded) => unrecorded,
                None => return,
            }
        } else {
            0
        };
        let at_ms = now_ms();
        let found = Found {
            at_ms,
            caller: cut(&event.by, 200),
            action: event.action.to_owned(),
            outcome: event.outcome.as_str(),
        };
        let (action, outcome) = (event.action, event.outcome.as_str());
        let added = self
            .store
            .add_audit(found, |seq| write(seq, at_ms, event, unrecorded))
            .await;
        if let Err(error) = added {
            tracing::error!(%error, action, outcome, "a record of the audit log could not be kept");
        }
    }

    /// Records, the newest first.
    pub async fn list(&self, filter: Filter) -> Result<AuditRecords, StoreError> {
        let rows = self.store.audit(&filter).await?;
        let records = rows
            .iter()
            .map(|row| serde_json::from_str(&row.record))
            .collect::<Result<_, _>>()
            .map_err(|error| StoreError::Damaged {
                what: "a record of the audit log",
                why: error.to_string(),
            })?;
        Ok(AuditRecords { records })
    }

    /// Recomputes the chain over every record; with `at`, tells it after that one.
    pub async fn verify(&self, at: Option<u64>) -> Result<AuditVerified, StoreError> {
        let (mut seq, mut chain) = (0_i64, audit_genesis());
        let mut told = None;
        loop {
            let rows = self.store.audit_after(seq, VERIFIED_AT_A_TIME).await?;
            if rows.is_empty() {
                return Ok(verified(seq, &chain, told, None));
            }
            for row in rows {
                let next = audit_chain(&chain, row.record.as_bytes());
                if row.seq != seq + 1 || hash(&row).ok() != Some(next) || !agrees(&row) {
                    let broken_at = Some(seq as u64 + 1);
                    return Ok(verified(seq, &chain, told, broken_at));
                }
                (seq, chain) = (row.seq, next);
                if at == Some(seq as u64) {
                    told = Some(chain.to_string());
                }
            }
        }
    }
}

/// Who is not known.
pub const STRANGER: &str = "stranger";

/// What a row is found by is not hashed; it must be what the record says.
fn agrees(row: &crate::store::entity::audit::Model) -> bool {
    serde_json::from_str::<AuditRecord>(&row.record).is_ok_and(|record| {
        record.seq == row.seq as u64
            && cut(&record.by, 200) == row.caller
            && record.action == row.action
            && record.outcome.as_str() == row.outcome
            && record.at == crate::identity::shown(row.at_ms)
    })
}

fn verified(seq: i64, chain: &Digest, at: Option<String>, broken_at: Option<u64>) -> AuditVerified {
    AuditVerified {
        records: seq as u64,
        head: chain.to_string(),
        at,
        broken_at,
    }
}

fn write(seq: u64, at_ms: i64, event: Event, unrecorded: u64) -> String {
    let Sides { before, after } = std::mem::take(&mut *event.note.sides.lock());
    let record = AuditRecord {
        seq,
        at: crate::identity::shown(at_ms),
        by: cut(&event.by, PART_BYTES_MAX),
        from: event.from.map(|from| from.to_canonical().to_string()),
        action: event.action.to_owned(),
        target: cut(&event.target, PART_BYTES_MAX),
        outcome: event.outcome,
        why: event.why.map(|why| cut(&why, PART_BYTES_MAX)),
        request_id: event.request_id,
        before,
        after,
        unrecorded,
    };
    serde_json::to_string(&record).unwrap_or_default()
}

fn bounded(value: &impl Serialize) -> Value {
    let Ok(text) = serde_json::to_string(value) else {
        return Value::Null;
    };
    if text.len() > SIDE_BYTES_MAX {
        return json!({"bytes": text.len(), "digest": Digest::of_text(&text).to_string()});
    }
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

fn cut(text: &str, bytes_max: usize) -> String {
    let end = (0..=bytes_max.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
