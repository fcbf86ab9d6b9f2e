//! What the cache counts, for metrics.

use crate::refusal::Refusal;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Numbers of one cache.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CacheCount {
    /// Objects stored.
    pub objects: u64,
    /// Bodies under way that may be stored.
    pub fills: u64,
    /// Bytes charged: objects and fills, with what they cost beside their bodies.
    pub bytes: u64,
    /// The most bytes that may be charged.
    pub bytes_max: u64,
    /// The most bytes that were ever charged.
    pub bytes_peak: u64,
    /// Bytes of those that left the cache while somebody reads them.
    pub lingering_bytes: u64,
    /// Bytes of those charged that are of bodies under way, small ones aside.
    pub filling_bytes: u64,
    /// Bytes that bodies hold which pass through without being stored.
    pub passing_bytes: u64,
    /// Objects evicted to make room, so far.
    pub evicted: u64,
    /// Bodies that slow readers of evicted objects lost, so far.
    pub withdrawn: u64,
    /// Bodies under way that were too slow to be stored, so far.
    pub given_up: u64,
    /// Objects taken out because a look-up found them dead, so far.
    pub dead: u64,
    /// Dead objects that sweeps took out, so far.
    pub swept: u64,
    /// Rounds that sweeps have ended, so far.
    pub sweep_rounds: u64,
    /// Objects stored, so far.
    pub stored: u64,
    /// Objects stored that another tier had, so far.
    pub promoted: u64,
    /// Objects whose metadata a validation renewed, so far.
    pub revalidated: u64,
    /// What was not stored and why, so far; names are stable.
    pub refused: Vec<(&'static str, u64)>,
    /// Keys that are remembered as uncacheable.
    pub hit_for_miss: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) evicted: AtomicU64,
    pub(crate) withdrawn: AtomicU64,
    pub(crate) given_up: AtomicU64,
    pub(crate) promoted: AtomicU64,
    pub(crate) dead: AtomicU64,
    pub(crate) swept: AtomicU64,
    pub(crate) rounds: AtomicU64,
    pub(crate) stored: AtomicU64,
    pub(crate) revalidated: AtomicU64,
    pub(crate) passing_bytes: Arc<AtomicU64>,
    refused: [AtomicU64; Refusal::ALL.len()],
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self, refusal: Refusal) {
        if let Some(counter) = self.refused.get(refusal as usize) {
            Self::add(counter);
        }
    }

    pub(crate) fn read(&self) -> CacheCount {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheCount {
            evicted: read(&self.evicted),
            withdrawn: read(&self.withdrawn),
            given_up: read(&self.given_up),
            promoted: read(&self.promoted),
            dead: read(&self.dead),
            swept: read(&self.swept),
            sweep_rounds: read(&self.rounds),
            stored: read(&self.stored),
            revalidated: read(&self.revalidated),
            passing_bytes: read(&self.passing_bytes),
            refused: Refusal::ALL
                .iter()
                .zip(&self.refused)
                .map(|(why, counter)| (why.name(), read(counter)))
                .collect(),
            ..CacheCount::default()
        }
    }
}
