//! Whoever reads slowly can't hold the memory of all: what is read may be evicted, lingers within bounds, and is withdrawn from
//! those who are slow.

use super::*;
use crate::{
    rules::Rules,
    stream::{Broken, CHUNK_BYTES_MAX},
};
use std::{
    cell::Cell,
    sync::OnceLock,
    time::{Duration, Instant},
};

pub(super) const BYTES_MAX: u64 = 4 << 20;
/// Four of them fill the cache.
pub(super) const LARGE: usize = 1_000_000;

thread_local! {
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// A clock of each test's thread.
pub(super) struct Timed;

impl Rules for Timed {
    fn now() -> Instant {
        static START: OnceLock<Instant> = OnceLock::new();
        *START.get_or_init(Instant::now) + PASSED.get()
    }
}

pub(super) fn pass(time: Duration) {
    PASSED.set(PASSED.get() + time);
}

pub(super) struct World {
    pub(super) cache: Arc<Cache<(), Timed>>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::of(BYTES_MAX)
    }

    pub(super) fn of(bytes_max: u64) -> Self {
        let marks = Marks::open(
            ManualClock::at(std::time::SystemTime::UNIX_EPOCH),
            MarkBounds::default(),
        );
        Self {
            cache: Cache::new(bytes_max, marks),
        }
    }

    pub(super) fn put(&self, name: &str, bytes: usize) -> Result<(), Refusal> {
        let record = Record::of_fetch(identity(name, &[]), *self.cache.begin_fetch(), ());
        let mut writer = self.cache.fill(key(name), record, ANY_SIZE)?;
        for piece in vec![7; bytes].chunks(CHUNK_BYTES_MAX) {
            let written = writer.write(&bytes::Bytes::copy_from_slice(piece));
            written.map_err(|Abandoned(refusal)| refusal)?;
        }
        let stored = writer.finish();
        self.assert_bounds();
        stored
    }

    pub(super) fn find(&self, name: &str) -> Option<BodyReader> {
        match self.cache.find(key(name))?.reader {
            Reader::Stored(reader) => Some(reader),
            Reader::Following(_) => panic!("{name} is arriving"),
        }
    }

    pub(super) fn assert_bounds(&self) {
        let count = self.cache.count();
        assert!(count.bytes_peak <= BYTES_MAX, "{count:?}");
        assert!(
            count.lingering_bytes <= BYTES_MAX / LINGER_SHARE,
            "{count:?}"
        );
    }

    /// Fills the cache with large objects, each of which is being read.
    fn with_four_readers() -> (Self, Vec<BodyReader>) {
        let world = Self::new();
        let readers = (0..4).map(|n| {
            let name = format!("/large/{n}");
            world.put(&name, LARGE).unwrap();
            let mut reader = world.find(&name).unwrap();
            assert!(reader.read().unwrap().is_some());
            reader
        });
        let readers = readers.collect();
        (world, readers)
    }
}

#[test]
fn four_slow_readers_do_not_keep_others_from_storing_and_hitting() {
    let (world, mut readers) = World::with_four_readers();
    for round in 0..60 {
        // Each takes a chunk now and then, which is less than anyone must.
        if round % 20 == 0 {
            for reader in &mut readers {
                let _ = reader.read();
            }
        }
        pass(Duration::from_secs(1));
        let name = format!("/other/{round}");
        let stored = world.put(&name, 300_000);
        if round > LINGER_GRACE.as_secs() {
            assert_eq!(stored, Ok(()), "round {round}: {:?}", world.cache.count());
            assert!(world.find(&name).is_some(), "round {round}");
        }
    }
    let withdrawn = readers.iter_mut().map(BodyReader::read);
    let withdrawn = withdrawn.filter(|read| *read == Err(Broken::Withdrawn));
    let withdrawn = withdrawn.count() as u64;
    assert!(withdrawn > 0, "{:?}", world.cache.count());
    assert_eq!(world.cache.count().withdrawn, withdrawn);
    drop(readers);
    assert_eq!(world.cache.count().lingering_bytes, 0);
}

#[test]
fn whoever_reads_fast_enough_reads_to_the_end() {
    let (world, mut readers) = World::with_four_readers();
    let mut read = vec![CHUNK_BYTES_MAX; 4];
    for round in 0..8 {
        for (reader, read) in readers.iter_mut().zip(&mut read) {
            for _ in 0..2 {
                *read += reader.read().unwrap().map_or(0, |piece| piece.len());
            }
        }
        pass(Duration::from_secs(1));
        let _ = world.put(&format!("/other/{round}"), 300_000);
    }
    assert_eq!(read, [LARGE; 4]);
    assert_eq!(world.cache.count().withdrawn, 0);
}

#[test]
fn within_the_grace_nobody_loses_anything_and_a_fill_without_room_passes() {
    let (world, mut readers) = World::with_four_readers();
    assert_eq!(world.put("/other", LARGE), Err(Refusal::NoRoom));
    assert!(world.cache.is_uncacheable(key("/other")), "nobody waits");
    let stored = (0..4).filter(|n| world.find(&format!("/large/{n}")).is_some());
    assert_eq!(stored.count(), 3, "one lingers, the others stay");
    for reader in &mut readers {
        assert!(reader.read().unwrap().is_some());
    }
    drop(readers);
    assert_eq!(world.put("/other", LARGE), Ok(()));
    assert!(!world.cache.is_uncacheable(key("/other")));
}

#[test]
fn what_is_purged_or_replaced_while_it_is_read_is_given_back_as_well() {
    let (world, mut readers) = World::with_four_readers();
    world
        .cache
        .marks()
        .local_purge(&url("/large/0"), Mode::Hard);
    assert!(world.find("/large/0").is_none());
    assert!(world.cache.count().lingering_bytes >= LARGE as u64);
    pass(LINGER_GRACE);
    assert_eq!(
        world.put("/large/1", LARGE),
        Ok(()),
        "in the place of /large/0"
    );
    assert!(readers[0].read() == Err(Broken::Withdrawn));
    let is_lingering = |bytes| world.cache.count().lingering_bytes == bytes;
    assert!(is_lingering(LARGE as u64), "the replaced one");
    for reader in &mut readers[1..] {
        assert!(reader.read().unwrap().is_some());
    }
    drop(readers);
    assert!(is_lingering(0));
}

#[test]
fn a_reader_that_is_stuck_learns_that_its_body_is_withdrawn() {
    let (world, readers) = World::with_four_readers();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let slow = readers[0].withdrawn();
        tokio::pin!(slow);
        let now = tokio::select! {
            biased;
            () = &mut slow => true,
            () = std::future::ready(()) => false,
        };
        assert!(!now);
        world
            .cache
            .marks()
            .local_purge(&url("/large/0"), Mode::Hard);
        assert!(world.find("/large/0").is_none());
        pass(LINGER_GRACE);
        assert_eq!(world.put("/other", LARGE), Ok(()));
        slow.await;
        readers[0].withdrawn().await;
    });
}
