//! Requests that are answered ahead of the library: between the frames that come and the frames that go, before a stream of
//! its own is opened for them.
//!
//! # Characters
//! - [`Inbound`]: what of it is whole, passes, is dropped, or is an error; [`Decoder`]: the connection's one, so that what
//!   passes is written anew for the library, without a table;
//! - [`Share`] and [`Terms`](super::terms): what may be sent;
//! - [`Own`] and [`answered`]: the request, and its answer;
//! - [`Decision`]: what was decided of a request that passes. It waits in [`Word`] until the library has given the stream
//!   out; a field that no client knows names it.

use super::{
    answered::{self, Decision, Outgoing},
    inbound::{Head, Inbound, Item},
    library::LIST_TIMES_MAX,
    own::Own,
    room,
    share::Share,
    watch::Watch,
    word::Word,
    write,
};
use crate::{
    hot::head::Caller,
    hpack::{Decoder, Field, List, encode},
    listen::{backlog, gate::Gate},
    observe::Ended,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::Reason;
use http::HeaderName;
use latencify_conf::policy::EdgeLimits;
use pingora::protocols::http::v2::server::HttpSession;
use std::{
    sync::{Arc, LazyLock},
    task::Context,
};

/// The largest body that is answered so: what a client may have waiting that the library knows nothing of.
const BODY_BYTES_MAX: u64 = 64 << 10;
/// While so much waits to be sent, nothing more is answered.
pub(super) const WAITING_BYTES_MAX: usize = 128 << 10;

/// Written anew, what passes may be far larger than what came; with so much of it, what follows is looked at later.
const PASSED_BYTES_MAX: usize = 128 << 10;

/// Method, scheme, authority and path.
const PSEUDO_FIELDS_MAX: usize = 4;

/// The field that says which decision is that of a request; chosen by chance for each process.
static MARK: LazyLock<HeaderName> = LazyLock::new(|| {
    let name = format!("decided-{:032x}", rand::random::<u128>());
    HeaderName::from_lowercase(name.as_bytes()).unwrap_or(http::header::WARNING)
});

/// Answers on one connection.
pub(super) struct Ahead {
    gate: Arc<Gate>,
    backlog: Arc<backlog::Connection>,
    word: Arc<Word>,
    caller: Caller,
    /// What the library was told of them.
    header_bytes: usize,
    streams: usize,
    /// Whoever sends more goes the long way, where that is counted.
    fields: usize,
    inbound: Inbound,
    decoder: Decoder,
    list: List,
    share: Share,
    /// A block that is being written.
    block: BytesMut,
}

/// Where things go.
pub(super) struct Ways<'a> {
    pub watch: &'a mut Watch,
    /// To the library.
    pub passed: &'a mut BytesMut,
    /// To the client.
    pub out: &'a mut BytesMut,
}

/// Why the connection ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Limit(Ended),
    Error(Reason),
}

/// Takes the mark off a request that the library gave out, and what was decided of it.
pub(super) fn take_decision(session: &mut HttpSession, word: &Word) -> Option<Decision> {
    let mark = session.req_header_mut().remove_header(&*MARK)?;
    word.take_decision(mark.to_str().ok()?.parse().ok()?)
}

impl Ahead {
    /// On a connection on which nothing has come yet. The library is told of the same limits.
    pub(super) fn new(
        gate: Arc<Gate>,
        limits: &EdgeLimits,
        backlog: Arc<backlog::Connection>,
        word: Arc<Word>,
        caller: Caller,
    ) -> Self {
        Self {
            gate,
            backlog,
            word,
            caller,
            header_bytes: limits.header_bytes,
            streams: limits.streams as usize,
            fields: limits.headers.saturating_add(PSEUDO_FIELDS_MAX),
            inbound: Inbound::default(),
            decoder: Decoder::default(),
            list: List::default(),
            share: Share::default(),
            block: BytesMut::new(),
        }
    }

    /// Whether the library can be told about a stream: it knows of it, and what has passed ends with a whole frame.
    pub(super) fn can_tell_of(&self, stream: u32) -> bool {
        self.inbound.is_between_passed() && self.inbound.has_passed(stream)
    }

    /// The newest stream that was answered; 0: none.
    pub(super) fn newest_answered(&self) -> u32 {
        self.inbound.newest_answered()
    }

    /// What may be sent ahead of the library.
    pub(super) fn credit(&self) -> u64 {
        self.share.ours()
    }

    /// The library has sent so many octets of DATA; whether it has something to read for it.
    pub(super) fn library_sent(&mut self, octets: u64, passed: &mut BytesMut) -> bool {
        self.share.library_sent(octets);
        self.hand_over(passed)
    }

    /// Takes what the client sent, until much has passed of it; the rest is for later.
    pub(super) fn take(
        &mut self,
        octets: &mut &[u8],
        may_answer: bool,
        ways: &mut Ways<'_>,
        cx: &mut Context<'_>,
    ) -> Result<(), Failure> {
        while ways.passed.len() < PASSED_BYTES_MAX
            && let Some(item) = self.inbound.next(octets)
        {
            match item {
                Item::Begins(header) => ways.passed.put_slice(&header),
                Item::Passes(octets) => ways.passed.put_slice(octets),
                Item::Window(0) => write::window_update(ways.passed, 0),
                Item::Window(by) => match self.share.grant(by) {
                    Ok(0) => {}
                    Ok(passed) => write::window_update(ways.passed, passed),
                    Err(_) => return Err(Failure::Error(Reason::FLOW_CONTROL_ERROR)),
                },
                Item::Head(head) => self.head(&head, may_answer, ways, cx)?,
                Item::Error(reason) => return Err(Failure::Error(reason)),
            }
        }
        self.hand_over(ways.passed);
        Ok(())
    }

    /// Gives large buffers back.
    pub(super) fn rest(&mut self) {
        room::rest_list(&mut self.list.fields);
        room::rest(&mut self.block);
        self.inbound.rest();
    }

    fn hand_over(&mut self, passed: &mut BytesMut) -> bool {
        if !self.inbound.is_between_passed() {
            return false;
        }
        let given = self.share.hand_over();
        if let Some(given) = given {
            write::window_update(passed, given);
        }
        given.is_some()
    }

    fn head(
        &mut self,
        head: &Head,
        may_answer: bool,
        ways: &mut Ways<'_>,
        cx: &mut Context<'_>,
    ) -> Result<(), Failure> {
        self.list.fields.clear();
        self.list.bytes = 0;
        // The library's own bound is met by what is as large.
        let bytes_max = self.header_bytes.saturating_sub(1);
        let read = (self.decoder).read(self.inbound.block(), bytes_max, &mut self.list);
        read.map_err(|_| Failure::Error(Reason::COMPRESSION_ERROR))?;
        if self.list.bytes > self.header_bytes.saturating_mul(LIST_TIMES_MAX) {
            return Err(Failure::Limit(Ended::HeaderBytes));
        }
        let mut mark = None;
        if may_answer && head.is_new && self.may_decide(ways) {
            let own = Own::read(head, &self.list.fields, self.caller);
            let edge = self.gate.edge.get();
            if let (Some(own), Some(edge)) = (own, edge) {
                let mut to = Outgoing {
                    stream: head.stream,
                    body_bytes_max: BODY_BYTES_MAX
                        .min(self.share.ours())
                        .min(ways.watch.terms().window()),
                    block: &mut self.block,
                    out: ways.out,
                };
                match answered::ahead(edge, own, &self.backlog, &mut to, cx) {
                    Ok(sent) => {
                        self.share.spend(sent);
                        self.inbound.answered(head.stream);
                        ways.watch.answered_ahead(head.stream, sent as u32);
                        self.word.answered_ahead();
                        return Ok(());
                    }
                    Err(decision) => {
                        self.word.keep_decision(head.stream, decision);
                        mark = Some(mark_of(head.stream));
                    }
                }
            }
        }
        self.pass(head, mark, ways.passed);
        Ok(())
    }

    /// Whether a request may be decided here: if it passes, the library takes it up.
    fn may_decide(&self, ways: &Ways<'_>) -> bool {
        /// A mark, as it counts in a list.
        const MARK_BYTES: usize = 128;
        ways.watch.terms().let_answer()
            && ways.out.len() < WAITING_BYTES_MAX
            && self.list.bytes + MARK_BYTES < self.header_bytes
            && self.list.fields.len() <= self.fields
            && ways.watch.open_streams() <= self.streams
            && self.word.decisions() < self.streams
    }

    /// Passes a block to the library.
    fn pass(&mut self, head: &Head, mark: Option<Field>, passed: &mut BytesMut) {
        self.block.clear();
        for field in &self.list.fields {
            encode::again(&mut self.block, field);
        }
        if let Some(mark) = mark {
            encode::again(&mut self.block, &mark);
        }
        if self.list.bytes >= self.header_bytes {
            // What is too large shall be found too large.
            let kept: usize = self.list.fields.iter().map(|field| field.bytes()).sum();
            let value = vec![b'x'; self.header_bytes.saturating_sub(kept)];
            let more = Field::new(Bytes::from_static(b"more"), value.into(), false);
            encode::again(&mut self.block, &more);
        }
        if head.is_new {
            self.inbound.passes(head.stream);
        }
        write::head(
            passed,
            head.stream,
            head.ends_stream,
            head.priority,
            &self.block,
        );
        self.block.clear();
    }
}

fn mark_of(stream: u32) -> Field {
    let name = Bytes::from_static(MARK.as_str().as_bytes());
    Field::new(name, stream.to_string().into(), false)
}
