//! Drives the fold: reads the log, folds each batch in one transaction, publishes what came of it, answers who waits.

use super::State;
use crate::{
    backoff::Backoff,
    fleet::Tail,
    log::{ChangeLog, LogError, Record},
    observe::metrics::Metrics,
    store::{
        Store, StoreError,
        folding::{FoldError, Settled},
    },
};
use latencify_conf::change::Epoch;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Writers that wait for their entry's fold; a further one is told to come back.
const WAITERS_MAX: usize = 4096;
/// How long a read of the log waits for something to come.
const READ_WAIT: Duration = Duration::from_secs(1);
/// Between two attempts after the log or the store failed, at first and at the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How the fold fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It follows the log.
    Following,
    /// The log or the store fails; it tries again.
    Retrying(String),
    /// An entry can't be understood; nothing after it is folded until another version of this program is started.
    Stopped(String),
    /// The log goes on elsewhere: nothing is folded here any more.
    Moved(String),
}

/// The fold as the rest of the program sees it.
#[derive(Clone)]
pub struct Fold {
    shared: Arc<Shared>,
}

struct Shared {
    state: watch::Sender<Arc<State>>,
    health: watch::Sender<Health>,
    waiters: Mutex<HashMap<Uuid, oneshot::Sender<Settled>>>,
    tail: Tail,
}

/// A writer's place in the queue for its entry's fold; given up when dropped.
pub struct Waiter {
    shared: Arc<Shared>,
    id: Uuid,
    settled: oneshot::Receiver<Settled>,
}

impl Fold {
    /// A fold that stands where the store stands.
    pub fn new(state: State, tail: Tail) -> Self {
        let shared = Shared {
            state: watch::Sender::new(Arc::new(state)),
            health: watch::Sender::new(Health::Following),
            waiters: Mutex::default(),
            tail,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The state after the newest folded entry.
    pub fn state(&self) -> Arc<State> {
        self.shared.state.borrow().clone()
    }

    /// Follows the state.
    pub fn subscribe(&self) -> watch::Receiver<Arc<State>> {
        self.shared.state.subscribe()
    }

    /// How it fares.
    pub fn health(&self) -> Health {
        self.shared.health.borrow().clone()
    }

    /// What has kept it from following for so long; none as soon as it follows.
    pub async fn is_held_up(&self, for_long: Duration) -> Option<String> {
        let mut health = self.shared.health.subscribe();
        let follows = health.wait_for(|health| *health == Health::Following);
        if matches!(tokio::time::timeout(for_long, follows).await, Ok(Ok(_))) {
            return None;
        }
        match self.health() {
            Health::Following => None,
            Health::Retrying(why) | Health::Stopped(why) | Health::Moved(why) => Some(why),
        }
    }

    /// Waits until something has kept it from following for so long, and says what.
    pub async fn held_up(&self, for_long: Duration) -> String {
        let mut health = self.shared.health.subscribe();
        loop {
            // The sender lives as long as this does.
            let _ = health.wait_for(|health| *health != Health::Following).await;
            if let Some(why) = self.is_held_up(for_long).await {
                return why;
            }
        }
    }

    /// Waits until an epoch is folded, at most `wait`; says whether it is.
    pub async fn reaches(&self, epoch: Epoch, wait: Duration) -> bool {
        let mut state = self.subscribe();
        let reached = state.wait_for(|state| state.applied >= epoch);
        matches!(tokio::time::timeout(wait, reached).await, Ok(Ok(_)))
    }

    /// Reserves a place for an entry that is about to be appended; none when too many wait.
    pub fn expect(&self, id: Uuid) -> Option<Waiter> {
        let (sender, settled) = oneshot::channel();
        let mut waiters = self.shared.waiters.lock();
        if waiters.len() >= WAITERS_MAX {
            return None;
        }
        waiters.insert(id, sender);
        drop(waiters);
        Some(Waiter {
            shared: self.shared.clone(),
            id,
            settled,
        })
    }

    /// Follows the log until `stop`, or until an entry that can't be understood, or that ends the log.
    pub async fn run(
        self,
        log: Arc<dyn ChangeLog>,
        store: Store,
        metrics: Metrics,
        stop: CancellationToken,
    ) {
        let mut state = State::clone(&self.state());
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
        loop {
            let follow = self.follow(&*log, &store, &metrics, &mut state, &mut backoff);
            let error = tokio::select! {
                () = stop.cancelled() => return,
                error = follow => error,
            };
            if let Ended::AtEntry(error) = &error {
                self.stand_at(error);
                return stop.cancelled().await;
            }
            if self.health() == Health::Following {
                tracing::warn!(%error, "the fold is held up; it is tried again");
            } else {
                tracing::debug!(%error, retry_in_ms = backoff.due().as_millis() as u64, "the fold is still held up");
            }
            self.set_health(Health::Retrying(error.to_string()));
            tokio::select! {
                () = stop.cancelled() => return,
                () = backoff.pause() => {}
            }
        }
    }

    async fn follow(
        &self,
        log: &dyn ChangeLog,
        store: &Store,
        metrics: &Metrics,
        state: &mut State,
        backoff: &mut Backoff,
    ) -> Ended {
        let mut reader = match log.reader(state.applied).await {
            Ok(reader) => reader,
            Err(error) => return Ended::Log(error),
        };
        loop {
            let records = match reader.next(READ_WAIT).await {
                Ok(records) => records,
                Err(error) => return Ended::Log(error),
            };
            // What was read and can't be folded has not been followed.
            if !records.is_empty()
                && let Err(ended) = self.fold(store, metrics, state, &records).await
            {
                return ended;
            }
            backoff.reset();
            self.set_health(Health::Following);
        }
    }

    async fn fold(
        &self,
        store: &Store,
        metrics: &Metrics,
        state: &mut State,
        records: &[Record],
    ) -> Result<(), Ended> {
        let batch = store.fold(state, records).await.map_err(Ended::Store)?;
        metrics.folded(
            state.applied,
            batch.settled.iter().map(|settled| settled.folded.outcome),
        );
        self.shared.tail.extend(
            batch
                .settled
                .iter()
                .filter_map(|settled| settled.accepted.clone()),
        );
        self.shared.state.send_replace(Arc::new(state.clone()));
        let mut waiters = self.shared.waiters.lock();
        for settled in batch.settled {
            if let Some(waiter) = waiters.remove(&settled.entry.id) {
                // Who gave up waiting has dropped its end.
                let _ = waiter.send(settled);
            }
        }
        drop(waiters);
        batch
            .stopped
            .map_or(Ok(()), |error| Err(Ended::AtEntry(error)))
    }

    fn stand_at(&self, error: &FoldError) {
        let why = error.to_string();
        self.set_health(if matches!(error, FoldError::Moved { .. }) {
            tracing::error!(error = why, "the fold has stopped: the log goes on elsewhere");
            Health::Moved(why)
        } else {
            tracing::error!(error = why, "the fold has stopped: nothing after this entry is folded; start the version that wrote it");
            Health::Stopped(why)
        });
    }

    /// Waits until the log is found to go on elsewhere, and says where.
    pub async fn moved(&self) -> String {
        let mut health = self.shared.health.subscribe();
        loop {
            if let Health::Moved(why) = &*health.borrow_and_update() {
                return why.clone();
            }
            // The sender lives as long as this does.
            let _ = health.changed().await;
        }
    }

    fn set_health(&self, health: Health) {
        self.shared.health.send_if_modified(|now| {
            let changed = *now != health;
            *now = health;
            changed
        });
    }
}

impl Waiter {
    /// Waits for the fold, at most `wait`; none when it is not folded by then.
    pub async fn settled(mut self, wait: Duration) -> Option<Settled> {
        tokio::time::timeout(wait, &mut self.settled)
            .await
            .ok()?
            .ok()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.shared.waiters.lock().remove(&self.id);
    }
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Log(LogError),
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    AtEntry(FoldError),
}
