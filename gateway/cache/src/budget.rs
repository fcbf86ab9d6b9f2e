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
    bytes: u64,
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
            bytes,
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
        self.bytes
    }

    /// Adds another charge of the same budget to this one.
    pub fn absorb(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Gives back what is charged above `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        if let Some(excess) = self.bytes.checked_sub(bytes) {
            self.bytes = bytes;
            self.budget.used.fetch_sub(excess, Ordering::AcqRel);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_never_exceed_the_budget_and_come_back() {
        let budget = Budget::new(100);
        let mut first = budget.try_charge(60).unwrap();
        assert!(budget.try_charge(41).is_none());
        let second = budget.try_charge(40).unwrap();
        assert!(budget.try_charge(u64::MAX).is_none(), "no overflow");
        first.absorb(second);
        assert_eq!((first.bytes(), budget.used()), (100, 100));
        first.shrink_to(10);
        first.shrink_to(50);
        assert_eq!((first.bytes(), budget.used(), budget.peak()), (10, 10, 100));
        drop(first);
        assert_eq!(budget.used(), 0);
    }
}
