//! What an origin can do wrong, and what a client must get of it.

use super::origin::Act::{self, Close, Drip, Flood, Reset, Say, SayAll, Silence, Wait};

/// One way to fail.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Its name, which is part of a path.
    pub name: &'static str,
    /// What the origin does.
    pub acts: Vec<Act>,
    /// What the client gets.
    pub then: Then,
}

/// What a client gets of an origin that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// 502, and a document that says `origin_failed`.
    Failed,
    /// 504, and a document that says `origin_timeout`.
    Late,
    /// The head of the answer, and a body that is cut off.
    Cut,
    /// The same, because the origin said nothing for too long.
    CutLate,
    /// The answer, with this body: it is good, whatever was wrong beside it.
    Good(&'static str),
}

/// The head of a response that may be stored.
const KEPT: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Type: text/plain\r\n";
const SIZED: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 10\r\n\r\n";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nTransfer-Encoding: chunked\r\n\r\n";
const OPEN: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nConnection: close\r\n\r\n";

fn fault(name: &'static str, then: Then, acts: impl Into<Vec<Act>>) -> Fault {
    let acts = acts.into();
    Fault { name, acts, then }
}

/// Before the head of a response is there: nothing has gone to the client yet.
pub fn of_heads() -> Vec<Fault> {
    let failed = |name, acts: &[Act]| fault(name, Then::Failed, acts);
    vec![
        failed("reset-at-once", &[Reset]),
        failed("closed-at-once", &[Close]),
        failed("reset-in-the-status-line", &[Say("HTTP/1.1 20"), Reset]),
        failed("reset-in-the-head", &[Say(KEPT), Reset]),
        failed("closed-in-the-head", &[Say(KEPT), Close]),
        failed("closed-in-a-field", &[Say(KEPT), Say("X-Half: an"), Close]),
        failed("garbage", &[Say("what?\r\n\r\n"), Close]),
        failed("octets", &[SayAll(octets(64 << 10)), Close]),
        failed("zeros", &[SayAll(vec![0; 64 << 10]), Close]),
        failed("no-status", &[Say("HTTP/1.1 OK\r\n\r\n"), Close]),
        failed("no-number", &[Say("HTTP/1.1 2x0 OK\r\n\r\n"), Close]),
        failed("another-protocol", &[Say("SSH-2.0-x\r\n\r\n"), Close]),
        failed("no-field", &[Say(KEPT), Say("no field\r\n\r\n"), Close]),
        failed(
            "two-lengths",
            &[
                Say(KEPT),
                Say("Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
                Close,
            ],
        ),
        failed(
            "no-length",
            &[Say(KEPT), Say("Content-Length: many\r\n\r\nab"), Close],
        ),
        failed(
            "an-unknown-coding",
            &[Say(KEPT), Say("Transfer-Encoding: folded\r\n\r\nab"), Close],
        ),
        failed(
            "endless-fields",
            &[Say(KEPT), Flood("X-More: of the same\r\n")],
        ),
        failed(
            "an-endless-field",
            &[Say(KEPT), Say("X-More: "), Flood("more")],
        ),
        failed(
            "an-endless-status-line",
            &[Say("HTTP/1.1 200 "), Flood("OK")],
        ),
        failed("endless-octets", &[Flood("\u{1}")]),
        failed(
            "endless-interim-answers",
            &[Flood("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")],
        ),
        failed(
            "a-304-that-nobody-asked-for",
            &[Say("HTTP/1.1 304 Not Modified\r\n\r\n"), Close],
        ),
        failed(
            "another-protocol-that-nobody-asked-for",
            &[
                Say("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nx"),
                Close,
            ],
        ),
    ]
}

/// The head has gone to the client, the body does not come to its end.
pub fn of_bodies() -> Vec<Fault> {
    let cut = |name, acts: &[Act]| fault(name, Then::Cut, acts);
    vec![
        cut("reset-before-the-body", &[Say(SIZED), Wait, Reset]),
        cut("closed-before-the-body", &[Say(SIZED), Wait, Close]),
        cut(
            "reset-in-the-body",
            &[Say(SIZED), Say("12345"), Wait, Reset],
        ),
        cut(
            "closed-in-the-body",
            &[Say(SIZED), Say("12345"), Wait, Close],
        ),
        cut(
            "closed-before-the-last-octet",
            &[Say(SIZED), Wait, Say("123456789"), Close],
        ),
        cut(
            "reset-in-a-chunk",
            &[Say(CHUNKED), Say("a\r\n12345"), Wait, Reset],
        ),
        cut(
            "closed-in-a-chunk",
            &[Say(CHUNKED), Say("a\r\n12345"), Wait, Close],
        ),
        cut(
            "closed-between-chunks",
            &[Say(CHUNKED), Say("5\r\n12345\r\n"), Wait, Close],
        ),
        cut(
            "closed-before-the-last-chunk-ends",
            &[Say(CHUNKED), Say("5\r\n12345\r\n"), Wait, Say("0\r"), Close],
        ),
        cut(
            "garbage-for-a-chunk",
            &[
                Say(CHUNKED),
                Say("5\r\n12345\r\n"),
                Wait,
                Say("what?\r\n"),
                Close,
            ],
        ),
        cut(
            "a-chunk-longer-than-any",
            &[
                Say(CHUNKED),
                Say("5\r\n12345\r\n"),
                Wait,
                Say("ffffffffffffffffff\r\n1"),
                Close,
            ],
        ),
        cut(
            "a-chunk-longer-than-it-says",
            &[
                Say(CHUNKED),
                Wait,
                Say("5\r\n1234567890\r\n0\r\n\r\n"),
                Close,
            ],
        ),
        cut(
            "endless-digits-of-a-chunk",
            &[Say(CHUNKED), Say("5\r\n12345\r\n"), Wait, Flood("0")],
        ),
        // Not told from the end of a body by anything but how the connection ends.
        cut(
            "reset-in-an-open-body",
            &[Say(OPEN), Say("12345"), Wait, Reset],
        ),
    ]
}

/// The origin says nothing for longer than it may.
pub fn of_silence() -> Vec<Fault> {
    vec![
        fault("silent", Then::Late, [Silence]),
        fault("silent-in-the-head", Then::Late, [Say(KEPT), Silence]),
        fault(
            "a-head-that-drips",
            Then::Late,
            [Say(KEPT), Drip("X-More: slowly\r\n")],
        ),
        fault(
            "silent-before-the-body",
            Then::CutLate,
            [Say(SIZED), Wait, Silence],
        ),
        fault(
            "silent-in-the-body",
            Then::CutLate,
            [Say(SIZED), Say("12345"), Wait, Silence],
        ),
        fault(
            "silent-in-a-chunk",
            Then::CutLate,
            [Say(CHUNKED), Say("a\r\n12345"), Wait, Silence],
        ),
        fault(
            "silent-in-an-open-body",
            Then::CutLate,
            [Say(OPEN), Say("12345"), Wait, Silence],
        ),
    ]
}

/// What is wrong is beside an answer that is whole.
pub fn of_nobodys_octets() -> Vec<Fault> {
    let good = |name, acts: &[Act]| fault(name, Then::Good("1234567890"), acts);
    vec![
        good(
            "longer-than-it-says",
            &[Say(SIZED), Say("1234567890 and more"), Close],
        ),
        good(
            "another-answer-behind-it",
            &[
                Say(SIZED),
                Say("1234567890HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
                Close,
            ],
        ),
        good(
            "reset-behind-it",
            &[Say(SIZED), Say("1234567890"), Wait, Reset],
        ),
        good(
            "octets-behind-the-last-chunk",
            &[
                Say(CHUNKED),
                Say("a\r\n1234567890\r\n0\r\n\r\nwhat?"),
                Close,
            ],
        ),
        good(
            "an-open-body",
            &[Say(OPEN), Say("12345"), Wait, Say("67890"), Close],
        ),
    ]
}

/// Octets that are no HTTP, alike each time.
fn octets(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}
