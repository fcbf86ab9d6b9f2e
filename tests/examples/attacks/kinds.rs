//! The attacks: which limit each is aimed at, what is sent, and which counter must tell of it.

use crate::attacker::{Act, Crowd, Door, GET, Manner};
use latencify_tests::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, block, frame, get, post,
};
use std::fmt;

pub const HOST: &str = "shop.example";

/// One attack.
pub struct Kind {
    /// Its name, by which it is chosen.
    pub name: &'static str,
    /// What it runs into.
    pub limit: Limit,
    /// What tells of it.
    pub counter: Counter,
    /// What is done.
    pub act: Act,
}

/// The limit, and others that it needs, in YAML's flow style: the defaults, but for times that an attack of a second
/// would not meet, and numbers that few attackers would not reach.
pub enum Limit {
    Edge(&'static str),
    Route(&'static str),
}

/// A counter of the edge, by one of its labels.
pub enum Counter {
    Refused(&'static str),
    Ended(&'static str),
    StreamsEnded(&'static str),
    Fault(&'static str),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Edge(text) | Self::Route(text)) = self;
        f.pad(text)
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, label, value) = match self {
            Self::Refused(reason) => ("connections_refused", "reason", reason),
            Self::Ended(reason) => ("connections_ended", "reason", reason),
            Self::StreamsEnded(reason) => ("streams_ended", "reason", reason),
            Self::Fault(fault) => ("faults", "fault", fault),
        };
        write!(f, "latencify_gateway_{name}_total{{{label}=\"{value}\"}}")
    }
}

pub const GET_LARGE: &[u8] = b"GET /large HTTP/1.1\r\nhost: shop.example\r\n\r\n";
const HALF_A_HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: shop.example\r\n";
const HALF_A_POST: &[u8] =
    b"POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 1000000\r\n\r\n";
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00";
/// A window of no octets for each stream, in SETTINGS.
pub const NO_WINDOW: &[u8] = &[0, 4, 0, 0, 0, 0];
const CONTROL_FRAMES: &str = "control_frames: 1000";
const REQUEST_BODY: &str = "request_body: 256KiB";

pub const KINDS: &[Kind] = &[
    Kind {
        name: "connections",
        limit: Limit::Edge("connections_per_address: 200"),
        counter: Counter::Refused("connections_per_address"),
        act: hold(Door::Http, b"", Manner::Silent),
    },
    Kind {
        name: "connections_in_all",
        limit: Limit::Edge("connections: 300"),
        counter: Counter::Refused("connections"),
        act: Act::Hold {
            door: Door::Http,
            crowd: Crowd::Many,
            say: b"",
            manner: Manner::Silent,
        },
    },
    Kind {
        name: "silent_tls",
        limit: Limit::Edge("handshake_time: 500ms"),
        counter: Counter::Ended("handshake_time"),
        act: hold(Door::Https, HALF_A_HELLO, Manner::Drips),
    },
    Kind {
        name: "handshakes",
        limit: Limit::Edge("handshakes_per_address: 2"),
        counter: Counter::Refused("handshakes_per_address"),
        act: Act::Shake,
    },
    Kind {
        name: "handshakes_in_all",
        limit: Limit::Edge("handshakes: 20"),
        counter: Counter::Refused("handshakes"),
        act: Act::Shake,
    },
    Kind {
        name: "slow_heads",
        limit: Limit::Edge("header_time: 500ms"),
        counter: Counter::Ended("header_time"),
        act: hold(Door::Http, HALF_A_HEAD, Manner::Drips),
    },
    Kind {
        name: "slow_bodies",
        limit: Limit::Edge("body_grace: 500ms"),
        counter: Counter::Ended("body_rate"),
        act: hold(Door::Http, HALF_A_POST, Manner::Drips),
    },
    Kind {
        name: "silent_readers",
        limit: Limit::Edge("send_grace: 500ms"),
        counter: Counter::Ended("send_rate"),
        act: hold(Door::Http, GET_LARGE, Manner::Deaf),
    },
    Kind {
        name: "idle",
        limit: Limit::Edge("idle: 500ms"),
        counter: Counter::Ended("idle"),
        act: hold(Door::Http, GET, Manner::Silent),
    },
    Kind {
        name: "requests",
        limit: Limit::Edge("requests: 10"),
        counter: Counter::Ended("requests"),
        act: Act::Say(|| GET.repeat(100)),
    },
    Kind {
        name: "many_fields",
        limit: Limit::Edge("headers: 100"),
        counter: Counter::Fault("fields_too_large"),
        act: Act::Say(|| with_fields(&"x-a: b\r\n".repeat(1_000))),
    },
    Kind {
        name: "large_fields",
        limit: Limit::Edge("header_bytes: 64KiB"),
        counter: Counter::Fault("fields_too_large"),
        act: Act::Say(|| with_fields(&format!("x-a: {}\r\n", "b".repeat(8_000)).repeat(20))),
    },
    Kind {
        name: "long_targets",
        limit: Limit::Edge("uri_bytes: 16KiB"),
        counter: Counter::Fault("target_too_long"),
        act: Act::Say(|| {
            let target = "a".repeat(48 << 10);
            format!("GET /{target} HTTP/1.1\r\nhost: {HOST}\r\n\r\n").into_bytes()
        }),
    },
    Kind {
        name: "told_bodies",
        limit: Limit::Route(REQUEST_BODY),
        counter: Counter::Fault("body_too_large"),
        act: Act::Say(|| {
            format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 200000000\r\n\r\n").into()
        }),
    },
    Kind {
        name: "large_bodies",
        limit: Limit::Route(REQUEST_BODY),
        counter: Counter::Fault("body_too_large"),
        act: Act::Say(|| {
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
            let chunks = chunk.repeat(8);
            format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\n\r\n{chunks}")
                .into()
        }),
    },
    // As many uploads as it may begin are no attack, but dearer than a page of hits: a client that behaves finishes as many.
    Kind {
        name: "streams",
        limit: Limit::Edge("streams: 8"),
        counter: Counter::Ended("streams"),
        act: Act::Flood {
            settings: &[],
            frames_max: u32::MAX,
            next: |number| post(odd(number), HOST, "/"),
            visit: |stream| {
                frame(
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    stream,
                    &block(3, HOST, "/"),
                )
            },
        },
    },
    flood("rapid_resets", "resets: 500", "resets", |number| {
        let cancel = frame(RST_STREAM, 0, odd(number), &[0, 0, 0, 8]);
        [get(odd(number), HOST, "/"), cancel].concat()
    }),
    // Those beyond `streams` would count as refused.
    flood("provoked_resets", "resets: 100", "resets", |number| {
        // More window than there can be: an error of the stream (RFC 9113 §6.9.1).
        let overflow = frame(WINDOW_UPDATE, 0, odd(number), &[0x7f, 0xff, 0xff, 0xff]);
        [post(odd(number), HOST, "/"), overflow].concat()
    }),
    flood("pings", CONTROL_FRAMES, "ping", |_| {
        frame(PING, 0, 0, &[0; 8])
    }),
    flood("settings", CONTROL_FRAMES, "settings", |_| {
        frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 1, 0])
    }),
    flood("priorities", CONTROL_FRAMES, "priority", |number| {
        frame(PRIORITY, 0, odd(number), &[0, 0, 0, 0, 1])
    }),
    flood("window_updates", CONTROL_FRAMES, "window_update", |_| {
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])
    }),
    // Of more, those are counted as small that the library meets first.
    flood(
        "empty_data",
        "control_frames: 100",
        "empty_frames",
        |number| match number {
            0 => post(1, HOST, "/"),
            _ => frame(DATA, 0, 1, b""),
        },
    ),
    flood("unknown_frames", CONTROL_FRAMES, "unknown_frames", |_| {
        frame(0xfa, 0, 0, &[7; 10])
    }),
    flood(
        "tiny_data",
        "streams: 10",
        "small_frames",
        |number| match number {
            0 => post(1, HOST, "/"),
            _ => frame(DATA, 0, 1, b"x"),
        },
    ),
    flood(
        "continuations",
        "header_bytes: 64KiB",
        "continuation",
        |number| match number {
            0 => frame(HEADERS, 0, 1, &block(2, HOST, "/")),
            _ => frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b"),
        },
    ),
    Kind {
        name: "no_window",
        limit: Limit::Edge("send_grace: 500ms"),
        counter: Counter::StreamsEnded("send_rate"),
        act: Act::Flood {
            settings: NO_WINDOW,
            frames_max: 100,
            next: ask_large,
            visit: ask,
        },
    },
    crate::unsent::UNSENT,
    crate::unsent::UNSENT_IN_ALL,
    crate::fetches::SILENT_ORIGIN,
];

const fn hold(door: Door, say: &'static [u8], manner: Manner) -> Act {
    Act::Hold {
        door,
        crowd: Crowd::One,
        say,
        manner,
    }
}

const fn flood(
    name: &'static str,
    limit: &'static str,
    reason: &'static str,
    next: fn(u32) -> Vec<u8>,
) -> Kind {
    Kind {
        name,
        limit: Limit::Edge(limit),
        counter: Counter::Ended(reason),
        act: Act::Flood {
            settings: &[],
            frames_max: u32::MAX,
            next,
            visit: ask,
        },
    }
}

fn with_fields(fields: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n{fields}\r\n").into_bytes()
}

/// What most clients that behave send on a stream.
pub fn ask(stream: u32) -> Vec<u8> {
    get(stream, HOST, "/")
}

/// Asks for more than any buffer takes, as its first requests.
pub fn ask_large(number: u32) -> Vec<u8> {
    let head = block(2, HOST, "/large");
    frame(HEADERS, END_HEADERS | END_STREAM, odd(number), &head)
}

/// A client's stream (RFC 9113 §5.1.1).
fn odd(number: u32) -> u32 {
    number * 2 + 1
}

impl Kind {
    /// Whether nobody new gets in while it lasts.
    pub fn leaves_no_place(&self) -> bool {
        matches!(self.counter, Counter::Refused("connections"))
    }
}
