//! What an isolated edge does with a request that a stored response would answer.

use crate::{
    errors::Fault,
    fleet::{Isolated, WhenIsolated},
    respond::{Refusal, Stop},
};
use http::{HeaderValue, header};
use latencify_conf::link::edge::Isolation;

/// The name of it in `Cache-Status`, records and problems.
pub const ISOLATED: &str = "isolated";
/// Control's absence is short, or long: this often is no burden. Seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

impl Isolated {
    /// Whether what was stored before the request came may not be used as it is.
    pub fn doubts(self) -> bool {
        // No receipt says `missing` of an edge that has left: `serve` is a promise of members.
        self.does != WhenIsolated::Serve || self.why == Isolation::Left
    }

    /// Whether a request that it would have answered is refused.
    pub fn refuses(self) -> bool {
        self.does == WhenIsolated::Refuse
    }

    /// The step of the decision, for the record.
    pub fn step(self) -> &'static str {
        match self.why {
            Isolation::NotJoined => "isolated:not_joined",
            Isolation::LeaseOver => "isolated:lease_over",
            Isolation::Removed => "isolated:removed",
            Isolation::CatchingUp => "isolated:catching_up",
            Isolation::Left => "isolated:left",
        }
    }

    /// The answer to a request that is refused.
    pub fn refusal(self) -> Stop {
        Stop::Fault(Refusal {
            fault: Fault::Isolated,
            kind: None,
            detail: None,
            headers: vec![(header::RETRY_AFTER, RETRY_AFTER)],
        })
    }
}
