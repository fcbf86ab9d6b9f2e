//! Which history of a log this edge obeys, and what that means for those who name sites by its ids.
//!
//! A site's id is given by the fold of a log. A log that was put back to an older copy and written to may give it to another
//! site, under the same identity; purges of that history then name other ids than requests that were decided by a policy of the
//! former one. So a request says of which history its policy is ([`Arrival`]). Where that is not the one that is obeyed, it uses
//! nothing that is stored, nothing that it brings is stored, and what it purges is everything.

use super::{Fetching, Marks, Rules};
use crate::trust::Arrival;
use latencify_conf::{
    change::{Position, Target},
    digest::Digest,
};
use serde::{Deserialize, Serialize};
use std::{sync::atomic::Ordering, time::SystemTime};

/// One telling of a log, as this edge obeys it. Another one begins whenever the edge starts over; a restart keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(u64);

impl History {
    /// The one that begins when the edge starts over there, then. Nobody else's, and no other time's.
    pub(super) fn next(self, start: &Position, at: SystemTime) -> Self {
        let at = at.duration_since(SystemTime::UNIX_EPOCH);
        let parts = [
            &self.0.to_le_bytes()[..],
            start.log.0.as_bytes(),
            &start.epoch.0.to_le_bytes(),
            &start.hash.0,
            &at.unwrap_or_default().as_nanos().to_le_bytes(),
        ];
        let number = Digest::of_parts(parts).0.first_chunk().copied();
        Self(u64::from_le_bytes(number.unwrap_or_default()))
    }

    /// Of which history a policy is that was saved as one of `self`, in an edge that obeys `now`. Before an edge obeys any log,
    /// one is as good as another: whatever it stores is dead as soon as it does.
    pub fn of_saved(self, now: Self) -> Self {
        if now == Self::default() { now } else { self }
    }

    pub(super) fn number(self) -> u64 {
        self.0
    }
}

impl<R: Rules> Marks<R> {
    /// The history that is obeyed.
    pub fn history(&self) -> History {
        History(self.history.load(Ordering::Acquire))
    }

    /// Whether the ids of that history are those that are obeyed. What was found is used only if this is asked after it was found
    /// to live, and true: then it is of that history as well.
    pub fn is_of(&self, history: History) -> bool {
        !R::SAME_HISTORY || self.history() == history
    }

    /// A request has come, decided by a policy of that history: what begins to be fetched from now on began after it.
    pub fn arrive_under(&self, history: History) -> Arrival {
        Arrival {
            generation: self.generation.load(Ordering::Acquire),
            history,
        }
    }

    /// [Begins](Self::begin) a fetch or a validation for that request. None: nothing of what it brings is to be stored, since its
    /// policy is of another history than the stamp would be.
    pub fn begin_for(&self, arrival: Arrival) -> Option<Fetching> {
        self.begin_if(|| self.is_of(arrival.history))
    }

    /// What a request names of that history, to be purged here: of another one than is obeyed, its ids name nothing, and
    /// everything goes. To be asked when what makes the purge necessary is done: what begins to be fetched afterwards is newer.
    pub fn named(&self, target: Target, history: History) -> Target {
        if self.is_of(history) {
            target
        } else {
            Target::All
        }
    }

    /// To be called while a change holds the lock.
    pub(super) fn set_history(&self, history: History) {
        self.history.store(history.number(), Ordering::Release);
    }

    pub(super) fn history_after(&self, start: &Position) -> History {
        self.history().next(start, self.now())
    }
}
