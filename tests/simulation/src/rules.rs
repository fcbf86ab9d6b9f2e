//! The engine's rules: all of them kept, or one of them broken.

use crate::edge::interleave;
use latencify_cache::rules::{Point, Rules};
use std::{
    cell::Cell,
    sync::OnceLock,
    time::{Duration, Instant},
};

thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Turns the monotonic clock of this thread's world.
pub fn turn(now: Duration) {
    NOW.set(now);
}

/// An `Instant` can only be had of the machine: all worlds begin at the same.
fn instant() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now) + NOW.get()
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $name:ident { $($rule:ident = $value:literal),* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Rules for $name {
            $(const $rule: bool = $value;)*

            fn hasher() -> ahash::RandomState {
                // Any keys, but always the same.
                ahash::RandomState::with_seeds(1, 2, 3, 4)
            }

            fn now() -> Instant {
                instant()
            }

            fn reach(point: Point) {
                interleave::reach(point);
            }
        }
    )*};
}

rules! {
    /// As it ships, but for those who come between two steps.
    Shipped {}
    /// Nothing is dead.
    WithoutLive { LIVE = false }
    /// Whoever comes last is stored.
    WithoutGenerations { GENERATIONS = false }
    /// The counter is bumped before the change is published.
    CounterFirst { PUBLISH_BEFORE_COUNTER = false }
    /// The counter is loaded after the marks were looked at.
    LookFirst { COUNTER_BEFORE_LOOK = false }
    /// Whoever judges asks the marks first, and then how far they may be trusted.
    MarksFirst { TRUST_BEFORE_LOOK = false }
    /// What was found stale is served as it was found.
    StaleAsFound { ASK_AGAIN_BEFORE_STALE = false }
    /// An isolated edge serves as if it were not.
    ServesIsolated { FETCHED_AFTER_ARRIVAL = false }
    /// What a request of before the edge started over brings is stored and used all the same.
    AnyHistory { SAME_HISTORY = false }
}
