//! How long one question may be asked again.

use std::time::Duration;
use tokio::time::Instant;

/// The most attempts of a question that has no deadline of its own.
const ATTEMPTS_MAX: u32 = 6;
/// All attempts of such a question together.
const ASK_MAX: Duration = Duration::from_secs(30);
/// The same of one that changes nothing: giving up leaves nobody in doubt.
const READ_MAX: Duration = Duration::from_secs(10);
/// So much longer the first attempt may take: a server that was asked to hold its answer until the deadline answers just
/// after it, and a question that comes late still deserves one answer.
const GRACE: Duration = Duration::from_secs(1);

/// How long, how often, and whether a server that nobody has reached yet is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    deadline: Instant,
    attempts_max: u32,
    /// Whether a refused connection at the first attempt is worth another one.
    pub waits_for_server: bool,
}

impl Patience {
    /// For a command without a time limit.
    pub fn brief() -> Self {
        Self {
            deadline: Instant::now() + ASK_MAX,
            attempts_max: ATTEMPTS_MAX,
            waits_for_server: false,
        }
    }

    /// For what has no idempotency key and must not be done twice.
    pub fn once() -> Self {
        Self {
            attempts_max: 1,
            ..Self::brief()
        }
    }

    /// For a command that only reads.
    pub fn of_a_read() -> Self {
        Self {
            deadline: Instant::now() + READ_MAX,
            ..Self::brief()
        }
    }

    /// Until the command's own deadline. Nothing is known of the server yet: nobody there is final at once.
    pub fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            attempts_max: u32::MAX,
            waits_for_server: false,
        }
    }

    /// Until the deadline, of a server that has answered before: it will be back.
    pub fn of_a_known_server(deadline: Instant) -> Self {
        Self {
            waits_for_server: true,
            ..Self::until(deadline)
        }
    }

    /// When an attempt, counted from 1, must be over.
    pub fn attempt_ends(&self, attempt: u32) -> Instant {
        if attempt == 1 {
            self.deadline.max(Instant::now()) + GRACE
        } else {
            self.deadline
        }
    }

    /// The time that is left after this pause, if there is to be another attempt.
    pub fn left_after(&self, attempt: u32, pause: Duration) -> Option<Duration> {
        let left = self
            .deadline
            .checked_duration_since(Instant::now() + pause)?;
        (attempt < self.attempts_max && !left.is_zero()).then_some(left)
    }
}
