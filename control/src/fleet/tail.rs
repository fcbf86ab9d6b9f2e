//! The newest accepted entries in memory, so that live edges cost the store nothing.

use latencify_conf::{change::Position, link::replica::Accepted};
use parking_lot::RwLock;
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// Entries that are kept. An edge that is further behind reads from the store.
const ENTRIES_MAX: usize = 4096;
/// Bytes of entries that are kept.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Entries that one look takes.
const LOOK_MAX: usize = 64;

/// The newest accepted entries. A clone is the same tail.
#[derive(Clone, Default)]
pub struct Tail {
    ring: Arc<RwLock<Ring>>,
}

#[derive(Default)]
struct Ring {
    entries: VecDeque<(Arc<Accepted>, Instant)>,
    bytes: usize,
}

impl Tail {
    /// Takes in entries that follow the last one. Their acceptance is now, on this replica's clock.
    pub fn extend(&self, accepted: impl Iterator<Item = Arc<Accepted>>) {
        let now = Instant::now();
        let mut ring = self.ring.write();
        for entry in accepted {
            ring.bytes += entry.entry.len();
            ring.entries.push_back((entry, now));
        }
        while ring.entries.len() > ENTRIES_MAX || ring.bytes > BYTES_MAX {
            let Some((oldest, _)) = ring.entries.pop_front() else {
                break;
            };
            ring.bytes -= oldest.entry.len();
        }
    }

    /// The entries that follow a position, at most a handful; none when the tail does not reach back so far.
    pub fn after(&self, position: &Position) -> Option<Vec<Arc<Accepted>>> {
        let ring = self.ring.read();
        let at = ring
            .entries
            .partition_point(|(entry, _)| entry.previous.epoch < position.epoch);
        let follows = ring
            .entries
            .get(at)
            .is_some_and(|(entry, _)| entry.previous == *position);
        follows.then(|| {
            ring.entries
                .range(at..)
                .take(LOOK_MAX)
                .map(|(entry, _)| entry.clone())
                .collect()
        })
    }

    /// When an entry was accepted, on this replica's clock; none when it is not in the tail.
    pub fn accepted_at(&self, epoch: latencify_conf::change::Epoch) -> Option<Instant> {
        let ring = self.ring.read();
        let at = ring
            .entries
            .binary_search_by_key(&epoch, |(entry, _)| entry.position.epoch)
            .ok()?;
        ring.entries.get(at).map(|(_, accepted)| *accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use latencify_conf::{
        change::{Epoch, LogId},
        link::chain,
    };

    #[test]
    fn the_tail_gives_what_follows_and_forgets_the_oldest() {
        let tail = Tail::default();
        let genesis = chain::genesis(LogId(uuid::Uuid::nil()));
        assert!(
            tail.after(&genesis).is_none(),
            "an empty tail knows nothing"
        );
        let mut previous = genesis;
        let mut positions = vec![genesis];
        for number in 1..=ENTRIES_MAX as u64 + 10 {
            // Epochs need not be gapless.
            let position = chain::extend(&previous, Epoch(number * 2), b"x");
            let entry = Bytes::from_static(b"x");
            tail.extend(std::iter::once(Arc::new(Accepted {
                previous,
                position,
                entry,
            })));
            positions.push(position);
            previous = position;
        }
        assert!(tail.after(&positions[9]).is_none(), "too far back");
        let next = tail.after(&positions[10]).unwrap();
        assert_eq!((next.len(), next[0].previous), (LOOK_MAX, positions[10]));
        assert!(tail.after(&previous).is_none(), "nothing follows the head");
        let forged = Position {
            hash: genesis.hash,
            ..positions[20]
        };
        assert!(tail.after(&forged).is_none(), "the hash decides");
        assert!(tail.accepted_at(positions[50].epoch).is_some());
        assert!(tail.accepted_at(Epoch(1)).is_none());
    }
}
