//! The rules that the engine keeps, as a type: what ships is built with [`Kept`] and pays nothing for it; a simulation breaks
//! one rule at a time, and runs other requests between two steps of one.

use std::time::Instant;

/// Which rules are kept. Every constant is true, chance is chance and nothing happens at a point, unless a simulation says
/// otherwise.
pub trait Rules: Send + Sync + 'static {
    /// What a hard mark, the floor or another log names is dead.
    const LIVE: bool = true;
    /// A commit or a 304 never replaces what a later fetch brought, and an older fill is not offered.
    const GENERATIONS: bool = true;
    /// A change of the marks is published before their counter says so.
    const PUBLISH_BEFORE_COUNTER: bool = true;
    /// A look-up loads the counter before it looks at the marks.
    const COUNTER_BEFORE_LOOK: bool = true;
    /// Whoever judges what was found asks how far the marks may be trusted, and then the marks.
    const TRUST_BEFORE_LOOK: bool = true;
    /// Whoever serves stale asks the marks again first.
    const ASK_AGAIN_BEFORE_STALE: bool = true;
    /// An isolated edge uses only what began to be fetched after the request came.
    const FETCHED_AFTER_ARRIVAL: bool = true;

    /// A request whose policy is of another history than the one that is obeyed neither stores anything nor uses what is stored.
    const SAME_HISTORY: bool = true;

    /// Hashes keys: into shards, and for what is remembered of keys by their hash. By chance, so that no client can choose
    /// keys that meet.
    fn hasher() -> ahash::RandomState {
        ahash::RandomState::new()
    }

    /// The clock of periods for which a key is remembered.
    fn now() -> Instant {
        Instant::now()
    }

    /// The engine stands between two steps, with no lock held: whatever another thread could do here may be done,
    /// synchronously, calls into the same engine included.
    fn reach(_point: Point) {}
}

/// The rules that ship: all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept;

impl Rules for Kept {}

/// Between which two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// A change of the marks is published, and their counter not bumped yet.
    PublishAndBump,
    /// The marks were looked at, and the verdict not remembered yet.
    LookAndRemember,
    /// A look-up was offered what a key has, and has not asked the marks yet.
    OfferAndLook,
    /// It is known how far the marks may be trusted, and they were not asked yet.
    TrustAndLook,
    /// A fill was found live, and is not followed yet.
    LookAndFollow,
    /// A look-up or a sweep found an object dead, and has not taken it out yet.
    LookAndRemove,
    /// A complete body was found live, and is not stored yet.
    JudgeAndStore,
    /// A complete body is stored, and its fill not ended yet.
    StoreAndEnd,
    /// What a 304 renews was found live, and is not renewed yet.
    JudgeAndRenew,
    /// A sweep found an object live, and has not settled it yet.
    LookAndSettle,
    /// A sweep has gone over everything, and the floor has not risen yet.
    SweepAndRaise,
    /// A sweep has raised the floor, and has not forgotten the marks below it yet.
    RaiseAndForget,
}

impl Point {
    /// All of them, for a simulation that draws one.
    pub const ALL: [Self; 12] = [
        Self::PublishAndBump,
        Self::LookAndRemember,
        Self::OfferAndLook,
        Self::TrustAndLook,
        Self::LookAndFollow,
        Self::LookAndRemove,
        Self::JudgeAndStore,
        Self::StoreAndEnd,
        Self::JudgeAndRenew,
        Self::LookAndSettle,
        Self::SweepAndRaise,
        Self::RaiseAndForget,
    ];
}

/// Whether a generation is later than another, as far as the rules ask.
pub(crate) fn is_later<R: Rules>(generation: u64, than: u64) -> bool {
    !R::GENERATIONS || generation > than
}
