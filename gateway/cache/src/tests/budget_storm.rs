//! Bytes stay within the budget whatever happens, those under way included, and come back in the end.

use super::*;
use crate::index::SHARDS;
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const BYTES_MAX: u64 = 4 << 20;

/// A cheap sequence of numbers that differs by seed (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 27)) % bound
    }
}

fn storm(cache: &Arc<Cache<()>>, seed: u64, rounds: usize, stored: &AtomicU64) {
    let mut numbers = Numbers(seed);
    let mut held = Vec::new();
    for _ in 0..rounds {
        let name = format!("/{}", numbers.below(300));
        match numbers.below(10) {
            0..5 => {
                let length = numbers.below(200_000);
                let known = (numbers.below(2) == 0).then_some(length);
                let Ok(mut writer) = begin(
                    cache,
                    &name,
                    Expectation {
                        bytes: known,
                        bytes_max: 150_000,
                    },
                ) else {
                    continue;
                };
                let mut left = length;
                while left > 0 {
                    let piece = left.min(1 + numbers.below(40_000));
                    left -= piece;
                    if writer.write(&Bytes::from(vec![7; piece as usize])).is_err() {
                        break;
                    }
                }
                match numbers.below(8) {
                    0 => drop(writer),
                    _ => {
                        stored.fetch_add(u64::from(writer.finish().is_ok()), Ordering::Relaxed);
                    }
                }
            }
            5..8 => held.extend(cache.find(key(&name))),
            8 => held.clear(),
            _ => {
                cache.marks().local_purge(&url(&name), Mode::Hard);
            }
        }
        if held.len() > 20 {
            held.clear();
        }
    }
}

#[test]
fn a_storm_of_fills_readers_and_purges_never_exceeds_the_budget() {
    let (cache, over, stored) = (cache(BYTES_MAX), AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (cache, stored) = (&cache, &stored);
        let workers: Vec<_> = (0..4)
            .map(|seed| scope.spawn(move || storm(cache, seed, 1_500, stored)))
            .collect();
        let watch = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                assert!(cache.count().bytes <= BYTES_MAX);
                std::thread::yield_now();
            }
        });
        for worker in workers {
            worker.join().unwrap();
        }
        over.store(true, Ordering::Relaxed);
        watch.join().unwrap();
    });
    let count = cache.count();
    assert!(count.bytes_peak <= BYTES_MAX, "{count:?}");
    assert!(
        stored.load(Ordering::Relaxed) > 100 && count.evicted > 100,
        "the storm did blow: {count:?}"
    );
    assert_eq!((count.fills, count.passing_bytes), (0, 0), "{count:?}");
    while cache.index.evict() {}
    let count = cache.count();
    assert_eq!(
        (count.objects, count.bytes),
        (0, 0),
        "all bytes come back: {count:?}"
    );
}

/// However chance spreads the keys, which it does anew for each cache.
#[test]
fn what_is_read_again_outlives_a_scan_unless_the_last_read_is_all_that_counts() {
    for _ in 0..32 {
        assert_eq!(kept_of_20_behind_a_scan(Eviction::S3Fifo), 20);
    }
    assert_eq!(kept_of_20_behind_a_scan(Eviction::Lru), 0, "to compare");
}

#[test]
fn evictions_leave_every_shard_as_many_objects() {
    const OBJECTS: usize = 16 * SHARDS;
    let one = {
        let cache = cache(PLENTY);
        put(&cache, "/000000", "x").unwrap();
        cache.count().bytes
    };
    let cache = cache(one * OBJECTS as u64);
    for name in 0..20 * OBJECTS {
        put(&cache, &format!("/{name:06}"), "x").unwrap();
    }
    let held: Vec<_> = cache.index.held().collect();
    assert!(cache.count().evicted > 18 * OBJECTS as u64);
    // None is poor; chance may have brought one of them less of late.
    assert!(held.iter().all(|held| (8..=24).contains(held)), "{held:?}");
}

/// How many of 20 objects, which were read again before it, outlive a scan of far more than fits into a small cache.
fn kept_of_20_behind_a_scan(eviction: Eviction) -> usize {
    let cache: Arc<Cache<()>> = Cache::open(1 << 19, eviction, Marks::new());
    let large = vec![1; 700];
    for name in 0..20 {
        put(&cache, &format!("/hot/{name}"), large.clone()).unwrap();
    }
    for _ in 0..3 {
        for name in 0..20 {
            assert!(cache.find(key(&format!("/hot/{name}"))).is_some());
        }
    }
    for round in 0..2_000 {
        put(&cache, &format!("/scan/{round}"), large.clone()).unwrap();
    }
    assert!(cache.count().evicted > 1_000);
    (0..20)
        .filter(|name| cache.find(key(&format!("/hot/{name}"))).is_some())
        .count()
}
