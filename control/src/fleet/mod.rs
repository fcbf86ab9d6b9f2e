//! The fleet: edge processes on their streams, what they said, and the receipts that follow from it.
//!
//! # Characters
//! - [`session`]: one stream. It drives conf's [`Replica`](latencify_conf::link::replica::Replica), which decides what
//!   is said; the session moves bytes, asks the store and keeps time.
//! - [`Tail`]: the newest accepted entries in memory; live sessions read from it, slow ones fall back to the store.
//! - [`Connections`]: which process has a stream here. The newest stream of a process wins.
//! - [`Said`](said::SaidByEdges): acks and policy reports, in memory at once and in the store a moment later.
//! - [`Contacts`]: until when each process may hold a lease, and so from when on it is fenced; [`leases`] is the pure part
//!   of it, and [`contact`] says why it may be believed.
//! - [`word`]: what this run goes by when it promises an edge anything or calls it fenced, where another run may follow the
//!   same log; [`LogRead`] keeps it.
//! - [`Hold`]: what receipts wait for after a start on data that may be an older copy.
//! - [`receipts`]: the roster at a purge's epoch against what was said; [`judgement`] is the pure part of it, as
//!   [`admission`] is of sessions.
//! - [`server`]: the gRPC face of all that; edges are known by their certificates ([`pki`](crate::pki)).
//!
//! # What must hold
//! - A process is in the roster, through the log and folded, before its `Welcome`: whatever is accepted after that is
//!   either before its start or delivered to it, so no receipt forgets an edge that serves.
//! - A heartbeat is noted before the head is read that its answer tells, and a receipt looks at the head before it looks
//!   at the clock, and at the clock before it looks at the contact: who is found fenced held no lease at that moment, and is
//!   told a head at least as new as the purge before it may serve again.
//! - Whoever is taken out of the roster by the operator is promised nothing from before the entry is written until it is
//!   certain that none of its attempts takes effect later, however long the fold is held up.
//! - A fence is judged as of when this run was the only one that the log named: see [`word`]. Replicas that share a store
//!   must share contacts before the second may answer heartbeats: another's answer extends a lease that this one takes for
//!   over.
//! - A broken stream changes nothing about the roster: only a clean `Leave` or the operator takes a process out.
//! - Nothing here grows with a slow edge: a session holds one position and a bounded queue of messages.
//!
//! # Rejected
//! - *A broadcast channel of deliveries*: a lagging receiver loses entries and must then read the store anyway; reading
//!   by position is the one path that is always right.
//! - *Writing acks to the database as they come*: a purge's receipt would wait for a disk on the way back too. Acks are
//!   cumulative and are said again by `Hello`, so losing the last second of them loses nothing.

pub mod admission;
mod ahead;
mod census;
mod connections;
pub mod contact;
pub mod contacts;
mod hold;
pub mod judgement;
pub mod leases;
mod log_read;
pub mod receipts;
pub mod said;
pub mod server;
mod session;
mod tail;
pub mod word;

pub use ahead::{Ahead, EdgeAhead, Lead};
pub use census::Standing;
pub use connections::Connections;
pub use contacts::Contacts;
pub use hold::Hold;
pub use log_read::LogRead;
pub use said::SaidByEdges;
pub use tail::Tail;

use crate::{
    fault::Fault,
    fold::{State, driver::Fold},
    observe::metrics::Metrics,
    pki::Presented,
    rollout::{Rollouts, health::HealthOfEdges},
    snapshots::Signer,
    store::{Store, forks::Fork},
    writer::Writer,
};
use latencify_conf::{
    change::{Epoch, ReplicaId},
    link::replica::{Target, Terms},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use word::{Withheld, Word};

/// An edge says that it lives so many times a lease.
const HEARTBEATS_A_LEASE: u32 = 5;

/// How long what edges said may be in memory only.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Between two looks for promises of processes that are gone, in the store.
const FORGET_EVERY: Duration = Duration::from_mins(1);

/// Everything that sessions share.
#[derive(Clone)]
pub struct Fleet {
    /// The fold's state and the newest entries.
    pub fold: Fold,
    /// Older entries and policies.
    pub store: Store,
    /// Joins and leaves.
    pub writer: Writer,
    /// The newest entries.
    pub tail: Tail,
    /// Who is connected.
    pub connections: Connections,
    /// Who obeys more than the log has.
    pub ahead: Ahead,
    /// Until when edges may hold a lease.
    pub contacts: Contacts,
    /// What edges said.
    pub said: SaidByEdges,
    /// What edges answered by what they run.
    pub health: HealthOfEdges,
    /// Signs what edges are to run.
    pub signer: Signer,
    /// How the rollout under way fares.
    pub rollouts: Rollouts,
    /// Counters.
    pub metrics: Metrics,
    /// Ends every session.
    pub stop: CancellationToken,
    /// The sessions that run.
    pub sessions: TaskTracker,
    /// This replica's name, for people.
    pub replica: String,
    /// Cut off for longer, an edge is isolated.
    pub lease: Duration,
    /// What edges have to wait for before they may attach to this replica; none: they may.
    pub edges_wait_for: Option<&'static str>,
    /// This run in the log; none: it could not announce itself.
    pub run: Option<ReplicaId>,
    /// As of when this run has read the log.
    pub log_read: LogRead,
    /// What receipts have to wait for, if this replica's data may be an older copy.
    pub hold: Option<Hold>,
}

impl Fleet {
    /// Saves what edges said, now and then, until `stop`, and once more then. What is known of processes that have left
    /// is only in the store after that.
    pub async fn keep_saving(self, stop: CancellationToken) {
        let mut forget_at = Instant::now();
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(FLUSH_EVERY) => {}
            }
            match self.said.save(&self.store).await {
                Ok(()) => self.forget_the_gone(),
                Err(error) => {
                    tracing::warn!(%error, "what edges said could not be saved; it is kept in memory");
                }
            }
            if Instant::now() >= forget_at && self.store.condition().fault().is_none() {
                forget_at = Instant::now() + FORGET_EVERY;
                if let Err(error) = self.store.forget_promises_of_the_gone().await {
                    tracing::warn!(%error, "what edges were promised that are gone is kept for now");
                }
            }
        }
    }

    /// The roster is read under the locks: whoever is noted there had joined before.
    fn forget_the_gone(&self) {
        let state = || self.fold.state();
        self.said.forget_all_but(state);
        self.contacts.forget_all_but(state);
        self.ahead.forget_all_but(state);
        let state = self.fold.state();
        self.health
            .retain(|process| state.roster.contains_key(&process));
    }

    /// What this run goes by: taken before the state is read.
    fn word(&self) -> Word {
        self.log_read.word(self.run)
    }

    /// The newest state, and the moment as of which leases are judged by it.
    pub fn judges_at(&self) -> (Arc<State>, Duration) {
        let word = self.word();
        let state = self.fold.state();
        let judges_at = word.judges_at(&state, contacts::now());
        (state, judges_at)
    }

    /// Whether the log has taken a certificate back.
    pub fn has_revoked(&self, certificate: &Presented) -> bool {
        let state = self.fold.state();
        state.revoked_certificates.contains_key(&certificate.serial)
    }

    /// Why no edge is promised anything now; none: they are.
    pub fn withholds(&self) -> Option<Fault> {
        let word = self.word();
        let state = self.fold.state();
        let may_promise = word.may_promise(&state, contacts::now());
        may_promise.err().map(|why| self.withheld(why))
    }

    fn withheld(&self, why: Withheld) -> Fault {
        self.log_read.fault(&self.word(), why, contacts::now())
    }

    /// An edge had obeyed what is not in the log.
    async fn keep_fork(&self, edge: &str, epoch: Epoch) {
        self.metrics.log_forked();
        let fork = Fork {
            edge: edge.to_owned(),
            epoch,
        };
        let log = self.fold.state().position.log;
        if let Err(error) = self.store.keep_fork(log, &fork).await {
            tracing::warn!(%error, "that the log has lost entries is told until this run ends, and not after that");
        }
    }

    /// What an edge is to run, as it may believe it.
    fn signed(&self, target: Target) -> Target {
        let log = self.fold.state().position.log;
        self.signer.signed(log, target)
    }

    fn terms(&self) -> Terms {
        Terms {
            lease_ms: self.lease.as_millis() as u32,
            heartbeat_ms: (self.lease / HEARTBEATS_A_LEASE).as_millis() as u32,
            replica: self.replica.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
