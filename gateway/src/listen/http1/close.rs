//! Closing without losing the answer: octets that come for a closed socket are answered by a reset, which makes the
//! client's system throw away what the client has not read yet. So after an answer the connection is closed for writing
//! alone, and what still comes is read and thrown away, within bounds (RFC 9112 §9.6).

use super::line::Line;
use std::time::Duration;
use tokio::time::timeout;

/// So long a client that goes on sending is listened to.
const LINGER_TIME_MAX: Duration = Duration::from_secs(3);
/// So much of what it sends is taken.
const LINGER_BYTES_MAX: usize = 4 << 20;
/// So long the last octets may take to go out.
const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(5);

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// Nobody waits for an answer.
    Quietly,
    /// An answer is under way.
    AfterAnswer,
}

impl Line {
    /// Ends the connection.
    pub(super) async fn close(mut self, how: Close) {
        let shut = timeout(SHUTDOWN_TIME_MAX, self.stream.shutdown()).await;
        if how == Close::Quietly || shut.is_err() || self.at_end {
            return;
        }
        let _ = timeout(LINGER_TIME_MAX, self.drain()).await;
    }

    async fn drain(&mut self) {
        let mut taken = 0;
        while taken < LINGER_BYTES_MAX {
            self.pending.clear();
            match self.read_more().await {
                Ok(count @ 1..) => taken += count,
                Ok(0) | Err(_) => return,
            }
        }
    }
}
