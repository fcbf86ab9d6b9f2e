//! What a session has to say, until the edge takes it.

use latencify_conf::link::message::ToEdge;
use std::{collections::VecDeque, time::Duration};
use tokio::sync::mpsc;
use tonic::Status;

/// Messages that wait to be sent before the session stops reading from the edge.
const QUEUE_MAX: usize = 128;
/// How long what was said last may take to go out.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// Where a session's messages go.
pub type Outbound = mpsc::Sender<Result<ToEdge, Status>>;

/// Messages on their way: answers, and the deliveries of one read.
pub(super) struct Outbox {
    outbound: Outbound,
    queue: VecDeque<ToEdge>,
}

/// The edge takes nothing any more.
pub(super) struct Gone;

impl Outbox {
    pub(super) fn new(outbound: Outbound) -> Self {
        Self {
            outbound,
            queue: VecDeque::new(),
        }
    }

    pub(super) fn push(&mut self, message: ToEdge) {
        self.queue.push_back(message);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether more may be caused to be said.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < QUEUE_MAX
    }

    /// Waits until the edge takes a message; it may be given up at any time.
    pub(super) async fn is_taken(&self) -> Result<(), Gone> {
        self.outbound.reserve().await.map(|_| ()).map_err(|_| Gone)
    }

    /// Waits until the edge is gone.
    pub(super) async fn is_gone(&self) {
        self.outbound.closed().await;
    }

    /// Sends the next message. There is room, and if the edge is gone the next look says so.
    pub(super) fn send_next(&mut self) {
        if let Some(message) = self.queue.pop_front() {
            let _ = self.outbound.try_send(Ok(message));
        }
    }

    /// What was said last still goes out, if the edge takes it.
    pub(super) async fn farewell(&mut self) {
        let send = async {
            for message in self.queue.drain(..) {
                if self.outbound.send(Ok(message)).await.is_err() {
                    return;
                }
            }
        };
        // An edge that takes nothing any more has nothing to be told.
        let _ = tokio::time::timeout(FAREWELL_MAX, send).await;
    }
}
