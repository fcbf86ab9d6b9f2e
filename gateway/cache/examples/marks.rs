//! What marks cost while others wait for their lock, and what a sweep costs:
//! `cargo run --release -p latencify-cache --example marks`.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a measuring program

use latencify_cache::{
    Cache, Expectation, Identity, KeyRef, LocalMarks, MarkBounds, Marks, MarksSnapshot, Record,
    Sweep, Swept,
};
use latencify_conf::change::{Mode, SiteId, Target};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const SITE: SiteId = SiteId(1);
const OBJECTS: usize = 200_000;

fn main() {
    let marks = Marks::new();
    purges(&marks);
    snapshots(&marks);
    sweeps();
}

/// The longest that one purge holds the lock, the one that widens included.
fn purges(marks: &Marks) {
    let many = MarkBounds::default().marks_per_site;
    let longest = (0..many).map(|n| timed(|| purge(marks, n)).1).max();
    println!("{many} marks of a site; the longest purge took {longest:?}");
    let ((), widening) = timed(|| purge(marks, many));
    println!(
        "one more widens them to {} in {widening:?}",
        marks.count().marks
    );
    for n in 0..many / 2 {
        purge(marks, n);
    }
}

fn snapshots(marks: &Marks) {
    let (snapshot, took) = timed(|| marks.snapshot());
    let (written, encoding) = timed(|| snapshot.encode().unwrap());
    let again = Marks::new();
    let (read, decoding) = timed(|| MarksSnapshot::decode(&written).unwrap());
    let ((), restoring) = timed(|| again.restore(read, LocalMarks::Known));
    println!(
        "a snapshot of {} marks: taken in {took:?}, written ({} KiB) in {encoding:?}, read in {decoding:?}, restored in {restoring:?}",
        snapshot.len(),
        written.len() >> 10,
    );
}

fn sweeps() {
    let cache = Cache::new(4 << 30, Marks::new());
    for n in 0..OBJECTS {
        let path = path(n);
        let key = KeyRef {
            primary: path.as_bytes(),
            variance: None,
        };
        let fetching = cache.begin_fetch();
        let record = Record::of_fetch(Identity::untagged(SITE, &*path), *fetching, ());
        let expectation = Expectation {
            bytes: Some(0),
            bytes_max: u64::MAX,
        };
        cache
            .fill(key, record, expectation)
            .unwrap()
            .finish()
            .unwrap();
    }
    for n in 0..OBJECTS / 2 {
        purge(cache.marks(), n);
    }
    let mut sweep = Sweep::new(Arc::clone(&cache));
    let (mut walking, mut forgetting) = (Vec::new(), Vec::new());
    loop {
        let (swept, took) = timed(|| sweep.step(1_024));
        match swept {
            Swept::Walking => walking.push(took),
            Swept::Forgetting | Swept::Done => forgetting.push(took),
            Swept::Idle => break,
        }
    }
    let all: Duration = walking.iter().sum();
    println!(
        "a sweep of {OBJECTS} objects took out {}: {:?} each, the longest step of {} took {:?}",
        cache.count().swept,
        all / OBJECTS as u32,
        walking.len(),
        walking.iter().max()
    );
    println!(
        "then {} marks were forgotten; the longest step took {:?}",
        cache.marks().count().forgotten,
        forgetting.iter().max()
    );
}

fn path(n: usize) -> String {
    format!("/products/{}/{n}", n % 500)
}

fn purge(marks: &Marks, n: usize) {
    let target = Target::Url {
        site: SITE,
        path: path(n),
    };
    marks.local_purge(&target, Mode::Hard);
}

fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let outcome = act();
    (outcome, start.elapsed())
}
