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
//! With the log in the data folder, which is locked until its databases are closed: until this run began.
//!
//! With the log in Kafka an earlier run may still live, and answers its edges until it reads that it is replaced, or has not
//! read the log for as long as it has announced ([`word`](crate::fleet::word) argues it). So leases count from that long
//! after this run's announcement ([`Presence::alone_since`]):
//! - a run on the folder that this one is a copy of: it is [replaced](crate::fold::ReplicaLeft::Replaced) by the announcement;
//! - one that was taken out with `--remove-replica`: that entry stands before the announcement;
//! - one that followed the log from which this one was moved: it can't read beyond the mark at that one's end, or the topic
//!   is not there. Nothing here tells who that may have been, so the first run on a moved log waits in any case.
//!
//! Who has left by a clean stop answers nobody any more, and is not waited for. When a run has waited, it says so in the
//! log ([`Change::ReplicaAlone`]), and those that come later need not wait for the same runs again. A run that can't
//! announce itself replaces nobody: it finds no edge fenced.

use crate::{
    fleet::{contact, contacts},
    fold::{
        Announced, Conflict, Outcome, State,
        driver::{Fold, Health},
        replicas::{in_the_way, on_store},
    },
    log::ChangeLog,
    store::Store,
    writer::{WriteError, Writer},
};
use anyhow::bail;
use latencify_conf::change::{Change, Epoch, LeaveReason, Replaces, ReplicaId, StoreRef};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Between two notes of how far the fold has come before this replica may serve.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// How long a log that takes nothing is tried again at start, and the time between two attempts.
const WRITE_MAX: Duration = Duration::from_mins(2);
const WRITE_PAUSE: Duration = Duration::from_secs(2);
/// How long a replica that stops waits for the entry that says so.
const LEAVE_MAX: Duration = Duration::from_secs(5);
/// What edges wait for whose replica can't fold the log to its end.
const NOT_AT_THE_END: &str = "it has not folded the log to its end since it was started, and may lack purges that the fleet obeyed";
/// So often somebody else may announce himself between this run's look at the log and its entry.
const ANNOUNCEMENTS_MAX: usize = 8;
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
    /// Nothing in the log says that there is nobody else.
    has_waited_for: bool,
    fold: Fold,
    writer: Writer,
}

/// What an announcement says.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// This replica's name, for people.
    pub name: String,
    /// A replica to be taken out before.
    pub remove: Option<Uuid>,
    /// The log lies in the data folder, which is locked: nobody else can follow it, whoever is announced in it, and what an
    /// earlier run was about to write went with that run.
    pub log_is_here: bool,
    /// When nobody else worked on the data folder any more, on the leases' clock.
    pub started: Duration,
    /// For so long after it has read the log to its end it answers edges.
    pub unread_max: Duration,
}

/// Catches up with the log and announces this run in it, unless another replica stands in the way.
pub async fn announce(
    announcement: Announcement,
    log: &dyn ChangeLog,
    store: &Store,
    fold: &Fold,
    writer: &Writer,
) -> anyhow::Result<Presence> {
    let here = store.identity();
    let presence = |run: Option<ReplicaId>, edges_wait_for: Option<&'static str>| {
        let others = announcement.others(&fold.state(), log, run);
        let alone_since = match others {
            _ if edges_wait_for.is_some() => Duration::MAX,
            None => announcement.started,
            Some(others) => contact::ends(contacts::now(), others),
        };
        Presence {
            announced: run,
            edges_wait_for,
            alone_since,
            has_waited_for: others.is_some(),
            fold: fold.clone(),
            writer: writer.clone(),
        }
    };
    if !catch_up(log, fold).await? {
        return Ok(presence(None, Some(NOT_AT_THE_END)));
    }
    if let Some(gone) = announcement.remove {
        take_out(ReplicaId(gone), fold, writer).await?;
    }
    if announcement.log_is_here {
        while let Some((other, _)) = in_the_way(&fold.state().replicas, here) {
            tracing::info!(%other, "a replica with another store has followed this log, and can't any more: the log lies here");
            take_out(other, fold, writer).await?;
        }
    }
    let run = ReplicaId(Uuid::now_v7());
    for _ in 0..ANNOUNCEMENTS_MAX {
        let state = fold.state();
        refuse_beside_another(&state, here)?;
        let change = Change::ReplicaJoined {
            replica: run,
            name: announcement.name.clone(),
            store: here,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            replaces: Some(Replaces::of(on_store(&state.replicas, here))),
            unread_max_ms: announcement.bound().map(|bound| bound.as_millis() as u64),
        };
        let outcome = if announcement.log_is_here {
            match writer.write(BY, None, change).await {
                Ok(settled) => settled.folded.outcome,
                Err(error @ (WriteError::Entry(_) | WriteError::Stopped(_))) => {
                    return Err(error.into());
                }
                Err(error) => {
                    tracing::warn!(%error, "this replica serves without having announced itself in the log, which takes nothing now");
                    return Ok(presence(None, None));
                }
            }
        } else {
            persist(change, writer).await?
        };
        if fold.state().replicas.contains_key(&run) {
            return Ok(presence(Some(run), None));
        }
        match outcome {
            Outcome::Conflict(Conflict::OtherRun { present }) => {
                tracing::info!(
                    ?present,
                    "another run has announced itself meanwhile: this one looks again"
                );
            }
            // Two started at a time, and the log has put the other one first.
            _ => {
                refuse_beside_another(&fold.state(), here)?;
                bail!(is_out(run));
            }
        }
    }
    bail!(
        "other runs on copies of this store announce themselves in the log, again and again: let only one of them run"
    )
}

impl Announcement {
    fn bound(&self) -> Option<Duration> {
        (!self.log_is_here).then_some(self.unread_max)
    }

    /// For how long from now others may answer edges; none: there are none.
    fn others(
        &self,
        state: &State,
        log: &dyn ChangeLog,
        run: Option<ReplicaId>,
    ) -> Option<Duration> {
        if !self.log_is_here {
            return (state.absent).may_answer_for(self.unread_max, log.origin().from);
        }
        // Who had the log in this folder is dead. But it may have been in Kafka before.
        let there = state
            .replicas
            .iter()
            .filter(|(other, _)| Some(**other) != run);
        let bounds = there.filter_map(|(_, other)| other.unread_max);
        let longest = bounds.chain(state.absent.longest).max();
        longest.filter(|longest| !longest.is_zero())
    }
}

/// Writes one of these entries, and tries again while the log takes none. Written twice, the second changes nothing.
async fn persist(change: Change, writer: &Writer) -> Result<Outcome, WriteError> {
    let give_up = tokio::time::Instant::now() + WRITE_MAX;
    loop {
        match writer.write(BY, None, change.clone()).await {
            Ok(settled) => return Ok(settled.folded.outcome),
            Err(error @ (WriteError::Entry(_) | WriteError::Stopped(_))) => return Err(error),
            Err(error) if tokio::time::Instant::now() < give_up => {
                tracing::warn!(%error, "this replica can't announce itself in the log yet");
                tokio::time::sleep(WRITE_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
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
        let Some(replica) = self.announced.filter(|_| self.has_waited_for) else {
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
        let change = Change::ReplicaLeft {
            replica,
            why: LeaveReason::Stopped,
        };
        let left = tokio::time::timeout(LEAVE_MAX, self.writer.write(BY, None, change));
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
}

fn is_out(replica: ReplicaId) -> Lost {
    Lost(format!(
        "the log says that this replica ({replica}) was taken out, or that another run on a copy of its store has replaced \
         it: it stops, so that receipts have one author. Start it again if it is the one that shall serve"
    ))
}

/// Waits until everything is folded that was in the log when this was called; says whether it can be.
async fn catch_up(log: &dyn ChangeLog, fold: &Fold) -> anyhow::Result<bool> {
    let mut head = log.head().await?;
    while !fold.reaches(head, PROGRESS_EVERY).await {
        // What stands at the end may be no entry of this log, which shows when it is read.
        if let Ok(end) = log.head().await {
            head = head.min(end);
        }
        match fold.health() {
            Health::Stopped(why) => {
                tracing::error!(
                    why,
                    "the log can't be folded to its end: nothing is written"
                );
                return Ok(false);
            }
            Health::Moved(why) => bail!(Lost(why)),
            Health::Following | Health::Retrying(_) => {}
        }
        tracing::info!(applied = %fold.state().applied, %head, "the log is folded before anything is served");
    }
    Ok(true)
}

async fn take_out(replica: ReplicaId, fold: &Fold, writer: &Writer) -> Result<(), WriteError> {
    if !fold.state().replicas.contains_key(&replica) {
        tracing::warn!(%replica, "the replica to be taken out is not in the log, or has left");
        return Ok(());
    }
    let change = Change::ReplicaLeft {
        replica,
        why: LeaveReason::Removed,
    };
    persist(change, writer).await?;
    Ok(())
}

fn refuse_beside_another(state: &State, here: StoreRef) -> anyhow::Result<()> {
    let Some((replica, other)) = in_the_way(&state.replicas, here) else {
        return Ok(());
    };
    let Announced {
        name,
        store,
        version,
        joined: Epoch(joined),
        ..
    } = other;
    bail!(
        "another replica folds this log into a {kind} store of its own, which would give other receipts than this one: \
         {name}, replica {replica}, version {version}, store {id}, announced at epoch {joined}. Stop that one first: a clean \
         stop takes it out of the log. If it is gone for good: start this one with --remove-replica {replica}",
        kind = store.kind.as_str(),
        id = store.id,
    )
}

/// What this replica is called: the machine and the process.
pub fn name() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine = match machine.trim() {
        "" => "control",
        machine => machine,
    };
    format!("{machine}-{}", std::process::id())
}
