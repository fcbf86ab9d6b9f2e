//! Stopping without hurting anyone: no new connections, requests under way finish, then the end.

use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

/// Knows what is under way, and whether the program is stopping.
#[derive(Debug)]
pub struct Drain {
    stopping: watch::Sender<bool>,
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
    /// The time was over with so much still under way.
    TimedOut(usize),
}

impl Drain {
    /// Nothing under way, not stopping.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            stopping: watch::channel(false).0,
            under_way: TaskTracker::new(),
        })
    }

    /// Counts a task in.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.under_way.spawn(task);
    }

    /// Counts in a request that is not a task of its own: a background refresh, a stream of an HTTP/2 connection.
    pub fn request(&self) -> UnderWay {
        UnderWay(self.under_way.token())
    }

    /// For Pingora, which closes idle connections when it turns true.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
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

    /// From now on the program is stopping.
    pub fn begin(&self) {
        self.stopping.send_replace(true);
        self.under_way.close();
    }

    /// Waits until nothing is under way any more, or the time is over.
    pub async fn finish(&self, time_max: Duration) -> Drained {
        match tokio::time::timeout(time_max, self.under_way.wait()).await {
            Ok(()) => Drained::Clean,
            Err(_) => Drained::TimedOut(self.under_way.len()),
        }
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
