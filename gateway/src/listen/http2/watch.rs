//! What a client does with an HTTP/2 connection, counted frame by frame. Pure: octets and times go in, verdicts come out.
//!
//! The library below (h2) bounds what it keeps; what it does not bound is work, and waiting:
//! - frames that cost the sender nothing and carry nothing of a request ([`Watch::control`]);
//! - requests that are opened and reset again, by the client (rapid reset, CVE-2023-44487) or by us because the client
//!   broke them on purpose (CVE-2025-8671);
//! - a head that never ends, a body that does not come, a response that is not taken: the client gives no window.
//!
//! What it ends by itself is read from its GOAWAY, so that it is counted all the same.

mod ours;

use super::{
    counts::Counts,
    credit::Credit,
    flow::Flow,
    frames::{Event, Frame, FrameReader, kind},
    ledger::Ledger,
    library::continuations_max,
    stream::{StreamWatch, Waits},
    terms::Terms,
};
use crate::observe::Ended;
use latencify_conf::policy::EdgeLimits;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

const INITIAL_WINDOW_SIZE: u16 = 4;
/// Requests that are followed beyond `streams`: the library refuses them, which takes a moment.
const STREAMS_MORE: usize = 1_024;
const NO_ERROR: u32 = 0;
const ENHANCE_YOUR_CALM: u32 = 11;
/// After the GOAWAY that begins the end, so long may requests come that were on their way, until the client answers the
/// PING that came with it.
pub(super) const GOODBYE_TIME_MAX: Duration = Duration::from_secs(5);

/// Follows one connection.
#[derive(Debug)]
pub(super) struct Watch {
    limits: EdgeLimits,
    theirs: FrameReader,
    ours: FrameReader,
    counts: Counts,
    credit: Credit,
    goodbye: Goodbye,
    /// Since when a head is under way; at first, the connection's own.
    head_since: Option<Instant>,
    continuations: usize,
    streams: HashMap<u32, StreamWatch>,
    newest: u32,
    requests: u32,
    /// How many there had been when the client was told to go.
    gone_at: Option<u32>,
    flow: Flow,
    terms: Terms,
    /// Octets of DATA that the library sent, until somebody asks.
    data_sent: u64,
    verdict: Option<Ended>,
    ledger: Arc<Mutex<Ledger>>,
}

/// How far the end of the connection has been told (RFC 9113 §6.8).
#[derive(Debug, Clone, Copy)]
enum Goodbye {
    Unsaid,
    /// The GOAWAY that names no stream, with a PING that the client is to answer.
    Begun(Instant),
    /// The one that names the last stream: what comes after it is not served.
    Done,
}

impl Watch {
    /// At the start of a connection, whose requests are noted there until somebody takes them up.
    pub(super) fn new(limits: EdgeLimits, now: Instant, ledger: Arc<Mutex<Ledger>>) -> Self {
        Self {
            limits,
            theirs: FrameReader::of_client(),
            ours: FrameReader::default(),
            counts: Counts::default(),
            credit: Credit::default(),
            goodbye: Goodbye::Unsaid,
            head_since: Some(now),
            continuations: 0,
            streams: HashMap::new(),
            newest: 0,
            requests: 0,
            gone_at: None,
            flow: Flow::default(),
            terms: Terms::default(),
            data_sent: 0,
            verdict: None,
            ledger,
        }
    }

    /// Everything that is under way shall end, for that reason.
    pub(super) fn end_all(&mut self, why: Ended, overdue: &mut Vec<(u32, Ended)>) {
        overdue.extend(self.streams.drain().map(|(id, _)| (id, why)));
    }

    /// These hold from now on.
    pub(super) fn obey(&mut self, limits: EdgeLimits) {
        self.limits = limits;
    }

    /// Takes what the client sent; says whether that is too much.
    pub(super) fn received(&mut self, octets: &[u8], now: Instant) -> Option<Ended> {
        let mut theirs = std::mem::take(&mut self.theirs);
        let ledger = self.ledger.clone();
        let mut ledger = ledger.lock();
        theirs.feed(octets, |event| {
            ledger.their(event, now);
            self.their(event, now);
        });
        self.theirs = theirs;
        self.verdict
    }

    /// Takes what we sent.
    pub(super) fn sent(&mut self, octets: &[u8], now: Instant) -> Option<Ended> {
        let mut ours = std::mem::take(&mut self.ours);
        let ledger = self.ledger.clone();
        let mut ledger = ledger.lock();
        ours.feed(octets, |event| {
            ledger.our(event);
            self.our(event, now);
        });
        self.ours = ours;
        self.verdict
    }

    /// Looks at who is waited for. A head that is late ends the connection; streams that fell behind are put into
    /// `overdue`.
    pub(super) fn tick(&mut self, now: Instant, overdue: &mut Vec<(u32, Ended)>) -> Option<Ended> {
        if let Some(since) = self.head_since
            && now.saturating_duration_since(since) >= self.limits.header_time
        {
            self.end(Ended::HeaderTime);
        }
        let connection = Waits {
            to_receive: self.flow.receive > 0,
            to_send: self.flow.is_shut(),
        };
        for (id, stream) in &mut self.streams {
            if let Some(reason) = stream.tick(&self.limits, connection, now) {
                overdue.push((*id, reason));
            }
        }
        for (id, _) in overdue {
            self.streams.remove(id);
        }
        self.verdict
    }

    /// Whether a response waits for a window of the client.
    pub(super) fn waits_for_window(&self) -> bool {
        let is_shut = self.flow.is_shut();
        self.streams
            .values()
            .any(|stream| stream.waits_for_window(is_shut))
    }

    /// Gives up the responses that wait for a window of the client, and puts them into `overdue`.
    pub(super) fn end_waiting(&mut self, why: Ended, overdue: &mut Vec<(u32, Ended)>) {
        let is_shut = self.flow.is_shut();
        let waiting = self
            .streams
            .extract_if(|_, stream| stream.waits_for_window(is_shut));
        overdue.extend(waiting.map(|(id, _)| (id, why)));
    }

    /// Whether somebody is waited for, so that [`Watch::tick`] is due now and then.
    pub(super) fn is_waiting(&self) -> bool {
        self.head_since.is_some() || !self.streams.is_empty()
    }

    /// Whether a frame of ours may be put in between now.
    pub(super) fn may_insert(&self) -> bool {
        self.ours.is_between_blocks()
    }

    /// So much of the connection's window is for answers ahead of the library, which waits for its own.
    pub(super) fn keep_for_ahead(&mut self, octets: u64) {
        self.flow.ahead = i64::try_from(octets).unwrap_or(i64::MAX);
    }

    /// The client is told to go; says whether it had not been.
    pub(super) fn goes(&mut self) -> bool {
        self.gone_at
            .replace(self.gone_at.unwrap_or(self.requests))
            .is_none()
    }

    /// So many of the octets that are sent next belong to the frame that is under way.
    pub(super) fn until_frame(&self, octets: &[u8]) -> Option<usize> {
        self.ours.until_frame(octets)
    }

    /// A request was answered ahead of the library, with so many octets of DATA.
    pub(super) fn answered_ahead(&mut self, stream: u32, data: u32) {
        self.streams.remove(&stream);
        if data > 0 {
            self.flow.send -= i64::from(data);
            self.credit.data_went(data);
        }
        self.ledger.lock().answered_ahead(stream);
    }

    /// What the client lets us do.
    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Octets of DATA that the library sent since the last time.
    pub(super) fn take_data_sent(&mut self) -> u64 {
        std::mem::take(&mut self.data_sent)
    }

    /// Requests that are under way.
    pub(super) fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// Requests that were opened so far.
    pub(super) fn requests(&self) -> u32 {
        self.requests
    }

    fn their(&mut self, event: Event, now: Instant) {
        match event {
            Event::Begin(frame) => self.their_frame(frame, now),
            Event::Octets(frame, count) if frame.kind == kind::DATA => {
                if let Some(stream) = self.streams.get_mut(&frame.stream) {
                    stream.brought(count);
                }
            }
            Event::Setting(id, value) => {
                self.terms.their_setting(id, value);
                if id != INITIAL_WINDOW_SIZE {
                    return;
                }
                let size = i64::from(value);
                let change = size - self.flow.their_initial;
                self.flow.their_initial = size;
                for stream in self.streams.values_mut() {
                    stream.widen_send(change);
                }
            }
            Event::Number(frame, by) if frame.kind == kind::WINDOW_UPDATE => {
                if frame.stream == 0 {
                    self.flow.send += i64::from(by);
                } else if let Some(stream) = self.streams.get_mut(&frame.stream) {
                    stream.widen_send(i64::from(by));
                }
            }
            Event::End(frame) => self.their_end(frame),
            Event::Octets(..) | Event::Number(..) | Event::LastStream(_) => {}
        }
    }

    fn their_frame(&mut self, frame: Frame, now: Instant) {
        let is_empty = frame.length == 0;
        match frame.kind {
            kind::DATA => {
                self.flow.receive -= i64::from(frame.length);
                if let Some(stream) = self.streams.get_mut(&frame.stream) {
                    stream.receives(frame.length);
                }
                if is_empty && !frame.ends_stream() {
                    self.control(Ended::EmptyFrames, now);
                }
            }
            kind::HEADERS => {
                self.head_since.get_or_insert(now);
                self.continuations = 0;
                self.open(frame, now);
                if is_empty {
                    self.control(Ended::EmptyFrames, now);
                }
            }
            kind::CONTINUATION => {
                self.continuations += 1;
                if self.continuations > continuations_max(self.limits.header_bytes) {
                    self.end(Ended::Continuation);
                }
                if is_empty {
                    self.control(Ended::EmptyFrames, now);
                }
            }
            kind::RST_STREAM => {
                // Whoever waited for the answer's beginning could as well have taken it: that is no way to make us work.
                let answered = self.streams.remove(&frame.stream);
                if !answered.is_some_and(|stream| stream.response_has_begun()) {
                    self.reset(false, now);
                }
            }
            kind::PING if !frame.is_ack() && self.credit.takes_ping() => {}
            kind::PING => self.control(Ended::Ping, now),
            kind::SETTINGS => {
                if !frame.is_ack() {
                    self.terms.their_settings();
                }
                self.control(Ended::Settings, now);
            }
            kind::PRIORITY | kind::PRIORITY_UPDATE => self.control(Ended::Priority, now),
            kind::WINDOW_UPDATE if self.credit.takes_update() => {}
            kind::WINDOW_UPDATE => self.control(Ended::WindowUpdate, now),
            kind::GOAWAY => {}
            _ => self.control(Ended::UnknownFrames, now),
        }
    }

    fn their_end(&mut self, frame: Frame) {
        match frame.kind {
            kind::HEADERS | kind::CONTINUATION if frame.ends_headers() => self.head_since = None,
            // The connection's own head is its first SETTINGS.
            kind::SETTINGS if self.newest == 0 => self.head_since = None,
            _ => {}
        }
        if frame.ends_stream()
            && let Some(stream) = self.streams.get_mut(&frame.stream)
            && stream.request_ends()
        {
            self.streams.remove(&frame.stream);
        }
    }

    fn open(&mut self, frame: Frame, now: Instant) {
        if frame.stream <= self.newest {
            return;
        }
        self.newest = frame.stream;
        self.requests = self.requests.saturating_add(1);
        self.credit.request_came();
        if self.ignores_goodbye(now) {
            self.end(Ended::GoawayIgnored);
            return;
        }
        if self.streams.len() >= self.limits.streams as usize + STREAMS_MORE {
            self.end(Ended::Streams);
            return;
        }
        let stream = StreamWatch::new(&self.limits, self.flow.our_initial, self.flow.their_initial);
        self.streams.insert(frame.stream, stream);
    }

    /// Whether requests still come though the client was told to go, long enough ago for those that were on their way.
    fn ignores_goodbye(&self, now: Instant) -> bool {
        let is_late = match self.goodbye {
            Goodbye::Begun(since) => now.saturating_duration_since(since) >= GOODBYE_TIME_MAX,
            Goodbye::Unsaid | Goodbye::Done => false,
        };
        // What was opened before the word reached the client is at most what it may have open, and what took its place.
        let under_way = self.limits.streams.saturating_mul(2);
        let allowed =
            (self.gone_at).map(|at| at.max(self.limits.requests).saturating_add(under_way));
        is_late || allowed.is_some_and(|allowed| self.requests > allowed)
    }

    fn reset(&mut self, is_refusal: bool, now: Instant) {
        if self.counts.reset(is_refusal, now) > self.limits.resets {
            self.end(self.counts.why_resets());
        }
    }

    /// Counts a frame that carries nothing of a request.
    fn control(&mut self, why: Ended, now: Instant) {
        if self.counts.control(now) > self.limits.control_frames {
            self.end(why);
        }
    }

    /// The first reason is the one that is told.
    fn end(&mut self, why: Ended) {
        self.verdict.get_or_insert(why);
    }
}

/// How often [`Watch::tick`] is due while somebody is waited for.
pub(super) const TICK: Duration = Duration::from_millis(500);
