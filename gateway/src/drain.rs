//! Stopping without hurting anyone: no new connections, requests under way finish, then the end.
//!
//! A drain has two steps. When it **begins**, nothing is accepted any more, every HTTP/1.1 response says
//! `Connection: close`, and HTTP/2 connections say GOAWAY. An idle HTTP/1.1 connection stays open: its client may have
//! sent a request that is not here yet, and closing under it would fail that request (RFC 9112 §9.6 has no remedy for
//! a client that doesn't retry). So it is waited for, and served one more request. When the drain's time is over, idle
//! connections are **closed**, and what is then still under way is **cut off**: streams of HTTP/2 are reset, which
//! their clients see, then all tasks are ended, and with them their connections. When [`Drain::finish`] is back, no client is served any more; only then may a member say that it leaves.

use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// Idle connections that are told to close get so long to do so.
const CLOSING_TIME: Duration = Duration::from_millis(500);
/// Who is about to be cut off, and can be told so, is told within this time.
const TELLING_TIME: Duration = Duration::from_millis(500);
/// Tasks that are cut off end where they wait next; they get so long to come there.
const CUTTING_TIME: Duration = Duration::from_millis(500);

/// Knows what is under way, and whether the program is stopping.
#[derive(Debug)]
pub struct Drain {
    stopping: watch::Sender<bool>,
    closing: watch::Sender<bool>,
    cutting: CancellationToken,
    cut: CancellationToken,
    under_way: TaskTracker,
}

/// One request under way; the drain waits until it is dropped.
#[derive(Debug)]
pub struct UnderWay(#[allow(dead_code, reason = "held for its drop")] TaskTrackerToken);

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Everything under way came to its end.
    Clean,
    /// The time was over with so much still under way, which was cut off.
    TimedOut(usize),
}

impl Drain {
    /// Nothing under way, not stopping.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            stopping: watch::channel(false).0,
            closing: watch::channel(false).0,
            cutting: CancellationToken::new(),
            cut: CancellationToken::new(),
            under_way: TaskTracker::new(),
        })
    }

    /// Counts a task in. It ends by itself, or when what is under way is cut off.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // A token of its own, whose lock no other task waits for; and in a box, since a future that holds another by value
        // has room for it twice.
        let (cut, task) = (self.cut.child_token(), Box::pin(task));
        self.under_way.spawn(async move {
            cut.run_until_cancelled_owned(task).await;
        });
    }

    /// Counts in a request that is not a task of its own: a background refresh, a stream of an HTTP/2 connection.
    pub fn request(&self) -> UnderWay {
        UnderWay(self.under_way.token())
    }

    /// For Pingora's HTTP/2, which says GOAWAY when this changes. A connection that begins while the program is stopping
    /// sees the change too.
    pub fn watch(&self) -> watch::Receiver<bool> {
        let mut receiver = self.stopping.subscribe();
        if *receiver.borrow() {
            receiver.mark_changed();
        }
        receiver
    }

    /// Whether the program is stopping.
    pub fn is_begun(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits until the program is stopping.
    pub async fn begun(&self) {
        // The sender lives as long as `self`, so this can only end with the value.
        let _ = self
            .stopping
            .subscribe()
            .wait_for(|stopping| *stopping)
            .await;
    }

    /// Waits until connections that wait for a request may be closed: the time of the drain is over. What waits for the
    /// first octet of a request waits for this beside it, and never for [`begun`](Self::begun).
    pub async fn idle_closes(&self) {
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    /// Waits until what is under way is to be cut off. Whoever can tell its client so has a moment for it.
    pub async fn cutting(&self) {
        self.cutting.cancelled().await;
    }

    /// Whether that has come.
    pub fn is_cutting(&self) -> bool {
        self.cutting.is_cancelled()
    }

    /// From now on the program is stopping.
    pub fn begin(&self) {
        self.stopping.send_replace(true);
        self.under_way.close();
    }

    /// Waits until nothing is under way any more, or the time is over; then closes what is idle, and cuts off the rest.
    pub async fn finish(&self, time_max: Duration) -> Drained {
        if timeout(time_max, self.under_way.wait()).await.is_ok() {
            return Drained::Clean;
        }
        self.closing.send_replace(true);
        if timeout(CLOSING_TIME, self.under_way.wait()).await.is_ok() {
            return Drained::Clean;
        }
        let left = self.under_way.len();
        self.cutting.cancel();
        if timeout(TELLING_TIME, self.under_way.wait()).await.is_ok() {
            return Drained::TimedOut(left);
        }
        self.cut.cancel();
        // What is not a task of the drain's, a background refresh, say, may be left: it serves nobody.
        let _ = timeout(CUTTING_TIME, self.under_way.wait()).await;
        Drained::TimedOut(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_with_the_last_request_or_with_the_time() {
        let drain = Drain::new();
        let request = drain.request();
        drain.spawn(tokio::time::sleep(Duration::from_secs(3)));
        drain.begin();
        drain.begun().await;
        assert_eq!(
            drain.finish(Duration::from_secs(1)).await,
            Drained::TimedOut(2)
        );
        drop(request);
        let before = tokio::time::Instant::now();
        assert_eq!(drain.finish(Duration::from_mins(1)).await, Drained::Clean);
        assert!(before.elapsed() <= Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_are_kept_until_the_time_is_over() {
        let drain = Drain::new();
        let idle = drain.clone();
        drain.spawn(async move { idle.idle_closes().await });
        drain.begin();
        let before = tokio::time::Instant::now();
        let time_max = Duration::from_secs(30);
        assert_eq!(drain.finish(time_max).await, Drained::Clean);
        let lasted = before.elapsed();
        assert!(
            (time_max..time_max + CLOSING_TIME).contains(&lasted),
            "{lasted:?}"
        );
    }

    #[tokio::test]
    async fn who_comes_late_is_told_too() {
        let drain = Drain::new();
        assert!(!drain.watch().has_changed().unwrap());
        drain.begin();
        let late = drain.watch();
        assert!(late.has_changed().unwrap() && *late.borrow());
    }

    #[tokio::test]
    async fn a_panic_in_one_request_ends_that_one_alone() {
        let drain = Drain::new();
        let request = drain.request();
        drain.spawn(async move {
            let _held = request;
            panic!("a defect");
        });
        let (done, other) = tokio::sync::oneshot::channel();
        drain.spawn(async move {
            tokio::task::yield_now().await;
            let _ = done.send(7);
        });
        assert_eq!(other.await, Ok(7));
        drain.begin();
        assert_eq!(drain.finish(Duration::from_secs(5)).await, Drained::Clean);
    }
}
