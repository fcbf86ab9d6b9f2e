//! The counts and the waits, by frames as a client and we would write them.

mod inbound;
mod waits;

use super::{
    frames::{self, kind},
    watch::Watch,
    write,
};
use crate::observe::Ended;
use latencify_conf::policy::{EdgeLimits, RateMin};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

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

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
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
            watch: Watch::new(LIMITS(), start, Arc::default()),
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

/// As Go's net/http does: the window of the stream and that of the connection are given back for every 4 KiB that are
/// read.
#[test]
fn window_updates_may_be_small() {
    let mut connection = Connection::begun();
    connection.client(&frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, b"x"));
    connection.edge(&frame(kind::HEADERS, END_HEADERS, 1, b"y"));
    let data = frame(kind::DATA, 0, 1, &[7; 16_384]);
    for _ in 0..4_096 {
        assert_eq!(connection.edge(&data), None);
        for stream in [0, 1, 0, 1, 0, 1, 0, 1] {
            let update = frame(kind::WINDOW_UPDATE, 0, stream, &[0, 0, 0x10, 0]);
            assert_eq!(connection.client(&update), None);
        }
    }
}

/// As gRPC does to learn the delay of the way.
#[test]
fn a_ping_for_what_was_sent_is_free() {
    let mut connection = Connection::begun();
    connection.client(&frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, b"x"));
    connection.edge(&frame(kind::HEADERS, END_HEADERS, 1, b"y"));
    let ping = frame(kind::PING, 0, 0, &[0; 8]);
    for _ in 0..5_000 {
        assert_eq!(connection.edge(&frame(kind::DATA, 0, 1, &[7; 100])), None);
        assert_eq!(connection.client(&ping), None);
    }
    // An answer to no question of ours is not.
    let ended = (0..100).find_map(|_| {
        connection.edge(&frame(kind::DATA, 0, 1, &[7; 100]));
        connection.client(&frame(kind::PING, 1, 0, &[0; 8]))
    });
    assert_eq!(ended, Some(Ended::Ping));
}

/// Whoever scrolls over a map or seeks in a film gives up much that it had asked for; once the answer has begun, that
/// costs no more than to take it.
#[test]
fn resets_of_answers_are_free() {
    let mut connection = Connection::begun();
    for number in 0..1_000_u32 {
        let stream = number * 2 + 1;
        let get = frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, b"x");
        assert_eq!(connection.client(&get), None);
        connection.edge(&frame(kind::HEADERS, END_HEADERS, stream, b"y"));
        let reset = frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        assert_eq!(connection.client(&reset), None, "request {number}");
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
            connection.edge(&write::reset(stream, code))
        });
        let why = if code == 7 {
            Ended::Streams
        } else {
            Ended::Resets
        };
        assert_eq!(ended, counts.then_some(why), "code {code}");
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

/// The GOAWAY that names no stream.
fn goaway_graceful() -> Vec<u8> {
    frame(kind::GOAWAY, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])
}

#[test]
fn requests_after_the_goodbye_end_the_connection() {
    let get = |number: u32| {
        let flags = END_HEADERS | END_STREAM;
        frame(kind::HEADERS, flags, number * 2 + 1, b"x")
    };
    let mut silent = Connection::begun();
    silent.edge(&goaway_graceful());
    let ended = (0..10).find_map(|number| {
        let ended = silent.client(&get(number));
        let _ = silent.second();
        ended
    });
    assert_eq!((silent.second, ended), (6, Some(Ended::GoawayIgnored)));

    let mut answering = Connection::begun();
    answering.edge(&goaway_graceful());
    answering.edge(&frame(kind::GOAWAY, 0, 0, &[0; 8]));
    for number in 0..10 {
        let ended = answering.client(&get(number));
        assert_eq!(ended, None, "the library ignores it");
        let _ = answering.second();
    }
}

#[test]
fn requests_far_beyond_their_number_end_the_connection() {
    let mut connection = Connection::new();
    connection.watch.obey(EdgeLimits {
        requests: 10,
        streams: 8,
        ..LIMITS()
    });
    connection.client(&[frames::PREFACE.to_vec(), frame(kind::SETTINGS, 0, 0, &[])].concat());
    let ended = (0..100_u32).find_map(|number| {
        let stream = number * 2 + 1;
        if number == 10 {
            assert!(connection.watch.goes());
            assert!(!connection.watch.goes(), "it was told");
        }
        let ended = connection.client(&frame(
            kind::HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            b"x",
        ));
        connection.edge(&frame(
            kind::HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            b"y",
        ));
        ended.map(|why| (number + 1, why))
    });
    assert_eq!(ended, Some((27, Ended::GoawayIgnored)));
}

/// However many it has had: the limit may be lower than it was.
#[test]
fn who_was_not_told_to_go_may_ask() {
    let mut connection = Connection::begun();
    connection.watch.obey(EdgeLimits {
        requests: 10,
        streams: 8,
        ..LIMITS()
    });
    for number in 0..100_u32 {
        let flags = END_HEADERS | END_STREAM;
        let get = frame(kind::HEADERS, flags, number * 2 + 1, b"x");
        assert_eq!(connection.client(&get), None, "request {number}");
        connection.edge(&frame(kind::HEADERS, flags, number * 2 + 1, b"y"));
    }
}
