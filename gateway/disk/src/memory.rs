//! Bytes of bodies and heads that wait for the disk: bounded over all fills.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What may wait.
#[derive(Debug)]
pub(crate) struct Memory {
    used: AtomicU64,
    max: u64,
}

/// Bytes that wait. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    memory: Arc<Memory>,
    bytes: u64,
}

impl Memory {
    pub(crate) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicU64::new(0),
            max,
        })
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Charges bytes; none: that would be too many.
    pub(crate) fn charge(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        let mut charge = Charge {
            memory: Arc::clone(self),
            bytes: 0,
        };
        charge.grow(bytes).then_some(charge)
    }
}

impl Charge {
    /// Charges more. False: that would be too many.
    pub(crate) fn grow(&mut self, bytes: u64) -> bool {
        let max = self.memory.max;
        let more = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= max);
        let is_charged = self
            .memory
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok();
        if is_charged {
            self.bytes += bytes;
        }
        is_charged
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives some back.
    pub(crate) fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.memory.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}
