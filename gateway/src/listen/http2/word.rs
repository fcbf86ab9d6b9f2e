//! What the stream under an HTTP/2 connection and the loop that accepts its requests tell each other.

use super::{ahead::Failure, answered::Decision, ledger::Ledger};
use crate::{listen::Limits, observe::Ended};
use h2::Reason;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Instant,
};
use tokio::sync::Notify;

/// One connection's.
#[derive(Debug, Default)]
pub(super) struct Word {
    pub(super) ledger: Arc<Mutex<Ledger>>,
    /// The limit for which the socket was given up.
    pub(super) broken: Mutex<Option<Ended>>,
    /// What is under way is to end.
    pub(super) is_cut: AtomicBool,
    ended: Mutex<Option<Ended>>,
    told: Notify,
    failure: Notify,
    pub(super) filled: Notify,
    pub(super) requests: AtomicU32,
    pub(super) is_going: AtomicBool,
    /// The library has read all that came, and asked for more.
    pub(super) is_read_empty: AtomicBool,
    /// What was decided of requests that the library has not given out.
    decisions: Mutex<HashMap<u32, Decision>>,
    /// When a request was last answered ahead of the library.
    answered: Mutex<Option<Instant>>,
    /// An error of the client's that the library did not see.
    failed: Mutex<Option<Reason>>,
}

impl Word {
    /// Lets the client know that the connection is to end, with the next flush.
    pub(super) fn say_going(&self) {
        self.is_going.store(true, Ordering::Relaxed);
    }

    /// The requests that nobody has taken up yet.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock()
    }

    /// Ends all requests when the connection is asked for the next; they learn that the drain's time is over.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    /// Whether the library has read all that came, and so decided about every request of it. When it waits for the client
    /// to take its own frames, it leaves others as they are.
    pub(super) fn is_read_empty(&self) -> bool {
        self.is_read_empty.load(Ordering::Relaxed)
    }

    /// The limit for which the connection ended, if it was one.
    pub(super) fn why(&self) -> Option<Ended> {
        self.ended_already().or(*self.broken.lock())
    }

    /// Keeps what was decided of a request until the library gives it out.
    pub(super) fn keep_decision(&self, stream: u32, decision: Decision) {
        self.decisions.lock().insert(stream, decision);
    }

    /// How many are kept.
    pub(super) fn decisions(&self) -> usize {
        self.decisions.lock().len()
    }

    /// What was decided of the request of a stream.
    pub(super) fn take_decision(&self, stream: u32) -> Option<Decision> {
        self.decisions.lock().remove(&stream)
    }

    /// Requests whose decisions are kept still will not be given out: they were refused.
    pub(super) fn forget_decisions(&self) {
        let refused = std::mem::take(&mut *self.decisions.lock());
        drop(refused);
    }

    /// A request was answered ahead of the library.
    pub(super) fn answered_ahead(&self) {
        *self.answered.lock() = Some(Instant::now());
    }

    /// When that happened last.
    pub(super) fn last_answered(&self) -> Option<Instant> {
        *self.answered.lock()
    }

    /// Waits until the connection has had as many requests as it may by the limits that hold then.
    pub(super) async fn filled(&self, limits: &Limits) {
        loop {
            let told = self.filled.notified();
            if self.requests() >= limits.now().requests {
                return;
            }
            told.await;
        }
    }

    /// Waits for an error of the client's that the library did not see.
    pub(super) async fn failed(&self) -> Reason {
        loop {
            let told = self.failure.notified();
            if let Some(reason) = *self.failed.lock() {
                return reason;
            }
            told.await;
        }
    }

    /// The connection ends.
    pub(super) fn fail(&self, failure: Failure) {
        match failure {
            Failure::Limit(why) => self.end(why),
            Failure::Error(reason) => {
                self.failed.lock().get_or_insert(reason);
                self.failure.notify_one();
            }
        }
    }

    /// Whether it does.
    pub(super) fn is_over(&self) -> bool {
        self.ended_already().is_some() || self.failed.lock().is_some()
    }

    /// Waits until a limit ends the connection.
    pub(super) async fn ended(&self) -> Ended {
        loop {
            let told = self.told.notified();
            if let Some(why) = self.ended_already() {
                return why;
            }
            told.await;
        }
    }

    /// Which limit has ended the connection, if one has.
    pub(super) fn ended_already(&self) -> Option<Ended> {
        *self.ended.lock()
    }

    /// Requests that were opened so far.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// A limit ends it.
    pub(super) fn end(&self, why: Ended) {
        self.ended.lock().get_or_insert(why);
        self.told.notify_one();
    }
}
