//! Heads that are written already, for objects that are asked for again and again: all octets but those that differ from
//! one answer to the next. Each is made of a head that was made the usual way, field by field, so it says the same.

use super::block::ReadyBlock;
use crate::{cache::StoredMeta, context::Context, respond::REQUEST_ID};
use ahash::RandomState;
use bytes::{BufMut as _, BytesMut};
use http::{HeaderName, HeaderValue, StatusCode, header};
use latencify_cache::Record;
use latencify_conf::policy::HeaderEdits;
use latencify_decide::{limit, route::ReadyRoute};
use parking_lot::RwLock;
use pingora::{
    http::{HeaderNameVariant, ResponseHeader},
    protocols::http::date,
};
use std::{
    fmt::Write as _,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// So many heads are kept, whatever the number of objects.
pub const READY_HEADS_MAX: usize = 4_096;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// Fields that differ from one answer to the next. A policy that edits one of them has its heads made each time.
const DIFFERING: [HeaderName; 6] = [
    header::AGE,
    header::CONNECTION,
    header::DATE,
    CACHE_STATUS,
    RATE_LIMIT,
    REQUEST_ID,
];

/// The heads that are kept, each in the one place that its object has: a newer takes it over.
pub struct ReadyHeads {
    places: Box<[Place]>,
    hasher: RandomState,
}

#[derive(Default)]
struct Place {
    /// The object that was answered here last without a head: the second time, one is kept. Compared, never followed.
    asked: AtomicUsize,
    head: RwLock<Option<Arc<ReadyHead>>>,
}

/// The head of a fresh, whole answer from one version of an object, at one route.
pub struct ReadyHead {
    record: Arc<Record<StoredMeta>>,
    route: Arc<ReadyRoute>,
    status: StatusCode,
    pieces: Vec<Piece>,
    /// The same for HTTP/2, once it is asked for.
    block: OnceLock<ReadyBlock>,
}

/// What stands in a head.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Octets(Vec<u8>),
    Age,
    /// Seconds of freshness left.
    Ttl,
    RateLimit,
    RequestId,
    /// The time of sending.
    Date,
    Connection,
}

/// What differs.
pub struct Differing<'a> {
    /// `Age`.
    pub age: u64,
    /// Seconds of freshness left.
    pub ttl: i64,
    /// Whether the connection goes on.
    pub keeps: bool,
    /// For its id, and its limits.
    pub ctx: &'a Context,
}

impl Default for ReadyHeads {
    fn default() -> Self {
        Self {
            places: (0..READY_HEADS_MAX).map(|_| Place::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl ReadyHeads {
    /// The head of this version at this route.
    pub fn find(
        &self,
        record: &Arc<Record<StoredMeta>>,
        route: &Arc<ReadyRoute>,
    ) -> Option<Arc<ReadyHead>> {
        let head = self.place(record)?.head.read();
        head.as_ref()
            .filter(|head| Arc::ptr_eq(&head.record, record) && Arc::ptr_eq(&head.route, route))
            .cloned()
    }

    /// Whether a head of this version shall be kept: it was answered before.
    pub fn wants(&self, record: &Arc<Record<StoredMeta>>) -> bool {
        let asked = address(record);
        self.place(record)
            .is_some_and(|place| place.asked.swap(asked, Ordering::Relaxed) == asked)
    }

    /// Keeps a head.
    pub fn keep(&self, head: ReadyHead) {
        if let Some(place) = self.place(&head.record) {
            *place.head.write() = Some(Arc::new(head));
        }
    }

    fn place(&self, record: &Arc<Record<StoredMeta>>) -> Option<&Place> {
        let hash = self.hasher.hash_one(address(record)) as usize;
        self.places.get(hash % self.places.len().max(1))
    }
}

fn address(record: &Arc<Record<StoredMeta>>) -> usize {
    Arc::as_ptr(record).addr()
}

impl ReadyHead {
    /// Of a head as it is about to be written, and what was put into it. None: what differs can't be told from the rest.
    pub fn of(
        head: &ResponseHeader,
        put: &Differing<'_>,
        record: Arc<Record<StoredMeta>>,
        route: Arc<ReadyRoute>,
    ) -> Option<Self> {
        if edits_differing(&route.response_headers) {
            return None;
        }
        let mut writer = Writer::new(head);
        let own = format!("; hit; ttl={}", put.ttl);
        let stored_date = record.meta.field(&header::DATE);
        // The edge's own member is the last; what an origin told before stays as it is.
        let last = head.headers.get_all(CACHE_STATUS).iter().count();
        let (mut told, mut is_sound) = (0, true);
        let each = |name: HeaderNameVariant<'_>, value: &HeaderValue| {
            let name = match name {
                HeaderNameVariant::Case(name) => name.as_slice(),
                HeaderNameVariant::Titled(name) => name.as_bytes(),
            };
            let is = |other: &HeaderName| name.eq_ignore_ascii_case(other.as_str().as_bytes());
            if is(&header::AGE) {
                is_sound &= value.as_bytes() == put.age.to_string().as_bytes();
                writer.field(name, Piece::Age);
            } else if is(&CACHE_STATUS) {
                told += 1;
                let prefix = value.to_str().ok().and_then(|text| text.strip_suffix(&own));
                match prefix {
                    Some(cache) if told == last => {
                        writer.begin(name);
                        writer.octets.extend_from_slice(cache.as_bytes());
                        writer.octets.extend_from_slice(b"; hit; ttl=");
                        writer.end(Piece::Ttl);
                    }
                    _ => {
                        is_sound &= told < last;
                        writer.constant(name, value);
                    }
                }
            } else if is(&RATE_LIMIT) {
                writer.field(name, Piece::RateLimit);
            } else if is(&REQUEST_ID) {
                writer.field(name, Piece::RequestId);
            } else if is(&header::CONNECTION) {
                writer.field(name, Piece::Connection);
            } else if is(&header::DATE) && Some(value) != stored_date.as_ref() {
                writer.field(name, Piece::Date);
            } else {
                writer.constant(name, value);
            }
            Ok(())
        };
        head.map(each).ok()?;
        is_sound.then(|| Self {
            record,
            route,
            status: head.status,
            pieces: writer.finish(),
            block: OnceLock::new(),
        })
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Writes it.
    pub fn write(&self, out: &mut BytesMut, differing: &Differing<'_>) {
        for piece in &self.pieces {
            piece.write(out, differing);
        }
    }

    /// Writes it as a block of HTTP/2.
    pub fn write_block(&self, out: &mut BytesMut, differing: &Differing<'_>) {
        let block = (self.block).get_or_init(|| ReadyBlock::of(self.status, &self.pieces));
        block.write(out, differing);
    }
}

impl Piece {
    /// Writes it.
    pub(super) fn write(&self, out: &mut BytesMut, differing: &Differing<'_>) {
        // Writing into memory does not fail.
        match self {
            Self::Octets(octets) => out.put_slice(octets),
            Self::Age => drop(write!(out, "{}", differing.age)),
            Self::Ttl => drop(write!(out, "{}", differing.ttl)),
            Self::RateLimit => {
                let value = limit::rate_limit(&differing.ctx.admitted.limits);
                out.put_slice(value.as_ref().map_or(&[][..], HeaderValue::as_bytes));
            }
            Self::RequestId => {
                let asked = differing.ctx.asked.as_ref();
                out.put_slice(asked.map_or(&[][..], |asked| asked.id.as_bytes()));
            }
            Self::Date => out.put_slice(date::get_cached_date().as_bytes()),
            Self::Connection => out.put_slice(if differing.keeps {
                b"keep-alive"
            } else {
                b"close"
            }),
        }
    }
}

fn edits_differing(edits: &HeaderEdits) -> bool {
    let set = edits.set.iter().chain(&edits.add).map(|(name, _)| name);
    set.chain(&edits.remove)
        .any(|name| DIFFERING.contains(name))
}

/// Puts pieces together.
struct Writer {
    pieces: Vec<Piece>,
    octets: Vec<u8>,
}

impl Writer {
    fn new(head: &ResponseHeader) -> Self {
        let reason = head.get_reason_phrase().unwrap_or_default();
        Self {
            pieces: Vec::new(),
            octets: format!("HTTP/1.1 {} {reason}\r\n", head.status.as_str()).into_bytes(),
        }
    }

    fn begin(&mut self, name: &[u8]) {
        self.octets.extend_from_slice(name);
        self.octets.extend_from_slice(b": ");
    }

    fn end(&mut self, piece: Piece) {
        self.pieces
            .push(Piece::Octets(std::mem::take(&mut self.octets)));
        self.pieces.push(piece);
        self.octets.extend_from_slice(b"\r\n");
    }

    fn field(&mut self, name: &[u8], piece: Piece) {
        self.begin(name);
        self.end(piece);
    }

    fn constant(&mut self, name: &[u8], value: &HeaderValue) {
        self.begin(name);
        self.octets.extend_from_slice(value.as_bytes());
        self.octets.extend_from_slice(b"\r\n");
    }

    fn finish(mut self) -> Vec<Piece> {
        self.octets.extend_from_slice(b"\r\n");
        self.pieces.push(Piece::Octets(self.octets));
        self.pieces
    }
}
