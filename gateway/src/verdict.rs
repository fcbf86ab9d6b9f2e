//! What a request may do with something stored: isolation, marks and freshness, asked in this order, without Pingora. The phases
//! and the simulation of fleets ask here, so there is one answer.

use crate::fleet::Isolated;
use latencify_cache::{
    Arrival, Cache, Judged, Liveness, Metadata, Record, StaleRefusal, Trust, rules::Rules,
};
use latencify_decide::freshness::{Lifetime, RequestDirectives, Reuse, reuse};
use std::time::SystemTime;

/// Who asks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What the client demands.
    pub directives: &'a RequestDirectives,
    /// When the request came, in the order in which fetches begin.
    pub arrival: Arrival,
    /// The time by the wall.
    pub now: SystemTime,
}

/// What was found about something stored that lives.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    /// Since when a soft purge makes it stale.
    pub soft_purged: Option<SystemTime>,
    /// What its lifetime lets it do.
    pub reuse: Reuse,
    /// It would have answered, and a purge of it may be missing here.
    pub isolated: Option<Isolated>,
}

/// What may be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It answers.
    Answer,
    /// It is stale: whether it answers while, or because, the origin is asked is [asked](ask_before_stale) then.
    Stale,
    /// It answers only when the origin says that it holds.
    Validate,
    /// The request is refused, because it would have answered.
    Refuse,
}

/// Why something stale does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Barred {
    /// As the cache says it.
    pub why: StaleRefusal,
    /// If that is isolation: which.
    pub isolated: Option<Isolated>,
}

impl Verdict {
    /// What may be done with it.
    pub fn lets(&self) -> Use {
        match self.isolated {
            Some(isolated) if isolated.refuses() => Use::Refuse,
            // Neither it nor anything stale.
            Some(isolated) if isolated.doubts() => Use::Validate,
            _ => match self.reuse {
                Reuse::Fresh | Reuse::StaleAccepted => Use::Answer,
                Reuse::StaleWhileRevalidate | Reuse::Revalidate(_) => Use::Stale,
            },
        }
    }
}

/// Judges something stored that was found; none: it was purged since, or is not what the request's policy names so. The marks that the look-up saw may be from before the
/// edge caught up: they are asked again, after `isolated`.
pub fn judge<M: Metadata, R: Rules>(
    cache: &Cache<M, R>,
    record: &Record<M>,
    lifetime: &Lifetime,
    asked: Asked<'_>,
    isolated: impl FnOnce() -> Option<Isolated>,
) -> Option<Verdict> {
    let mut isolation = None;
    let judged = cache.judge(record, || {
        isolation = isolated();
        isolation.map_or(Trust::Marks, |_| Trust::Isolated(asked.arrival))
    });
    // After the marks: what lives is of the history that is obeyed. Ids of another may have named something else.
    if !cache.marks().is_of(asked.arrival.history()) {
        return None;
    }
    let (liveness, is_doubtful) = match judged {
        Judged::Dead(_) => return None,
        Judged::Usable(liveness) => (liveness, false),
        Judged::Doubtful(liveness) => (liveness, true),
    };
    let soft_purged = match liveness {
        Liveness::SoftPurged { since } => Some(since),
        Liveness::Live | Liveness::Dead(_) => None,
    };
    let reuse = reuse(lifetime, soft_purged, asked.directives, asked.now);
    let would_answer = !matches!(reuse, Reuse::Revalidate(_));
    Some(Verdict {
        soft_purged,
        reuse,
        isolated: isolation.filter(|_| would_answer && is_doubtful),
    })
}

/// Whether something stale that was found, and was `found` live then, may be served after all: purged since, or isolated since?
/// To be asked directly before it is served.
pub fn ask_before_stale<M: Metadata, R: Rules>(
    cache: &Cache<M, R>,
    record: &Record<M>,
    found: Liveness,
    arrival: Arrival,
    isolated: impl FnOnce() -> Option<Isolated>,
) -> Result<Liveness, Barred> {
    let isolated = isolated().filter(|isolated| isolated.doubts());
    let trust = isolated.map_or(Trust::Marks, |_| Trust::Isolated(arrival));
    cache
        .ask_before_stale(record, found, trust)
        .map_err(|why| Barred {
            why,
            isolated: isolated.filter(|_| why == StaleRefusal::Isolated),
        })
}
