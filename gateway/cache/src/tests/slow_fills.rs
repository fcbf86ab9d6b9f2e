//! Fills that are slow, for their origin is or the client that they are for, can't hold the memory of all.

use super::{
    slow_readers::{BYTES_MAX, LARGE, Timed, World, pass},
    *,
};
use crate::{
    filling::Reserve,
    rules::Rules as _,
    stream::{Broken, CHUNK_BYTES_MAX, Follower, PASSING_BYTES_MAX, Stream, WINDOW_BYTES_MAX},
};
use bytes::Bytes;
use std::time::Duration;

const HOT: usize = 20;
const HOT_BYTES: usize = 64 << 10;

impl World {
    fn begin(&self, name: &str, length: Option<usize>) -> Result<Writer<(), Timed>, Refusal> {
        let record = Record::of_fetch(identity(name, &[]), *self.cache.begin_fetch(), ());
        let expectation = Expectation {
            bytes: length.map(|length| length as u64),
            ..ANY_SIZE
        };
        self.cache.fill(key(name), record, expectation)
    }

    fn own(&self, name: &str, writer: &Writer<(), Timed>) -> Follower {
        match self.cache.follow(key(name), writer.id()).unwrap().reader {
            Reader::Following(follower) => follower,
            Reader::Stored(_) => panic!("{name} is stored"),
        }
    }

    /// Many that are read again and again.
    fn with_hot_objects() -> Self {
        let world = Self::new();
        for number in 0..HOT {
            world.put(&format!("/hot/{number}"), HOT_BYTES).unwrap();
        }
        world.hot_are_there();
        world.hot_are_there();
        world
    }

    fn hot_are_there(&self) {
        let is_there = |number: &usize| self.find(&format!("/hot/{number}")).is_some();
        let there = (0..HOT).filter(is_there).count();
        assert_eq!(there, HOT, "{:?}", self.cache.count());
    }
}

fn piece() -> Bytes {
    Bytes::from(vec![7; CHUNK_BYTES_MAX])
}

/// What can be read now without waiting.
fn read_on(follower: &mut Follower) -> Result<usize, Broken> {
    let mut read = 0;
    loop {
        let next = std::pin::pin!(follower.read());
        let waker = std::task::Waker::noop();
        match next.poll(&mut std::task::Context::from_waker(waker)) {
            std::task::Poll::Ready(Ok(Some(piece))) => read += piece.len(),
            std::task::Poll::Ready(Ok(None)) | std::task::Poll::Pending => return Ok(read),
            std::task::Poll::Ready(Err(why)) => return Err(why),
        }
    }
}

#[test]
fn many_fills_under_way_drive_out_nothing_that_is_read() {
    for announced in [true, false] {
        let world = World::with_hot_objects();
        let mut begun = Vec::new();
        for number in 0..12 {
            let length = announced.then_some(LARGE);
            let Ok(mut writer) = world.begin(&format!("/slow/{number}"), length) else {
                continue;
            };
            let own = world.own(&format!("/slow/{number}"), &writer);
            for _ in 0..12 {
                writer.write(&piece()).unwrap();
            }
            begun.push((writer, own));
        }
        let count = world.cache.count();
        assert!(
            count.filling_bytes <= BYTES_MAX / FILLING_SHARE,
            "{count:?}"
        );
        assert!(begun.len() >= 2, "{announced}");
        world.hot_are_there();
        world.assert_bounds();
        drop(begun);
        assert_eq!(world.cache.count().filling_bytes, 0);
    }
}

#[test]
fn a_slow_fill_gives_its_room_to_the_next_and_goes_on_for_who_keeps_up() {
    for announced in [true, false] {
        let world = World::with_hot_objects();
        let length = announced.then_some(LARGE);
        let mut slow = world.begin("/slow", length).unwrap();
        let mut own = world.own("/slow", &slow);
        let mut lags = world.own("/slow", &slow);
        let sent = LARGE - CHUNK_BYTES_MAX;
        for piece in vec![7; sent].chunks(CHUNK_BYTES_MAX) {
            slow.write(&Bytes::copy_from_slice(piece)).unwrap();
        }
        let mut read = read_on(&mut own).unwrap();
        assert_eq!(read, sent);
        let _other = world.begin("/other", Some(LARGE)).unwrap();
        assert!(world.begin("/more", Some(LARGE)).is_err(), "no room yet");
        assert!(world.cache.find(key("/slow")).is_some());
        pass(Duration::from_mins(1));
        let mut more = world.begin("/more", Some(LARGE)).expect("room");
        assert_eq!(world.cache.count().given_up, 1, "one is enough");
        assert!(
            world.cache.find(key("/slow")).is_none(),
            "it can't be joined"
        );
        for _ in 0..2 {
            slow.write(&piece().slice(..CHUNK_BYTES_MAX / 2)).unwrap();
            read += read_on(&mut own).unwrap();
        }
        assert_eq!(slow.finish(), Err(Refusal::NoRoom));
        assert_eq!((read + read_on(&mut own).unwrap(), read), (LARGE, LARGE));
        assert_eq!(read_on(&mut lags), Ok(LARGE), "no further than it may");
        for piece in vec![7; LARGE].chunks(CHUNK_BYTES_MAX) {
            more.write(&Bytes::copy_from_slice(piece)).unwrap();
        }
        assert_eq!(more.finish(), Ok(()));
        world.hot_are_there();
        world.assert_bounds();
    }
}

/// A cache in which one body may be larger than anyone may lag, with two slow ones under way that fill what such may hold.
fn with_two_under_way() -> (World, [Writer<(), Timed>; 2]) {
    let world = World::of(BYTES);
    let begin = |name| world.begin(name, Some(ALMOST_A_QUARTER)).unwrap();
    let fills = [begin("/0"), begin("/1")];
    (world, fills)
}

const BYTES: u64 = 64 << 20;
const ALMOST_A_QUARTER: usize = 15 << 20;

#[test]
fn who_lags_far_behind_a_body_that_is_given_up_loses_it() {
    let (world, mut fills) = with_two_under_way();
    let mut lags = world.own("/0", &fills[0]);
    for _ in 0..=LAG_BYTES_MAX / CHUNK_BYTES_MAX as u64 {
        fills[0].write(&piece()).unwrap();
    }
    pass(Duration::from_mins(1));
    world.begin("/next", Some(ALMOST_A_QUARTER)).expect("room");
    assert_eq!(read_on(&mut lags), Err(Broken::Withdrawn));
    assert_eq!(world.cache.count().passing_bytes, 0);
    let gone = fills[0].write(&piece());
    assert_eq!(gone, Err(Abandoned(Refusal::NoRoom)), "nobody reads it");
}

#[test]
fn a_fill_is_not_given_up_while_it_is_fast_enough() {
    let (world, mut fills) = with_two_under_way();
    for _ in 0..30 {
        pass(Duration::from_secs(1));
        for fill in &mut fills {
            (0..2).for_each(|_| fill.write(&piece()).unwrap());
        }
        assert!(world.begin("/next", Some(ALMOST_A_QUARTER)).is_err());
    }
    assert_eq!(world.cache.count().given_up, 0);
    pass(LINGER_GRACE);
    assert!(world.begin("/next", Some(ALMOST_A_QUARTER)).is_ok());
}

#[test]
fn a_fill_that_was_fast_once_is_given_up_when_it_is_slow() {
    let (world, mut fills) = with_two_under_way();
    for fill in &mut fills {
        (0..160).for_each(|_| fill.write(&piece()).unwrap());
    }
    pass(LINGER_GRACE);
    assert!(world.begin("/next", Some(ALMOST_A_QUARTER)).is_err());
    pass(LINGER_GRACE);
    assert!(world.begin("/next", Some(ALMOST_A_QUARTER)).is_ok());
    assert_eq!(world.cache.count().given_up, 1);
}

#[test]
fn a_slow_fill_that_ends_has_nothing_to_give_and_another_has() {
    let world = World::of(BYTES);
    let reserve = || {
        let hold = world.cache.hold(LARGE as u64, LARGE as u64).unwrap();
        let stream = Stream::new(None, Arc::default());
        let reserve = Reserve::new(hold, stream, Timed::now());
        world.cache.filling.list(&reserve);
        reserve
    };
    let (ended, slow) = (reserve(), reserve());
    pass(LINGER_GRACE);
    drop(ended.take());
    assert!(world.cache.give_up_a_fill(), "the other");
    assert!(slow.hold().is_none());
    assert!(!world.cache.give_up_a_fill(), "there is no more");
    assert_eq!(world.cache.count().given_up, 1);
}

/// A body that is not stored, and its own reader.
fn passing(world: &World, name: &str) -> (Writer<(), Timed>, Follower) {
    let record = Record::of_fetch(identity(name, &[]), *world.cache.begin_fetch(), ());
    let passed = world
        .cache
        .pass(key(name), record, ANY_SIZE, Refusal::NoRoom);
    let writer = passed.unwrap();
    let own = world.own(name, &writer);
    (writer, own)
}

#[test]
fn who_has_all_that_it_asked_for_holds_nothing_of_a_passing_body() {
    let world = World::new();
    let (mut writer, mut own) = passing(&world, "/passing");
    own.seek(0, Some(1)).unwrap();
    for _ in 0..WINDOW_BYTES_MAX / CHUNK_BYTES_MAX as u64 {
        writer.write(&piece()).unwrap();
        assert!(read_on(&mut own).unwrap() <= 1);
        assert_eq!(world.cache.count().passing_bytes, 0);
    }
    let gone = writer.write(&piece()).and_then(|()| writer.write(&piece()));
    assert_eq!(gone, Err(Abandoned(Refusal::NoRoom)), "nobody reads it");
}

#[test]
fn readers_that_stop_hold_little_of_many_passing_bodies() {
    let world = World::new();
    let most = PASSING_BYTES_MAX + 20 * (LAG_BYTES_MAX + CHUNK_BYTES_MAX as u64);
    let mut stopped: Vec<_> = (0..20)
        .map(|number| passing(&world, &format!("/stopped/{number}")))
        .collect();
    let (mut writer, mut own) = passing(&world, "/read");
    for _ in 0..WINDOW_BYTES_MAX / CHUNK_BYTES_MAX as u64 {
        for (writer, _) in &mut stopped {
            let _ = writer.write(&piece());
        }
        writer.write(&piece()).unwrap();
        assert_eq!(read_on(&mut own), Ok(CHUNK_BYTES_MAX));
        let held = world.cache.count().passing_bytes;
        assert!(held <= most, "{held} of {most}");
    }
}
