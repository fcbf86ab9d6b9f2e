//! One mark: since when what it names is dead or stale.

use crate::stamp::{Newest, Stamp};
use latencify_conf::change::{Epoch, Mode};
use std::time::SystemTime;

/// How many soft purges of one target are told apart. Of more, the oldest are taken for one: the later in the order,
/// at the earlier time, so that what they cover is stale too early rather than too late.
const SOFT_TIMES_MAX: usize = 4;

/// When a mark was made, in the order that stamps use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By an entry of the log.
    Epoch(Epoch),
    /// By this edge alone.
    Local(u64),
}

/// What all purges of one target add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mark {
    hard_epoch: Epoch,
    hard_local: u64,
    /// In the order in which they were made; at most [`SOFT_TIMES_MAX`].
    soft: Vec<Soft>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Soft {
    order: Order,
    at: SystemTime,
}

impl Order {
    fn is_after(self, stamp: &Stamp) -> bool {
        match self {
            Self::Epoch(epoch) => epoch > stamp.epoch,
            Self::Local(local) => local > stamp.local,
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
                let soft = Soft { order, at };
                if !self.soft.contains(&soft) {
                    self.soft.push(soft);
                    self.join_oldest_soft();
                }
            }
        }
    }

    /// Adds all purges of another target to this one: for widening.
    pub(super) fn absorb(&mut self, other: Mark) {
        self.hard_epoch = self.hard_epoch.max(other.hard_epoch);
        self.hard_local = self.hard_local.max(other.hard_local);
        self.soft.extend(other.soft);
        self.soft.sort_by_key(|soft| soft.at);
        self.join_oldest_soft();
    }

    /// Whether an object of that stamp is dead by it.
    pub(super) fn kills(&self, stamp: &Stamp) -> bool {
        self.hard_epoch > stamp.epoch || self.hard_local > stamp.local
    }

    /// Since when an object of that stamp is stale by it.
    pub(super) fn stale_since(&self, stamp: &Stamp) -> Option<SystemTime> {
        self.soft
            .iter()
            .filter(|soft| soft.order.is_after(stamp))
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
                    next.order = later(next.order, joined.order);
                }
            }
        }
    }
}

fn later(a: Order, b: Order) -> Order {
    match (a, b) {
        (Order::Epoch(a), Order::Epoch(b)) => Order::Epoch(a.max(b)),
        (Order::Local(a), Order::Local(b)) => Order::Local(a.max(b)),
        (a, _) => a,
    }
}
