//! The counter: once a purge is acknowledged, no look-up that begins later serves what was fetched before it. Each of
//! the two orders that this rests on has a test that puts the other side between its steps; then real threads.

use super::{
    interleave::{Interleaved, once},
    *,
};
use crate::rules::Point;
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

const READERS: usize = 4;
const RUN: Duration = Duration::from_millis(800);

/// The origin: its content is a version number, which grows before each purge.
#[derive(Default)]
struct World {
    version: AtomicU64,
    acknowledged: AtomicU64,
    over: AtomicBool,
    hits: AtomicU64,
    /// An object that was served although it was older than an acknowledged purge: (served, acknowledged).
    wrong: parking_lot::Mutex<Option<(u64, u64)>>,
}

fn served(cache: &Cache<()>, name: &str) -> Option<u64> {
    let bytes = match cache.find(key(name))?.reader {
        Reader::Stored(mut reader) => reader.read().ok()??,
        Reader::Following(_) => return None,
    };
    Some(u64::from_be_bytes(bytes.as_ref().try_into().ok()?))
}

fn read(world: &World, cache: &Arc<Cache<()>>, name: &str) {
    while !world.over.load(Ordering::Relaxed) {
        let acknowledged = world.acknowledged.load(Ordering::SeqCst);
        if let Some(version) = served(cache, name) {
            world.hits.fetch_add(1, Ordering::Relaxed);
            if version < acknowledged {
                *world.wrong.lock() = Some((version, acknowledged));
                world.over.store(true, Ordering::Relaxed);
            }
            continue;
        }
        let record = Record::of_fetch(identity(name, &["t"]), *cache.begin_fetch(), ());
        let version = world.version.load(Ordering::SeqCst);
        if let Ok(mut writer) = cache.fill(key(name), record, ANY_SIZE) {
            let _ = writer.write(&version.to_be_bytes().to_vec().into());
            let _ = writer.finish();
        }
    }
}

fn stored() -> (Arc<Marks<Interleaved>>, Arc<Record<()>>) {
    let marks = Marks::open(SteadyClock::start(), MarkBounds::default());
    let record = Arc::new(Record::of_fetch(identity("/a", &[]), *marks.begin(), ()));
    assert_eq!(record.liveness(&marks), Liveness::Live);
    (marks, record)
}

#[test]
fn a_change_is_published_before_the_counter_says_so() {
    let (marks, record) = stored();
    let reader = (Arc::clone(&marks), Arc::clone(&record));
    // If the counter went first, this look-up would remember "live" under the new counter.
    once(Point::PublishAndBump, move || {
        reader.1.liveness(&reader.0);
    });
    marks.local_purge(&url("/a"), Mode::Hard);
    assert!(record.liveness(&marks).is_dead());
}

#[test]
fn a_look_up_loads_the_counter_before_it_looks() {
    let (marks, record) = stored();
    marks.local_purge(&url("/other"), Mode::Hard);
    let purger = Arc::clone(&marks);
    // If the counter came after the look, "live" would be remembered under the counter of this purge.
    once(Point::LookAndRemember, move || {
        purger.local_purge(&url("/a"), Mode::Hard);
    });
    assert_eq!(
        record.liveness(&marks),
        Liveness::Live,
        "looked before the purge"
    );
    assert!(record.liveness(&marks).is_dead());
}

#[test]
fn no_look_up_after_an_acknowledged_purge_serves_what_is_older() {
    let (world, cache) = (World::default(), cache(PLENTY));
    let targets = [
        url("/a"),
        tag("t"),
        prefix("/"),
        Target::Site { site: SITE },
        Target::All,
    ];
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| read(&world, &cache, "/a"));
        }
        scope.spawn(|| {
            let mut sweep = Sweep::new(Arc::clone(&cache));
            while !world.over.load(Ordering::Relaxed) {
                sweep.step(1);
            }
        });
        let end = Instant::now() + RUN;
        let mut targets = targets.iter().cycle();
        while Instant::now() < end && !world.over.load(Ordering::Relaxed) {
            let version = world.version.fetch_add(1, Ordering::SeqCst) + 1;
            cache
                .marks()
                .local_purge(targets.next().unwrap(), Mode::Hard);
            world.acknowledged.store(version, Ordering::SeqCst);
            // Most rounds leave the readers time to fill and to hit again.
            if version % 4 != 0 {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        world.over.store(true, Ordering::Relaxed);
    });
    assert_eq!(*world.wrong.lock(), None, "(served, acknowledged)");
    assert!(world.hits.load(Ordering::Relaxed) > 0, "readers did hit");
    assert!(
        world.acknowledged.load(Ordering::Relaxed) > 10,
        "purges did happen"
    );
    assert!(cache.marks().count().forgotten > 0, "marks were forgotten");
}
