//! What is kept of a response beside its body: octets in one allocation, of which a look-up reads what it needs. The head is
//! decoded for those who send it the long way, and for the hot ones once ([`hot::ready`](crate::hot::ready)).
//!
//! ```text
//! flags u8 │ status and version u16 │ provenance i64 │ fresh until i64, epoch i64, windows u32, u32: unless they follow
//!          │ variance? [16] │ lifetime: flags u8, source u8, born i64, windows
//!          │ reason? counted │ fields
//! ```
//! Numbers are little-endian, times and spans nanoseconds, times since 1970.

use super::{
    fields::{self, Cursor},
    notes::{Notes, bits, nanos, time},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use latencify_cache::Metadata;
use latencify_decide::freshness::Lifetime;
use pingora::{cache::CacheMeta, http::ResponseHeader};
use std::time::{Duration, SystemTime};

/// Pingora's windows stay open as long; any as wide as half of it is taken for this one.
const FOREVER: Duration = Duration::from_hours(100 * 365 * 24);

const VARIANT: u8 = 1;
const LIFETIME: u8 = 2;
/// Pingora's windows are open.
const OPEN: u8 = 4;
/// The epoch is the provenance.
const BORN_THEN: u8 = 8;
/// Names are kept as they were spelt.
const CASED: u8 = 16;
const REASON: u8 = 32;

const STATUS_MASK: u16 = 0x0fff;
const VERSION_SHIFT: u32 = 12;
const VERSIONS: [Version; 4] = [
    Version::HTTP_11,
    Version::HTTP_10,
    Version::HTTP_2,
    Version::HTTP_09,
];

/// What is kept of a response beside its body, packed.
#[derive(Clone)]
pub struct StoredMeta(Box<[u8]>);

/// The same, taken apart.
pub struct Decoded {
    pub(crate) header: ResponseHeader,
    pub(crate) fresh_until: SystemTime,
    /// Pingora compares a variant's `created` with the primary's `provenance`; keeping the provenance as both lets
    /// variants outlive a refill of the primary.
    pub(crate) provenance: SystemTime,
    pub(crate) epoch: SystemTime,
    pub(crate) stale_while_revalidate_sec: u32,
    pub(crate) stale_if_error_sec: u32,
    pub(crate) variance: Option<[u8; 16]>,
    pub(crate) notes: Option<Notes>,
}

/// What stands before the fields.
struct Front<'a> {
    flags: u8,
    status: StatusCode,
    version: Version,
    provenance: SystemTime,
    fresh_until: SystemTime,
    epoch: SystemTime,
    windows: (u32, u32),
    variance: Option<[u8; 16]>,
    notes: Option<Notes>,
    reason: Option<&'a str>,
    fields: &'a [u8],
}

impl StoredMeta {
    /// Takes a meta apart and packs it.
    pub(super) fn of(meta: &CacheMeta, notes: Option<Notes>) -> Self {
        let decoded = Decoded {
            header: meta.response_header_copy(),
            fresh_until: meta.fresh_until(),
            provenance: meta.provenance(),
            epoch: meta.epoch(),
            stale_while_revalidate_sec: meta.stale_while_revalidate_sec(),
            stale_if_error_sec: meta.stale_if_error_sec(),
            variance: meta.variance(),
            notes,
        };
        decoded.packed()
    }

    /// All of it, taken apart.
    pub fn decoded(&self) -> Decoded {
        let front = self.front();
        Decoded {
            header: front.header(),
            fresh_until: front.fresh_until,
            provenance: front.provenance,
            epoch: front.epoch,
            stale_while_revalidate_sec: front.windows.0,
            stale_if_error_sec: front.windows.1,
            variance: front.variance,
            notes: front.notes,
        }
    }

    /// The stored head.
    pub fn response(&self) -> ResponseHeader {
        self.front().header()
    }

    /// The first line of a field of the stored head.
    pub fn field(&self, name: &HeaderName) -> Option<HeaderValue> {
        let value = fields::value_of(self.front().fields, name)?;
        HeaderValue::from_bytes(value).ok()
    }

    /// The lines of one field of the stored head. If there are none, nothing is allocated.
    pub fn only(&self, name: &HeaderName) -> HeaderMap {
        let mut only = HeaderMap::new();
        for value in fields::values_of(self.front().fields, name) {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                only.append(name.clone(), value);
            }
        }
        only
    }

    /// Which variant it is; none: of a response that does not vary.
    pub fn variance(&self) -> Option<[u8; 16]> {
        self.front().variance
    }

    /// For how long it serves; none: whoever had it stored did not say.
    pub fn lifetime(&self) -> Option<Lifetime> {
        self.front().notes.map(|notes| notes.lifetime)
    }

    /// The body's length as the header announces it, for statuses that have a body.
    pub(crate) fn announced_bytes(&self) -> Option<u64> {
        let front = self.front();
        if !has_body(front.status) {
            return None;
        }
        let announced = fields::value_of(front.fields, &header::CONTENT_LENGTH)?;
        std::str::from_utf8(announced).ok()?.trim().parse().ok()
    }

    /// Takes the length over from the header that this one renews: a 304 speaks of a body that it does not change, and
    /// some origins announce the length of the 304 itself.
    pub(super) fn keep_length(&mut self, base: &Self) {
        let kept = base.field(&header::CONTENT_LENGTH);
        let mut decoded = self.decoded();
        decoded.header.remove_header(&header::CONTENT_LENGTH);
        if let Some(kept) = kept {
            // The value was a header's before, so it is one now.
            let _ = decoded.header.insert_header(header::CONTENT_LENGTH, kept);
        }
        *self = decoded.packed();
    }

    pub(super) fn to_meta(&self) -> CacheMeta {
        let front = self.front();
        let mut meta = CacheMeta::new(
            front.fresh_until,
            front.provenance,
            front.windows.0,
            front.windows.1,
            front.header(),
        );
        meta.set_epoch_override(front.epoch);
        if let Some(variance) = front.variance {
            meta.set_variance(variance);
        }
        meta
    }

    fn front(&self) -> Front<'_> {
        let mut rest = Cursor(&self.0);
        let [flags] = rest.array();
        let is = |flag: u8| flags & flag != 0;
        let line = u16::from_le_bytes(rest.array());
        let version = VERSIONS.get(usize::from(line >> VERSION_SHIFT)).copied();
        let provenance = time(rest.array());
        let (mut fresh_until, mut windows) = (provenance + FOREVER, (u32::MAX, u32::MAX));
        if !is(OPEN) {
            fresh_until = time(rest.array());
            let (first, second) = (rest.array(), rest.array());
            windows = (u32::from_le_bytes(first), u32::from_le_bytes(second));
        }
        let epoch = if is(BORN_THEN) {
            provenance
        } else {
            time(rest.array())
        };
        let variance = is(VARIANT).then(|| rest.array());
        let notes = is(LIFETIME).then(|| Notes::unpack(&mut rest));
        let reason = is(REASON).then(|| std::str::from_utf8(rest.counted()).unwrap_or_default());
        Front {
            flags,
            status: StatusCode::from_u16(line & STATUS_MASK).unwrap_or_default(),
            version: version.unwrap_or_default(),
            provenance,
            fresh_until,
            epoch,
            windows,
            variance,
            notes,
            reason,
            fields: rest.0,
        }
    }
}

impl Front<'_> {
    fn header(&self) -> ResponseHeader {
        // A status is one.
        let built = if self.flags & CASED == 0 {
            ResponseHeader::build_no_case(self.status, None)
        } else {
            ResponseHeader::build(self.status, None)
        };
        let mut header = built.unwrap_or_else(|_| self.status_alone());
        header.set_version(self.version);
        if self.reason.is_some() {
            let _ = header.set_reason_phrase(self.reason);
        }
        fields::unpack(self.fields, &mut header);
        header
    }

    fn status_alone(&self) -> ResponseHeader {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = self.status;
        parts.into()
    }
}

impl Decoded {
    /// In the form in which it is stored.
    pub fn packed(&self) -> StoredMeta {
        let header = &self.header;
        let windows = (self.stale_while_revalidate_sec, self.stale_if_error_sec);
        let fresh_for = self.fresh_until.duration_since(self.provenance);
        let is_open =
            windows == (u32::MAX, u32::MAX) && fresh_for.is_ok_and(|open| open >= FOREVER / 2);
        let reason = header.get_reason_phrase();
        let reason = reason.filter(|&reason| header.status.canonical_reason() != Some(reason));
        let flags = [
            (VARIANT, self.variance.is_some()),
            (LIFETIME, self.notes.is_some()),
            (OPEN, is_open),
            (BORN_THEN, self.epoch == self.provenance),
            (CASED, header.has_case()),
            (REASON, reason.is_some()),
        ];
        let version = VERSIONS.iter().position(|it| *it == header.version);
        let line = header.status.as_u16() | (version.unwrap_or_default() as u16) << VERSION_SHIFT;
        let mut out = vec![bits(&flags)];
        out.extend_from_slice(&line.to_le_bytes());
        out.extend_from_slice(&nanos(self.provenance));
        if !is_open {
            out.extend_from_slice(&nanos(self.fresh_until));
            out.extend_from_slice(&windows.0.to_le_bytes());
            out.extend_from_slice(&windows.1.to_le_bytes());
        }
        if self.epoch != self.provenance {
            out.extend_from_slice(&nanos(self.epoch));
        }
        out.extend_from_slice(self.variance.as_ref().map_or(&[], |variance| &variance[..]));
        if let Some(notes) = &self.notes {
            notes.pack(&mut out);
        }
        if let Some(reason) = reason {
            fields::put_counted(&mut out, reason.as_bytes());
        }
        fields::pack(header, &mut out);
        StoredMeta(out.into_boxed_slice())
    }
}

impl Metadata for StoredMeta {
    fn bytes(&self) -> u64 {
        self.0.len() as u64
    }

    /// A body whose length was not announced gets a `Content-Length`, so that ranges of it can be served.
    fn completed(&self, body_bytes: u64) -> Option<Self> {
        let front = self.front();
        let is_announced = fields::value_of(front.fields, &header::CONTENT_LENGTH).is_some();
        if is_announced || !has_body(front.status) {
            return None;
        }
        let mut decoded = self.decoded();
        let header = &mut decoded.header;
        header.remove_header(&header::TRANSFER_ENCODING);
        header
            .insert_header(header::CONTENT_LENGTH, body_bytes.to_string())
            .ok()?;
        Some(decoded.packed())
    }
}

/// RFC 9110 §6.4.1: 1xx, 204 and 304 have no content.
fn has_body(status: StatusCode) -> bool {
    !status.is_informational()
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED
}
