//! Bytes stay within the budget whatever happens, those under way included, and come back in the end.

use super::*;
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

#[test]
fn what_is_read_again_outlives_a_scan() {
    let cache = cache(8 << 20);
    let large = vec![1; 4_000];
    for name in 0..20 {
        put(&cache, &format!("/hot/{name}"), large.clone()).unwrap();
    }
    for round in 0..5_000 {
        for name in 0..20 {
            if round % 10 == 0 {
                cache.find(key(&format!("/hot/{name}")));
            }
        }
        put(&cache, &format!("/scan/{round}"), large.clone()).unwrap();
    }
    let kept = (0..20)
        .filter(|name| cache.find(key(&format!("/hot/{name}"))).is_some())
        .count();
    assert!(cache.count().evicted > 3_000);
    assert_eq!(
        kept, 20,
        "objects that are read stay while objects that are read once go by"
    );
}

#[test]
fn what_is_being_read_is_not_evicted_and_a_fill_without_room_passes() {
    let cache = cache(100_000);
    let mut readers = Vec::new();
    for name in 0..4 {
        put(&cache, &format!("/{name}"), vec![1; 20_000]).unwrap();
        readers.push(cache.find(key(&format!("/{name}"))).unwrap());
    }
    assert_eq!(
        put(&cache, "/more", vec![1; 20_000]).unwrap_err(),
        Refusal::NoRoom
    );
    assert!(
        cache.is_uncacheable(key("/more")),
        "its requests do not queue"
    );
    drop(readers);
    put(&cache, "/more", vec![1; 20_000]).unwrap();
    assert!(!cache.is_uncacheable(key("/more")));
    assert!(cache.count().bytes <= 100_000);
}
