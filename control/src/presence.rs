//! This replica's place in the log: it announces itself and its store before it serves anything, leaves on a clean stop,
//! and stops when it reads that it was taken out or replaced.
//!
//! The [fold](crate::fold::replicas) decides who may serve beside whom, alike for everybody who reads the log; here is
//! only how one run behaves, and what its operator is told.
//!
//! # Why edges wait for both
//! **For the end of the log.** A store may be an older copy than the one that receipts were given from, and nothing in it
//! tells so. Were an edge welcomed by it that was cut off meanwhile, it would be told a head from before purges of
//! which somebody holds a receipt that calls it fenced; it would obey that head and use what it has stored. So no edge
//! is welcomed, and no heartbeat answered, before everything is folded that was in the log after this run began. A
//! control that starts while its brokers are away, or on an entry that it can't read, serves no edge: theirs keep what
//! they have, and their leases run out. (What edges fetch without trusting this replica's head, they still get.)
//!
//! **For its announcement**, unless the log dies with the process. An earlier run may have handed entries to a broker
//! that stood still, which come to the log when they come. The fold counts a removal, and a join, only while the run is
//! announced that wrote it; and an announcement only while the run is there that it replaces. So behind this run's
//! announcement no earlier run's word counts; before it, this run has welcomed nobody. And a copy of the store that
//! serves elsewhere reads that it is replaced.
//!
//! # Until when an earlier run may have answered heartbeats
//! With the log in the data folder, which is locked until its databases are closed: until this run began. If the log was
//! moved into it, one may live that followed the log in Kafka: see below.
//!
//! With the log in Kafka an earlier run may still live, and answers its edges until it reads that it is replaced, or has not
//! read the log for as long as it has announced ([`word`](crate::fleet::word) argues it). So leases count from that long
//! after this run's announcement ([`Presence::alone_since`]):
//! - a run on the folder that this one is a copy of: it is [replaced](crate::fold::ReplicaLeft::Replaced) by the announcement;
//! - one that was taken out with `--remove-replica`: that entry stands before the announcement;
//! - one that followed the log from which this one was moved: it can't read beyond the mark at that one's end, or the topic
//!   is not there. Nothing here tells who that may have been, so the first run on a moved log waits in any case, wherever
//!   that log is now.
//!
//! Who has left by a clean stop answers nobody behind that entry: then leases count from this run's announcement. When a
//! run has waited, it says so in the log ([`Change::ReplicaAlone`]), and those that come later need not wait for the same
//! runs again. A run that can't announce itself replaces nobody: it finds no edge fenced.

mod announcing;

pub use announcing::{Announcement, Unsettled, announce};

use crate::{
    fleet::{contact, contacts},
    fold::driver::{Fold, Health},
    writer::Writer,
};
use latencify_conf::change::{Change, LeaveReason, ReplicaId};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two attempts to write an entry.
const WRITE_PAUSE: Duration = Duration::from_secs(2);
/// How long a replica that stops waits for the entry that says so.
const LEAVE_MAX: Duration = Duration::from_secs(5);
/// Between two looks whether this run has waited for long enough.
const ALONE_PAUSE: Duration = Duration::from_secs(1);
/// Who writes these entries.
const BY: &str = "control";

/// The log says that this run is no replica any more, or that it goes on elsewhere. Whoever starts the same thing again at
/// once replaces the run that replaced this one, and so on for ever.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Lost(String);

/// How a replica stands in the log.
#[derive(Clone)]
pub struct Presence {
    /// None: this run could not announce itself, because the log can't be folded to its end, or takes nothing.
    announced: Option<ReplicaId>,
    edges_wait_for: Option<&'static str>,
    alone_since: Duration,
    /// Nothing in the log said that there was nobody else when this run came.
    may_have_others: bool,
    fold: Fold,
    writer: Writer,
}

impl Presence {
    /// This run's id in the log.
    pub fn replica(&self) -> Option<ReplicaId> {
        self.announced
    }

    /// Until when an earlier run on this store may have answered heartbeats, on the leases' clock.
    pub fn alone_since(&self) -> Duration {
        self.alone_since
    }

    /// What edges have to wait for before they may attach here; none: they may.
    pub fn edges_wait_for(&self) -> Option<&'static str> {
        self.edges_wait_for
    }

    /// Says in the log that nobody else answers edges any more, when this run has waited for that, and for the leases that
    /// others may have given. Ends with that, or with `stop`.
    pub async fn tell_alone(self, longest_lease: Duration, stop: CancellationToken) {
        let Some(replica) = self.announced.filter(|_| self.may_have_others) else {
            return;
        };
        let over = contact::ends(self.alone_since, longest_lease);
        let tell = async {
            loop {
                tokio::time::sleep(ALONE_PAUSE).await;
                if contacts::now() <= over || !self.fold.state().replicas.contains_key(&replica) {
                    continue;
                }
                match self
                    .writer
                    .write(BY, None, Change::ReplicaAlone { replica })
                    .await
                {
                    Ok(_) => return,
                    Err(error) => {
                        tracing::debug!(%error, "that nobody else answers edges is not in the log yet");
                        tokio::time::sleep(WRITE_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tell => {}
        }
    }

    /// Waits until the log says that this run is no replica any more, or that it goes on elsewhere, and says what that
    /// means.
    pub async fn lost(&self) -> Lost {
        tokio::select! {
            why = self.fold.moved() => Lost(why),
            why = self.taken_out() => why,
        }
    }

    async fn taken_out(&self) -> Lost {
        let Some(replica) = self.announced else {
            return std::future::pending().await;
        };
        let mut state = self.fold.subscribe();
        let left = state.wait_for(|state| !state.replicas.contains_key(&replica));
        if left.await.is_err() {
            return std::future::pending().await;
        }
        is_out(replica)
    }

    /// Leaves the log on a clean stop, so that another replica may follow it.
    pub async fn leave(&self) {
        if matches!(self.fold.health(), Health::Moved(_)) {
            return; // Nobody would read it.
        }
        let is_there = |replica: &ReplicaId| self.fold.state().replicas.contains_key(replica);
        let Some(replica) = self.announced.filter(is_there) else {
            return;
        };
        leave(replica, &self.writer).await;
    }
}

async fn leave(replica: ReplicaId, writer: &Writer) {
    let change = Change::ReplicaLeft {
        replica,
        why: LeaveReason::Stopped,
    };
    let left = tokio::time::timeout(LEAVE_MAX, writer.write(BY, None, change));
    let error = match left.await {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the log did not take it in time".to_owned(),
    };
    tracing::warn!(
        error,
        %replica,
        "this replica stops without having left the log: one with another store has to take it out with --remove-replica"
    );
}

fn is_out(replica: ReplicaId) -> Lost {
    Lost(format!(
        "the log says that this replica ({replica}) was taken out, or that another run on a copy of its store has replaced \
         it: it stops, so that receipts have one author. Start it again if it is the one that shall serve"
    ))
}

/// What this replica is called: the machine and the process.
pub fn name() -> String {
    format!("{}-{}", machine(), std::process::id())
}

/// What this machine is called.
pub fn machine() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match machine.trim() {
        "" => "control".to_owned(),
        machine => machine.to_owned(),
    }
}
