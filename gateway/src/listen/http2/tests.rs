//! The counts and the waits, by frames as a client and we would write them.

use super::{
    frames::{self, kind},
    watch::Watch,
};
use crate::observe::Ended;
use latencify_conf::policy::{EdgeLimits, RateMin};
use std::time::{Duration, Instant};

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const LIMITS: fn() -> EdgeLimits = || EdgeLimits {
    body: RateMin {
        bytes_per_second: 1_000,
        grace: Duration::from_secs(5),
    },
    send: RateMin {
        bytes_per_second: 1_000,
        grace: Duration::from_secs(5),
    },
    header_time: Duration::from_secs(3),
    resets: 10,
    control_frames: 50,
    ..EdgeLimits::default()
};

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut octets = length.iter().skip(1).copied().collect::<Vec<u8>>();
    octets.extend([kind, flags]);
    octets.extend(stream.to_be_bytes());
    octets.extend(payload);
    octets
}

/// A connection that has begun, at second 0.
struct Connection {
    watch: Watch,
    start: Instant,
    second: u64,
}

impl Connection {
    fn begun() -> Self {
        let mut connection = Self::new();
        connection.client(&[frames::PREFACE.to_vec(), frame(kind::SETTINGS, 0, 0, &[])].concat());
        connection
    }

    fn new() -> Self {
        let start = Instant::now();
        Self {
            watch: Watch::new(LIMITS(), start),
            start,
            second: 0,
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.second)
    }

    fn client(&mut self, octets: &[u8]) -> Option<Ended> {
        self.watch.received(octets, self.now())
    }

    fn edge(&mut self, octets: &[u8]) -> Option<Ended> {
        self.watch.sent(octets, self.now())
    }

    /// A second passes; what it brings to an end.
    fn second(&mut self) -> (Option<Ended>, Vec<(u32, Ended)>) {
        self.second += 1;
        let mut overdue = Vec::new();
        let verdict = self.watch.tick(self.now(), &mut overdue);
        (verdict, overdue)
    }

    /// The second at which a stream is overdue, if that happens within a minute of `each` being called every second.
    fn overdue(&mut self, mut each: impl FnMut(&mut Self)) -> Option<(u64, Ended)> {
        (0..60).find_map(|_| {
            each(self);
            let (verdict, overdue) = self.second();
            assert_eq!(verdict, None);
            overdue.first().map(|(_, why)| (self.second, *why))
        })
    }
}

/// How many of a frame a client may send in one go, and why it is then ended.
#[track_caller]
fn check_flood(of: &[u8], allowed: u32, why: Ended) {
    let mut connection = Connection::begun();
    connection.client(&frame(kind::HEADERS, END_HEADERS, 1, b"x"));
    let mut sent = 0;
    let verdict = loop {
        if let Some(verdict) = connection.client(of) {
            break verdict;
        }
        sent += 1;
        assert!(sent < 10_000, "{why:?} is never met");
    };
    assert_eq!((sent, verdict), (allowed, why));
}

#[test]
fn frames_that_carry_nothing_are_counted() {
    // The first SETTINGS is one of them.
    check_flood(&frame(kind::PING, 0, 0, &[0; 8]), 49, Ended::Ping);
    check_flood(&frame(kind::PING, 1, 0, &[0; 8]), 49, Ended::Ping);
    check_flood(&frame(kind::SETTINGS, 0, 0, &[]), 49, Ended::Settings);
    check_flood(&frame(kind::SETTINGS, 1, 0, &[]), 49, Ended::Settings);
    check_flood(&frame(kind::PRIORITY, 0, 7, &[0; 5]), 49, Ended::Priority);
    check_flood(
        &frame(kind::PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1"),
        49,
        Ended::Priority,
    );
    check_flood(&frame(kind::DATA, 0, 1, &[]), 49, Ended::EmptyFrames);
    check_flood(
        &frame(kind::HEADERS, END_HEADERS, 1, &[]),
        49,
        Ended::EmptyFrames,
    );
    check_flood(&frame(0xfa, 0, 0, b"grease"), 49, Ended::UnknownFrames);
    // Two at the start, and two for each request.
    check_flood(
        &frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        49 + 4,
        Ended::WindowUpdate,
    );
    check_flood(
        &frame(kind::CONTINUATION, 0, 1, b"x"),
        5,
        Ended::Continuation,
    );
    check_flood(
        &frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 8]),
        10,
        Ended::Resets,
    );
}

#[test]
fn counts_begin_anew_after_their_window() {
    let mut connection = Connection::begun();
    for _ in 0..20 {
        for _ in 0..40 {
            assert_eq!(connection.client(&frame(kind::PING, 0, 0, &[0; 8])), None);
        }
        for _ in 0..10 {
            let _ = connection.second();
        }
    }
}

#[test]
fn window_updates_that_answer_what_was_sent_are_free() {
    let mut connection = Connection::begun();
    connection.client(&frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, b"x"));
    connection.edge(&frame(kind::HEADERS, END_HEADERS, 1, b"y"));
    for _ in 0..5_000 {
        assert_eq!(connection.edge(&frame(kind::DATA, 0, 1, &[7; 100])), None);
        for stream in [0, 1] {
            let update = frame(kind::WINDOW_UPDATE, 0, stream, &[0, 0, 0, 100]);
            assert_eq!(connection.client(&update), None);
        }
    }
}

#[test]
fn resets_that_the_client_provoked_are_its_own() {
    for (code, counts) in [
        (1_u32, true),
        (3, true),
        (5, true),
        (7, true),
        (0, false),
        (2, false),
        (8, false),
    ] {
        let mut connection = Connection::begun();
        let ended = (0..20).find_map(|number: u32| {
            let stream = number * 2 + 1;
            connection.client(&frame(kind::HEADERS, END_HEADERS, stream, b"x"));
            connection.edge(&frames::reset(stream, code))
        });
        assert_eq!(ended, counts.then_some(Ended::Resets), "code {code}");
    }
}

#[test]
fn what_the_library_ends_is_named() {
    for (words, why) in [
        ("too_many_resets", Ended::Resets),
        ("too_many_data_frames", Ended::SmallFrames),
        ("too_many_continuations", Ended::Continuation),
        ("header_list_way_too_large", Ended::HeaderBytes),
    ] {
        let goaway = [&[0, 0, 0, 1, 0, 0, 0, 11], words.as_bytes()].concat();
        let mut connection = Connection::begun();
        assert_eq!(
            connection.edge(&frame(kind::GOAWAY, 0, 0, &goaway)),
            Some(why)
        );
    }
    let mut connection = Connection::begun();
    let graceful = [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    assert_eq!(connection.edge(&frame(kind::GOAWAY, 0, 0, &graceful)), None);
}

#[test]
fn a_head_that_does_not_end_ends_the_connection() {
    let mut connection = Connection::new();
    let verdict = (0..10).find_map(|_| connection.second().0);
    assert_eq!(
        (connection.second, verdict),
        (3, Some(Ended::HeaderTime)),
        "the preface"
    );

    let mut connection = Connection::begun();
    connection.client(&frame(kind::HEADERS, END_STREAM, 1, b"x"));
    let verdict = (0..10).find_map(|_| connection.second().0);
    assert_eq!(
        (connection.second, verdict),
        (3, Some(Ended::HeaderTime)),
        "END_HEADERS"
    );

    let mut connection = Connection::begun();
    let whole = frame(kind::HEADERS, END_STREAM | END_HEADERS, 1, &[7; 100]);
    connection.client(whole.split_at(50).0);
    let verdict = (0..10).find_map(|_| connection.second().0);
    assert_eq!(
        (connection.second, verdict),
        (3, Some(Ended::HeaderTime)),
        "half a frame"
    );

    let mut connection = Connection::begun();
    assert!(
        !connection.watch.is_waiting(),
        "an idle connection is nobody's wait"
    );
    connection.client(&whole);
    assert_eq!((0..10).find_map(|_| connection.second().0), None);
}

#[test]
fn a_body_that_does_not_come_ends_its_request() {
    let post = frame(kind::HEADERS, END_HEADERS, 1, b"x");
    let mut silent = Connection::begun();
    silent.client(&post);
    // The first look begins the wait.
    assert_eq!(silent.overdue(|_| {}), Some((6, Ended::BodyRate)));

    let mut dripping = Connection::begun();
    dripping.client(&post);
    let drip = frame(kind::DATA, 0, 1, &[7; 10]);
    let ended = dripping.overdue(|connection| {
        connection.client(&drip);
    });
    assert_eq!(ended, Some((7, Ended::BodyRate)));

    let mut within_a_frame = Connection::begun();
    within_a_frame.client(&post);
    let mut octets = frame(kind::DATA, 0, 1, &[7; 16_384]).into_iter();
    let ended = within_a_frame.overdue(|connection| {
        let some: Vec<u8> = octets.by_ref().take(100).collect();
        connection.client(&some);
    });
    assert_eq!(ended, Some((7, Ended::BodyRate)));
}

#[test]
fn a_body_that_comes_or_may_not_come_is_let_be() {
    let post = frame(kind::HEADERS, END_HEADERS, 1, b"x");
    let mut steady = Connection::begun();
    steady.client(&post);
    let kilobyte = frame(kind::DATA, 0, 1, &[7; 1_000]);
    let ended = steady.overdue(|connection| {
        connection.client(&kilobyte);
        for stream in [0, 1] {
            connection.edge(&frame(kind::WINDOW_UPDATE, 0, stream, &[0, 0, 3, 0xe8]));
        }
    });
    assert_eq!(ended, None, "steady");

    let mut held_up = Connection::begun();
    held_up.client(&post);
    for _ in 0..4 {
        held_up.client(&frame(kind::DATA, 0, 1, &[7; 16_383]));
    }
    held_up.client(&frame(kind::DATA, 0, 1, &[7; 3]));
    assert_eq!(held_up.overdue(|_| {}), None, "it has no window to send by");

    let mut talking = Connection::begun();
    talking.client(&post);
    talking.edge(&frame(kind::HEADERS, END_HEADERS, 1, b"y"));
    assert_eq!(talking.overdue(|_| {}), None, "the response has begun");

    let mut done = Connection::begun();
    done.client(&frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, b"x"));
    assert_eq!(done.overdue(|_| {}), None, "there is no body");
}

#[test]
fn a_response_that_is_not_taken_ends_its_request() {
    let get = frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, b"x");
    let head = frame(kind::HEADERS, END_HEADERS, 1, b"y");

    let mut no_window = Connection::begun();
    no_window.client(&frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    no_window.client(&get);
    assert_eq!(
        no_window.overdue(|_| {}),
        None,
        "nothing is ready for it yet"
    );
    no_window.edge(&head);
    assert_eq!(
        no_window.overdue(|_| {}).map(|(_, why)| why),
        Some(Ended::SendRate)
    );

    let mut dripping = Connection::begun();
    dripping.client(&frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    dripping.client(&get);
    dripping.edge(&head);
    let ended = dripping.overdue(|connection| {
        connection.client(&frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]));
        connection.edge(&frame(kind::DATA, 0, 1, b"z"));
    });
    assert_eq!(ended.map(|(_, why)| why), Some(Ended::SendRate));

    let mut all_taken = Connection::begun();
    all_taken.client(&get);
    all_taken.edge(&head);
    for _ in 0..3 {
        all_taken.edge(&frame(kind::DATA, 0, 1, &[7; 16_384]));
    }
    assert_eq!(
        all_taken.overdue(|_| {}),
        None,
        "there is window left; the origin is slow"
    );
    all_taken.edge(&frame(kind::DATA, 0, 1, &[7; 16_383]));
    assert_eq!(
        all_taken.overdue(|_| {}).map(|(_, why)| why),
        Some(Ended::SendRate)
    );
}

#[test]
fn what_has_ended_is_forgotten() {
    let mut connection = Connection::begun();
    for number in 0..1_000_u32 {
        let stream = number * 2 + 1;
        connection.client(&frame(
            kind::HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            b"x",
        ));
        connection.edge(&frame(kind::HEADERS, END_HEADERS, stream, b"y"));
        connection.edge(&frame(kind::DATA, END_STREAM, stream, b"z"));
    }
    assert!(!connection.watch.is_waiting());
    assert_eq!(connection.watch.requests(), 1_000);
}
