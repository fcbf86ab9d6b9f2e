//! The requests of a connection that nobody has taken up yet. The library gives out those that it finds well formed, in
//! the order in which they came, but does not say which; the others it answers or resets by itself. So they are told
//! apart by count: what came and was not given out has been refused, and what we sent on its stream says why.

use super::{
    frames::{Event, Frame, kind},
    library::REFUSED_STREAM,
};
use crate::observe::Unserved;
use std::time::Instant;

/// The first octet of a block of fields that begins with `:status: 400` (RFC 7541 appendix A), which is how Pingora refuses.
const STATUS_400: u8 = 0x8c;
/// How a change of the dynamic table's size begins (RFC 7541 §6.3), behind which the status stands.
const SIZE_UPDATE: std::ops::Range<u8> = 0x20..0x40;
const PROTOCOL_ERROR: u32 = 1;
const STREAM_MAX: u32 = u32::MAX >> 1;

/// Requests that came, until it is known who takes them.
#[derive(Debug)]
pub(super) struct Ledger {
    /// A request whose head is under way.
    opening: Option<Request>,
    /// Those whose head is whole.
    came: Vec<Request>,
    newest: u32,
    /// What comes after this is not looked at by the library.
    last: u32,
    /// The code of a GOAWAY of ours that is an error.
    failed: Option<u32>,
}

#[derive(Debug)]
struct Request {
    stream: u32,
    began: Instant,
    answer: Option<Answer>,
}

/// What we sent on a stream. The order is that in which it speaks for a refusal by the library: what the application
/// says is sent by it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Reset(u32),
    Whole(u8),
    Begun,
}

/// A request that was not served.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missed {
    /// Its stream.
    pub stream: u32,
    /// Since when its head came.
    pub began: Instant,
    /// Why.
    pub why: Unserved,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            opening: None,
            came: Vec::new(),
            newest: 0,
            last: STREAM_MAX,
            failed: None,
        }
    }
}

impl Ledger {
    /// Takes what the client sends.
    pub(super) fn their(&mut self, event: Event, now: Instant) {
        match event {
            Event::Begin(frame) if frame.kind == kind::HEADERS && frame.stream > self.newest => {
                self.newest = frame.stream;
                self.opening = Some(Request {
                    stream: frame.stream,
                    began: now,
                    answer: None,
                });
            }
            Event::End(frame)
                if matches!(frame.kind, kind::HEADERS | kind::CONTINUATION)
                    && frame.ends_headers() =>
            {
                self.came.extend(self.opening.take());
            }
            _ => {}
        }
    }

    /// Takes what we send.
    pub(super) fn our(&mut self, event: Event) {
        match event {
            Event::Number(frame, number) => match frame.kind {
                kind::HEADERS => {
                    let first = (number >> 24) as u8;
                    let answer = if frame.ends_stream() {
                        Answer::Whole(first)
                    } else {
                        Answer::Begun
                    };
                    self.answered(frame, answer);
                }
                kind::RST_STREAM => self.answered(frame, Answer::Reset(number)),
                kind::GOAWAY if number != 0 => self.failed = Some(number),
                _ => {}
            },
            Event::LastStream(last) => self.last = self.last.min(last),
            _ => {}
        }
    }

    /// Only the first counts: a reset behind an answer says nothing more.
    fn answered(&mut self, frame: Frame, answer: Answer) {
        let request = self
            .came
            .iter_mut()
            .find(|request| request.stream == frame.stream);
        if let Some(request) = request {
            request.answer.get_or_insert(answer);
        }
    }

    /// A request was answered before the library saw it.
    pub(super) fn answered_ahead(&mut self, stream: u32) {
        let place = self
            .came
            .iter()
            .position(|request| request.stream == stream);
        if let Some(place) = place {
            self.came.remove(place);
        }
    }

    /// The library has given out so many of the requests that came since the last time, and has nothing more to give:
    /// the others were refused.
    pub(super) fn settle(&mut self, given: usize) -> Vec<Missed> {
        let came = std::mem::take(&mut self.came);
        if came.len() <= given {
            return Vec::new();
        }
        let missing = came.len() - given;
        self.choose(came, missing, None)
    }

    /// The same at the end of the connection, for a reason that is known or not. Whatever was not given out never will be.
    pub(super) fn close(&mut self, given: usize, why: Option<Unserved>) -> Vec<Missed> {
        let why = why.or_else(|| self.failed.map(|_| Unserved::ConnectionError));
        let mut came = std::mem::take(&mut self.came);
        // A head that was broken off is a request only if we broke it off.
        came.extend(self.opening.take().filter(|_| why.is_some()));
        let missing = came.len().saturating_sub(given);
        self.choose(came, missing, Some(why.unwrap_or(Unserved::ClientGone)))
    }

    fn choose(
        &self,
        mut came: Vec<Request>,
        missing: usize,
        otherwise: Option<Unserved>,
    ) -> Vec<Missed> {
        let is_late = |request: &Request| request.stream > self.last && self.failed.is_none();
        // Those that can't have been given out first, then the likeliest; what has no answer yet comes last, and of that
        // the newest first when everything ends, since requests are given out in order.
        came.sort_by_key(|request| {
            let order = if otherwise.is_some() {
                STREAM_MAX - request.stream
            } else {
                request.stream
            };
            (
                !is_late(request),
                request.answer.is_none(),
                request.answer,
                order,
            )
        });
        came.into_iter()
            .take(missing)
            .map(|request| Missed {
                stream: request.stream,
                began: request.began,
                why: if is_late(&request) {
                    Unserved::AfterGoaway
                } else {
                    match request.answer {
                        Some(answer) => answer.means(),
                        None => otherwise.unwrap_or(Unserved::Refused),
                    }
                },
            })
            .collect()
    }
}

impl Answer {
    fn means(self) -> Unserved {
        match self {
            Self::Reset(REFUSED_STREAM) => Unserved::Streams,
            Self::Reset(PROTOCOL_ERROR) => Unserved::Malformed,
            Self::Whole(STATUS_400) => Unserved::Authority,
            // The library's only answer of its own is 431.
            Self::Whole(first) if !SIZE_UPDATE.contains(&first) => Unserved::HeaderBytes,
            Self::Reset(_) | Self::Whole(_) | Self::Begun => Unserved::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            frames::{FrameReader, PREFACE},
            tests::{END_HEADERS, END_STREAM, frame},
        },
        *,
    };

    struct Books {
        ledger: Ledger,
        theirs: FrameReader,
        ours: FrameReader,
    }

    impl Books {
        fn open() -> Self {
            let mut books = Self {
                ledger: Ledger::default(),
                theirs: FrameReader::of_client(),
                ours: FrameReader::default(),
            };
            books.client(PREFACE);
            books
        }

        fn client(&mut self, octets: &[u8]) {
            let (ledger, now) = (&mut self.ledger, Instant::now());
            self.theirs.feed(octets, |event| ledger.their(event, now));
        }

        fn asks(&mut self, stream: u32) {
            self.client(&frame(
                kind::HEADERS,
                END_HEADERS | END_STREAM,
                stream,
                b"block",
            ));
        }

        fn edge(&mut self, octets: &[u8]) {
            let ledger = &mut self.ledger;
            self.ours.feed(octets, |event| ledger.our(event));
        }

        fn answers(&mut self, stream: u32, flags: u8, block: &[u8]) {
            self.edge(&frame(kind::HEADERS, END_HEADERS | flags, stream, block));
        }

        fn resets(&mut self, stream: u32, code: u32) {
            self.edge(&frame(kind::RST_STREAM, 0, stream, &code.to_be_bytes()));
        }

        fn goes(&mut self, last: u32, code: u32) {
            let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
            self.edge(&frame(kind::GOAWAY, 0, 0, &payload));
        }

        fn settle(&mut self, given: usize) -> Vec<(u32, Unserved)> {
            named(self.ledger.settle(given))
        }

        fn close(&mut self, given: usize, why: Option<Unserved>) -> Vec<(u32, Unserved)> {
            named(self.ledger.close(given, why))
        }
    }

    fn named(missed: Vec<Missed>) -> Vec<(u32, Unserved)> {
        let mut named: Vec<_> = missed
            .into_iter()
            .map(|request| (request.stream, request.why))
            .collect();
        named.sort_by_key(|(stream, _)| *stream);
        named
    }

    #[test]
    fn what_was_not_given_out_was_refused_and_the_answer_says_why() {
        let mut books = Books::open();
        for stream in [1, 3, 5, 7, 9, 11] {
            books.asks(stream);
        }
        // Those of 1 and 11 are the application's.
        books.answers(1, 0, &[0x8c]);
        books.resets(3, 1);
        books.resets(5, 7);
        books.answers(7, END_STREAM, &[0x8c]);
        books.answers(9, END_STREAM, b"\x48\x03431");
        books.resets(9, 1);
        assert_eq!(
            books.settle(2),
            [
                (3, Unserved::Malformed),
                (5, Unserved::Streams),
                (7, Unserved::Authority),
                (9, Unserved::HeaderBytes)
            ]
        );
        // Nothing of it is told again.
        assert_eq!(books.settle(0), []);
        books.asks(13);
        assert_eq!(books.settle(1), []);
        books.resets(13, 1);
        assert_eq!(books.settle(0), []);
        assert_eq!(books.close(0, None), []);
    }

    #[test]
    fn trailers_are_no_request() {
        let mut books = Books::open();
        books.client(&frame(kind::HEADERS, END_HEADERS, 1, b"block"));
        assert_eq!(books.settle(1), []);
        books.client(&frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, b"block"));
        assert_eq!(books.settle(0), []);
    }

    #[test]
    fn an_answer_that_does_not_say_why_is_told_as_such() {
        let mut books = Books::open();
        books.asks(1);
        assert_eq!(books.settle(0), [(1, Unserved::Refused)]);
        books.asks(3);
        books.resets(3, 2);
        assert_eq!(books.settle(0), [(3, Unserved::Refused)]);
        // The size of the dynamic table changes in front of the status.
        books.asks(5);
        books.answers(5, END_STREAM, &[0x20, 0x8c]);
        assert_eq!(books.settle(0), [(5, Unserved::Refused)]);
    }

    #[test]
    fn the_end_of_a_connection_ends_what_waits() {
        let check = |close: fn(&mut Books) -> Vec<(u32, Unserved)>,
                     expected: &[(u32, Unserved)]| {
            let mut books = Books::open();
            books.asks(1);
            books.asks(3);
            // A head that goes on.
            books.client(&frame(kind::HEADERS, 0, 5, b"blo"));
            assert_eq!(close(&mut books), expected);
        };
        let gone = Unserved::ClientGone;
        check(|books| books.close(0, None), &[(1, gone), (3, gone)]);
        check(|books| books.close(1, None), &[(3, gone)]);
        let limit = Unserved::Connection(crate::observe::Ended::HeaderTime);
        check(
            |books| {
                books.close(
                    2,
                    Some(Unserved::Connection(crate::observe::Ended::HeaderTime)),
                )
            },
            &[(5, limit)],
        );
        let error = Unserved::ConnectionError;
        check(
            |books| {
                books.goes(3, 9);
                books.close(1, None)
            },
            &[(3, error), (5, error)],
        );
    }

    #[test]
    fn what_comes_after_the_last_stream_is_told_as_such() {
        let mut books = Books::open();
        books.goes(STREAM_MAX, 0);
        books.asks(1);
        assert_eq!(books.settle(1), []);
        books.goes(1, 0);
        books.asks(3);
        assert_eq!(books.settle(0), [(3, Unserved::AfterGoaway)]);
    }
}
