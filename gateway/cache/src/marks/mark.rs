//! One mark: since when what it names is dead or stale.

use crate::stamp::{Floor, Newest, Stamp};
use latencify_conf::change::{Epoch, Mode};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// How many soft purges of one target are told apart. Of more, the oldest are taken for one: the later in the order,
/// at the earlier time, so that what they cover is stale too early rather than too late.
const SOFT_TIMES_MAX: usize = 4;

/// When a mark was made, in the order that stamps use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// By an entry of the log.
    Epoch(Epoch),
    /// By this edge alone.
    Local(u64),
}

/// What all purges of one target add up to. Written to disk as it is, in [snapshots](super::MarksSnapshot).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Mark {
    #[serde(skip_serializing_if = "is_zero_epoch")]
    hard_epoch: Epoch,
    #[serde(skip_serializing_if = "is_zero")]
    hard_local: u64,
    /// In their order; at most [`SOFT_TIMES_MAX`] of each kind of order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    soft: Vec<Soft>,
}

/// Compared by time first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Soft {
    #[serde(with = "nanoseconds")]
    at: SystemTime,
    order: Order,
}

impl Order {
    fn is_after(self, place: Floor) -> bool {
        match self {
            Self::Epoch(epoch) => epoch > place.epoch,
            Self::Local(local) => local > place.local,
        }
    }
}

impl Mark {
    /// Adds one purge.
    pub(super) fn add(&mut self, order: Order, mode: Mode, at: SystemTime) {
        match (mode, order) {
            (Mode::Hard, Order::Epoch(epoch)) => self.hard_epoch = self.hard_epoch.max(epoch),
            (Mode::Hard, Order::Local(local)) => self.hard_local = self.hard_local.max(local),
            (Mode::Soft, order) => {
                let soft = Soft { at, order };
                self.soft.push(soft);
                self.tidy_soft();
            }
        }
    }

    /// Adds all purges of another target to this one: for widening.
    pub(super) fn absorb(&mut self, other: Mark) {
        self.hard_epoch = self.hard_epoch.max(other.hard_epoch);
        self.hard_local = self.hard_local.max(other.hard_local);
        self.soft.extend(other.soft);
        self.tidy_soft();
    }

    /// Takes all purges of a mark that goes. True.
    pub(super) fn take(&mut self, other: &mut Mark) -> bool {
        self.absorb(std::mem::take(other));
        true
    }

    /// Whether an object of that stamp is dead by it.
    pub(super) fn kills(&self, stamp: &Stamp) -> bool {
        self.hard().is_above(stamp)
    }

    /// Since when an object of that stamp is stale by it.
    pub(super) fn stale_since(&self, stamp: &Stamp) -> Option<SystemTime> {
        self.soft
            .iter()
            .filter(|soft| soft.order.is_after(stamp.place()))
            .map(|soft| soft.at)
            .min()
    }

    /// Raises `newest` to cover it.
    pub(super) fn raise(&self, newest: &mut Newest) {
        newest.epoch = newest.epoch.max(self.hard_epoch);
        newest.local = newest.local.max(self.hard_local);
        for soft in &self.soft {
            match soft.order {
                Order::Epoch(epoch) => newest.epoch = newest.epoch.max(epoch),
                Order::Local(local) => newest.local = newest.local.max(local),
            }
        }
    }

    /// Forgets what says nothing of stamps at or above a floor. Whether nothing is left.
    pub(super) fn forget(&mut self, floor: Floor) -> bool {
        if self.hard_epoch <= floor.epoch {
            self.hard_epoch = Epoch(0);
        }
        if self.hard_local <= floor.local {
            self.hard_local = 0;
        }
        self.soft.retain(|soft| soft.order.is_after(floor));
        *self == Self::default()
    }

    /// Whether everything that the other says of an object, this one says of it at least as strictly, if it matches it.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let softer = |soft: &Soft| {
            !soft.order.is_after(self.hard())
                || self
                    .soft
                    .iter()
                    .any(|own| own.at <= soft.at && later(own.order, soft.order) == Some(own.order))
        };
        self.hard_epoch >= other.hard_epoch
            && self.hard_local >= other.hard_local
            && other.soft.iter().all(softer)
    }

    fn hard(&self) -> Floor {
        Floor {
            epoch: self.hard_epoch,
            local: self.hard_local,
        }
    }

    fn tidy_soft(&mut self) {
        self.soft.sort_unstable();
        self.soft.dedup();
        self.join_oldest_soft();
        self.soft.sort_unstable();
    }

    /// Two soft purges of one kind of order become one when there are too many. Both kinds together are bounded by
    /// twice the maximum.
    fn join_oldest_soft(&mut self) {
        for of_log in [true, false] {
            let is_kind = |soft: &Soft| matches!(soft.order, Order::Epoch(_)) == of_log;
            while self.soft.iter().filter(|soft| is_kind(soft)).count() > SOFT_TIMES_MAX {
                let Some(oldest) = self.soft.iter().position(is_kind) else {
                    return;
                };
                let joined = self.soft.remove(oldest);
                if let Some(next) = self.soft.iter_mut().find(|soft| is_kind(soft)) {
                    next.at = next.at.min(joined.at);
                    next.order = later(next.order, joined.order).unwrap_or(next.order);
                }
            }
        }
    }
}

/// The later of two orders of one kind; none of two kinds.
fn later(a: Order, b: Order) -> Option<Order> {
    match (a, b) {
        (Order::Epoch(a), Order::Epoch(b)) => Some(Order::Epoch(a.max(b))),
        (Order::Local(a), Order::Local(b)) => Some(Order::Local(a.max(b))),
        _ => None,
    }
}

// Serde hands both over by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero_epoch(epoch: &Epoch) -> bool {
    epoch.0 == 0
}

/// A time as nanoseconds since 1970: exact until 2554.
mod nanoseconds {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::{Duration, SystemTime};

    // Serde hands it over by reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(super) fn serialize<S: Serializer>(at: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        let since = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        to.serialize_u64(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        let nanos = u64::deserialize(from)?;
        Ok(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos))
    }
}
