//! What a thread of the tier promises to somebody who may await it in any runtime, or wait for it on a thread.

use parking_lot::{Condvar, Mutex};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// What comes when nobody is left who could keep the promise.
pub trait Outcome: Send + 'static {
    /// The tier was closed, or gave up.
    fn abandoned() -> Self;
}

/// Whoever holds it is owed an outcome. Dropped: nobody is, and the work is skipped if it has not begun.
#[derive(Debug)]
pub struct Ticket<T>(Arc<Shared<T>>);

/// Whoever holds it owes an outcome. Dropped: the outcome is that it was abandoned.
#[derive(Debug)]
pub(crate) struct Promise<T: Outcome>(Option<Arc<Shared<T>>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    kept: Condvar,
}

#[derive(Debug)]
struct State<T> {
    outcome: Option<T>,
    waker: Option<Waker>,
}

/// A promise and its ticket.
pub(crate) fn promise<T: Outcome>() -> (Promise<T>, Ticket<T>) {
    let shared = Arc::new(Shared::new(None));
    (Promise(Some(Arc::clone(&shared))), Ticket(shared))
}

impl<T> Shared<T> {
    fn new(outcome: Option<T>) -> Self {
        Self {
            state: Mutex::new(State {
                outcome,
                waker: None,
            }),
            kept: Condvar::new(),
        }
    }

    fn keep(&self, outcome: T) {
        let waker = {
            let mut state = self.state.lock();
            state.outcome = Some(outcome);
            state.waker.take()
        };
        self.kept.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T: Outcome> Promise<T> {
    /// Keeps it.
    pub(crate) fn keep(mut self, outcome: T) {
        if let Some(shared) = self.0.take() {
            shared.keep(outcome);
        }
    }

    /// Whether somebody still waits.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|shared| Arc::strong_count(shared) > 1)
    }
}

impl<T: Outcome> Drop for Promise<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.keep(T::abandoned());
        }
    }
}

impl<T> Ticket<T> {
    /// Its outcome is known already.
    pub(crate) fn kept(outcome: T) -> Self {
        Self(Arc::new(Shared::new(Some(outcome))))
    }

    /// Blocks the calling thread, for so long at most. None: it is still owed.
    pub fn wait(self, limit: Duration) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut state = self.0.state.lock();
        while state.outcome.is_none() {
            if self.0.kept.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.outcome.take()
    }
}

impl<T> Future for Ticket<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut state = self.0.state.lock();
        if let Some(outcome) = state.outcome.take() {
            return Poll::Ready(outcome);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
