//! The numbers of attempts at one origin.

use prometheus::IntCounter;
use std::sync::OnceLock;

/// The outcome of nearly every attempt.
pub const ANSWERED: &str = "response";

/// What an origin keeps of its metrics, found when it is first needed: to find it each time is to hash labels under a lock.
#[derive(Default)]
pub struct OriginCounts {
    pub(super) answered: OnceLock<IntCounter>,
}
