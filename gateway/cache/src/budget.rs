//! Bytes in use, counted exactly: whatever holds cache memory holds a [`Charge`] for it, and gives it back when dropped.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The bytes that a cache may hold, stored or under way.
#[derive(Debug)]
pub struct Budget {
    bytes_max: u64,
    used: AtomicU64,
    peak: AtomicU64,
}

/// The right to hold some bytes.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: AtomicU64,
}

impl Budget {
    /// A budget of that many bytes, all free.
    pub fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
        })
    }

    /// The most bytes.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Bytes charged now.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The most bytes that were ever charged.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Charges bytes if they are free.
    pub fn try_charge(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        self.take(bytes).then(|| Charge {
            budget: Arc::clone(self),
            bytes: AtomicU64::new(bytes),
        })
    }

    fn take(&self, bytes: u64) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= self.bytes_max);
        match self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, fits)
        {
            Ok(before) => {
                self.peak.fetch_max(before + bytes, Ordering::Relaxed);
                true
            }
            Err(_) => false,
        }
    }
}

impl Charge {
    /// Bytes charged.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Adds another charge of the same budget to this one.
    pub fn absorb(&self, other: Self) {
        let bytes = other.bytes.swap(0, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes so many bytes out of it, or as many as there are, as a charge of their own.
    pub fn split(&self, bytes: u64) -> Self {
        Self {
            budget: Arc::clone(&self.budget),
            bytes: AtomicU64::new(self.take(bytes)),
        }
    }

    /// Gives so many bytes back, or as many as there are.
    pub fn give_back(&self, bytes: u64) {
        let bytes = self.take(bytes);
        self.budget.used.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Gives back what is charged above `bytes`.
    pub fn shrink_to(&self, bytes: u64) {
        self.give_back(self.bytes().saturating_sub(bytes));
    }

    /// Takes so many bytes, or as many as there are. Returns how many.
    fn take(&self, bytes: u64) -> u64 {
        let rest = |have: u64| Some(have.saturating_sub(bytes));
        let before = self
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
        before.unwrap_or_else(|same| same).min(bytes)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let bytes = *self.bytes.get_mut();
        self.budget.used.fetch_sub(bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_never_exceed_the_budget_and_come_back() {
        let budget = Budget::new(100);
        let first = budget.try_charge(60).unwrap();
        assert!(budget.try_charge(41).is_none());
        let second = budget.try_charge(40).unwrap();
        assert!(budget.try_charge(u64::MAX).is_none(), "no overflow");
        first.absorb(second);
        assert_eq!((first.bytes(), budget.used()), (100, 100));
        first.shrink_to(10);
        first.shrink_to(50);
        assert_eq!((first.bytes(), budget.used(), budget.peak()), (10, 10, 100));
        let part = first.split(7);
        assert_eq!((part.bytes(), first.bytes(), budget.used()), (7, 3, 10));
        first.give_back(5);
        assert_eq!((first.bytes(), budget.used()), (0, 7));
        drop((first, part));
        assert_eq!(budget.used(), 0);
    }
}
