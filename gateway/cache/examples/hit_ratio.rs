//! How often each way of evicting hits, on the same seeded traces: `cargo run --release -p latencify-cache --example hit_ratio`.
//!
//! Objects of one size are asked for by Zipf's law (0.9). Beside that, objects are asked for once, or a scan goes over all of
//! them now and then. A cache holds a share of all objects.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a measuring program

use bytes::Bytes;
use latencify_cache::{Cache, Eviction, Expectation, Identity, KeyRef, Marks, Record};
use latencify_conf::change::SiteId;
use std::sync::Arc;

const OBJECTS: usize = 50_000;
const REQUESTS: usize = 1_000_000;
const BODY_BYTES: usize = 1_024;
const ZIPF: f64 = 0.9;
const SEED: u64 = 1;
/// Shares of the objects that a cache holds, in percent.
const SHARES: [usize; 4] = [1, 5, 10, 25];

/// What is asked for.
#[derive(Clone, Copy)]
enum Trace {
    /// By Zipf's law alone.
    Zipf,
    /// Every so many-th request is for something that nobody asks for again.
    OneHitWonders { every: usize },
    /// After so many requests, a scan asks once for each object.
    Scans { after: usize },
}

const TRACES: [(&str, Trace); 3] = [
    ("Zipf 0.9", Trace::Zipf),
    (
        "every 2nd is asked for once",
        Trace::OneHitWonders { every: 2 },
    ),
    ("a scan each 200,000", Trace::Scans { after: 200_000 }),
];

fn main() {
    let zipf = cumulated();
    let names: Vec<_> = Eviction::ALL.iter().map(|way| way.name()).collect();
    println!(
        "{:30} {:>6} {:>9} {:>9}",
        "trace", "cached", names[0], names[1]
    );
    for (name, trace) in TRACES {
        for share in SHARES {
            let ratios = Eviction::ALL.map(|eviction| hit_ratio(trace, share, eviction, &zipf));
            let [first, second] = ratios.map(|ratio| format!("{:.1} %", 100.0 * ratio));
            println!(
                "{name:30} {:>6} {first:>9} {second:>9}",
                format!("{share} %")
            );
        }
    }
}

/// The share of Zipf's requests that hit; those that come on top of them are not counted.
fn hit_ratio(trace: Trace, share: usize, eviction: Eviction, zipf: &[f64]) -> f64 {
    let bytes_each = bytes_of_one(eviction);
    let held = OBJECTS * share / 100;
    let cache = Cache::open(bytes_each * held as u64, eviction, Marks::new());
    let mut numbers = Numbers(SEED);
    let (mut hits, mut counted, mut wonders) = (0, 0, OBJECTS);
    for request in 0..REQUESTS {
        match trace {
            Trace::OneHitWonders { every } if request % every == 0 => {
                wonders += 1;
                ask(&cache, wonders);
            }
            Trace::Scans { after } if request > 0 && request % after == 0 => {
                for object in 0..OBJECTS {
                    ask(&cache, object);
                }
            }
            _ => {
                counted += 1;
                let at = numbers.below_one();
                hits += usize::from(ask(&cache, zipf.partition_point(|sum| *sum < at)));
            }
        }
    }
    hits as f64 / f64::from(counted)
}

/// What the cache charges for one.
fn bytes_of_one(eviction: Eviction) -> u64 {
    let cache = Cache::open(u64::MAX, eviction, Marks::new());
    ask(&cache, 0);
    cache.count().bytes
}

/// Asks for an object, and stores it if it is not there. Whether it was.
fn ask(cache: &Arc<Cache<()>>, object: usize) -> bool {
    let path = format!("/{object:08}");
    let key = KeyRef {
        primary: path.as_bytes(),
        variance: None,
    };
    if cache.find(key).is_some() {
        return true;
    }
    let fetching = cache.begin_fetch();
    let record = Record::of_fetch(Identity::untagged(SiteId(1), &*path), *fetching, ());
    let expectation = Expectation {
        bytes: Some(BODY_BYTES as u64),
        bytes_max: u64::MAX,
    };
    let mut writer = cache.fill(key, record, expectation).unwrap();
    writer.write(&Bytes::from_static(&[0; BODY_BYTES])).unwrap();
    writer.finish().unwrap();
    false
}

/// Of each object, how likely it or one that is asked for more often is asked for.
fn cumulated() -> Vec<f64> {
    let weight = |rank: usize| (rank as f64).powf(-ZIPF);
    let all: f64 = (1..=OBJECTS).map(weight).sum();
    let sums = (1..=OBJECTS).scan(0.0, |sum, rank| {
        *sum += weight(rank) / all;
        Some(*sum)
    });
    sums.collect()
}

/// A cheap sequence of numbers that differs by seed (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below_one(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
