//! Numbers for metrics.

use crate::{
    outcome::{Broken, Fault, Miss, Refusal},
    shared::Shared,
};
use std::sync::atomic::Ordering;

/// Numbers for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierCount {
    /// Whether the folder is open.
    pub is_ready: bool,
    /// Objects.
    pub objects: u64,
    /// Bytes of all files: what is counted against the bound, a segment under way with its full size.
    pub bytes: u64,
    /// The most bytes.
    pub bytes_max: u64,
    /// Segments.
    pub segments: u64,
    /// Fills under way.
    pub fills: u64,
    /// Bodies being read.
    pub bodies: u64,
    /// Bytes in memory that wait for the disk.
    pub queue_bytes: u64,
    /// Bytes in memory that are not stored, and wait for followers.
    pub passing_bytes: u64,
    /// Operations that wait to be written.
    pub queue: u64,
    /// Reads that wait.
    pub reads: u64,
    /// Objects found, so far.
    pub found: u64,
    /// Objects stored.
    pub stored: u64,
    /// Objects evicted.
    pub evicted: u64,
    /// Bytes written to segments.
    pub written_bytes: u64,
    /// Of those, bytes that were written again because their object was asked for.
    pub rewritten_bytes: u64,
    /// Times that the index was written down.
    pub snapshots: u64,
    /// Times that the folder was opened.
    pub openings: u64,
    /// Look-ups that found nothing, by reason.
    pub misses: [(Miss, u64); Miss::ALL.len()],
    /// What was not stored, by reason.
    pub refusals: [(Refusal, u64); Refusal::ALL.len()],
    /// Bodies that could not be read on, by reason.
    pub broken: [(Broken, u64); Broken::ALL.len()],
    /// What was found wrong.
    pub faults: [(Fault, u64); Fault::ALL.len()],
}

impl TierCount {
    pub(crate) fn of(shared: &Shared) -> Self {
        let Shared {
            numbers, counters, ..
        } = shared;
        Self {
            is_ready: shared.queue.is_ready(),
            objects: shared.index.len(),
            bytes: numbers.disk_bytes.load(Ordering::Relaxed),
            bytes_max: shared.settings.bytes_max,
            segments: shared.segments.len() as u64,
            fills: shared.fills.len() as u64,
            bodies: shared.bodies() as u64,
            queue_bytes: shared.memory.used(),
            passing_bytes: shared.passing.used(),
            queue: shared.queue.len() as u64,
            reads: shared.pool.waiting() as u64,
            found: numbers.found.load(Ordering::Relaxed),
            stored: numbers.stored.load(Ordering::Relaxed),
            evicted: numbers.evicted.load(Ordering::Relaxed),
            written_bytes: numbers.written_bytes.load(Ordering::Relaxed),
            rewritten_bytes: numbers.rewritten_bytes.load(Ordering::Relaxed),
            snapshots: numbers.snapshots.load(Ordering::Relaxed),
            openings: numbers.openings.load(Ordering::Relaxed),
            misses: Miss::ALL.map(|miss| (miss, counters.read(miss))),
            refusals: Refusal::ALL.map(|refusal| (refusal, counters.read(refusal))),
            broken: Broken::ALL.map(|broken| (broken, counters.read(broken))),
            faults: Fault::ALL.map(|fault| (fault, counters.read(fault))),
        }
    }
}
