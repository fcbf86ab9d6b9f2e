//! How a run comes to serve: it folds the log to its end, sees that nobody stands in the way, and announces itself.

use super::{BY, Lost, Presence, WRITE_PAUSE, is_out, leave};
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
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// Between two notes of how far the fold has come before this replica may serve.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// How long a log that takes nothing is tried again at start.
const WRITE_MAX: Duration = Duration::from_mins(2);
/// What edges wait for whose replica can't fold the log to its end.
const NOT_AT_THE_END: &str = "it has not folded the log to its end since it was started, and may lack purges that the fleet obeyed";
/// So often somebody else may announce himself between this run's look at the log and its entry.
const ANNOUNCEMENTS_MAX: usize = 8;

/// What an announcement says.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// This run's id in the log.
    pub run: ReplicaId,
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
    /// The lease that it gives edges.
    pub lease: Duration,
}

/// An announcement that is being written: whoever stops waiting for it does not know whether it comes to the log.
#[derive(Clone)]
pub struct Unsettled {
    run: ReplicaId,
    is_written: Arc<AtomicBool>,
    writer: Writer,
}

impl Unsettled {
    /// Nothing is written yet.
    pub fn new(run: ReplicaId, writer: Writer) -> Self {
        Self {
            run,
            is_written: Arc::default(),
            writer,
        }
    }

    fn set(&self, is_written: bool) {
        self.is_written.store(is_written, Ordering::Relaxed);
    }

    /// Takes the run out of the log again, if it may have come there: what says so comes behind what announces it.
    pub async fn leave(&self) {
        if self.is_written.load(Ordering::Relaxed) {
            leave(self.run, &self.writer).await;
        }
    }
}

/// Catches up with the log and announces this run in it, unless another replica stands in the way.
pub async fn announce(
    announcement: Announcement,
    unsettled: &Unsettled,
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
            None if announcement.log_is_here => announcement.started,
            // Whoever has left by itself has answered until then.
            None => contacts::now(),
            Some(others) => contact::ends(contacts::now(), others),
        };
        Presence {
            announced: run,
            edges_wait_for,
            alone_since,
            may_have_others: others.is_some(),
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
    let run = announcement.run;
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
            lease_ms: Some(announcement.lease.as_millis() as u64),
        };
        unsettled.set(true);
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
        unsettled.set(fold.state().replicas.contains_key(&run));
        if fold.state().replicas.contains_key(&run) {
            return Ok(presence(Some(run), None));
        }
        let Outcome::Conflict(Conflict::OtherRun { present }) = outcome else {
            // Two started at a time, and the log has put the other one first.
            refuse_beside_another(&fold.state(), here)?;
            bail!(is_out(run));
        };
        tracing::info!(
            ?present,
            "another run has announced itself meanwhile: this one looks again"
        );
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
        let (own_max, moved) = (self.unread_max, log.origin().from);
        if self.log_is_here {
            (state.absent).may_answer_elsewhere_for(&state.replicas, run, own_max, moved)
        } else {
            state.absent.may_answer_for(own_max, moved)
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Replica;

    /// Whoever stops waits no more for what is being written, and does not know what becomes of it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_announcement_that_comes_to_the_log_of_a_stopped_run_is_taken_back() {
        let replica = Replica::start().await;
        let fleet = &replica.running.control.fleet;
        let (fold, writer) = (&fleet.fold, &fleet.writer);
        let unsettled = Unsettled::new(ReplicaId(Uuid::now_v7()), writer.clone());
        let applied = fold.state().applied;
        unsettled.leave().await;
        assert_eq!(fold.state().applied, applied, "nothing was written");

        let here = fleet.store.identity();
        let change = Change::ReplicaJoined {
            replica: unsettled.run,
            name: "stopped".to_owned(),
            store: here,
            version: String::new(),
            replaces: Some(Replaces::of(on_store(&fold.state().replicas, here))),
            unread_max_ms: None,
            lease_ms: None,
        };
        unsettled.set(true);
        writer.write(BY, None, change).await.unwrap();
        assert!(fold.state().replicas.contains_key(&unsettled.run));
        unsettled.leave().await;
        assert!(!fold.state().replicas.contains_key(&unsettled.run));
    }
}
