//! The header of an object on disk, version 1: what memory keeps as [`StoredMeta`], as octets.
//!
//! ```text
//! version u8 │ status u16 │ provenance u64 │ epoch u64 │ variance? u8 [16] │ lifetime: length u32, JSON
//!            │ names are spelt as the origin did u8 │ fields u32 │ each: name length u16, name, value length u32, value
//! ```
//!
//! Numbers are little-endian, times milliseconds since 1970. The tier has its checksum over all of it; what can't be read all the
//! same is of another version, and a miss.

use crate::cache::{Decoded, Notes, StoredMeta};
use http::HeaderValue;
use latencify_decide::freshness::Lifetime;
use pingora::http::ResponseHeader;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The version that is written, and the only one that is read.
/// It rises as well when the octets of a key come to mean another request: keys have no version of their own.
const VERSION: u8 = 1;
/// The most fields that are written, and believed.
const FIELDS_MAX: u32 = 4096;
/// Far beyond any lifetime: Pingora never finds an object stale by itself.
const FOREVER: Duration = Duration::from_hours(100 * 365 * 24);

/// What is kept of it; none: it has no lifetime, more than [`FIELDS_MAX`] fields, or one that is too long. The reason phrase is not
/// kept: a recipient ignores it (RFC 9112 §4).
pub fn encode(meta: &StoredMeta) -> Option<Vec<u8>> {
    let lifetime = serde_json::to_vec(&meta.lifetime()?).ok()?;
    let meta = meta.decoded();
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&meta.header.status.as_u16().to_le_bytes());
    bytes.extend_from_slice(&millis(meta.provenance).to_le_bytes());
    bytes.extend_from_slice(&millis(meta.epoch).to_le_bytes());
    match meta.variance {
        None => bytes.push(0),
        Some(variance) => {
            bytes.push(1);
            bytes.extend_from_slice(&variance);
        }
    }
    put(&mut bytes, &lifetime)?;
    bytes.push(u8::from(meta.header.has_case()));
    let fields = u32::try_from(meta.header.headers.len()).ok()?;
    if fields > FIELDS_MAX {
        return None;
    }
    bytes.extend_from_slice(&fields.to_le_bytes());
    let mut put_field = |name: &[u8], value: &HeaderValue| {
        bytes.extend_from_slice(&u16::try_from(name.len()).ok()?.to_le_bytes());
        bytes.extend_from_slice(name);
        put(&mut bytes, value.as_bytes())
    };
    if meta.header.has_case() {
        let mut fields = meta.header.case_header_iter();
        fields.try_for_each(|(name, value)| put_field(name.as_slice(), value))?;
    } else {
        let mut fields = meta.header.headers.iter();
        fields.try_for_each(|(name, value)| put_field(name.as_str().as_bytes(), value))?;
    }
    Some(bytes)
}

/// What was kept; none: of another version.
pub fn decode(bytes: &[u8]) -> Option<StoredMeta> {
    let mut rest = Rest(bytes);
    let [version] = rest.array()?;
    if version != VERSION {
        return None;
    }
    let status = u16::from_le_bytes(rest.array()?);
    let provenance = time(u64::from_le_bytes(rest.array()?))?;
    let epoch = time(u64::from_le_bytes(rest.array()?))?;
    let variance = match rest.array()? {
        [0] => None,
        [1] => Some(rest.array()?),
        _ => return None,
    };
    let lifetime: Lifetime = serde_json::from_slice(rest.counted()?).ok()?;
    let [has_case] = rest.array()?;
    let fields = u32::from_le_bytes(rest.array()?);
    if fields > FIELDS_MAX {
        return None;
    }
    let room = Some(fields as usize);
    let mut header = if has_case == 1 {
        ResponseHeader::build(status, room).ok()?
    } else {
        ResponseHeader::build_no_case(status, room).ok()?
    };
    for _ in 0..fields {
        let name = u16::from_le_bytes(rest.array()?);
        let name = std::str::from_utf8(rest.take(usize::from(name))?).ok()?;
        let value = HeaderValue::from_bytes(rest.counted()?).ok()?;
        header.append_header(name.to_owned(), value).ok()?;
    }
    let meta = Decoded {
        header,
        fresh_until: SystemTime::now() + FOREVER,
        provenance,
        epoch,
        stale_while_revalidate_sec: u32::MAX,
        stale_if_error_sec: u32::MAX,
        variance,
        notes: Some(Notes { lifetime }),
    };
    rest.0.is_empty().then(|| meta.packed())
}

/// After which it is of no use, stale or not, in milliseconds since 1970; 0: it may always be validated.
pub fn keep_until_ms(meta: &StoredMeta) -> u64 {
    let validators = [http::header::ETAG, http::header::LAST_MODIFIED];
    let has_validator = validators.iter().any(|name| meta.field(name).is_some());
    match meta.lifetime() {
        Some(lifetime) if !has_validator => {
            let stale = lifetime.stale_while_revalidate.max(lifetime.stale_if_error);
            let until = lifetime
                .born
                .checked_add(lifetime.fresh.saturating_add(stale));
            until.map_or(0, millis)
        }
        _ => 0,
    }
}

fn put(bytes: &mut Vec<u8>, counted: &[u8]) -> Option<()> {
    bytes.extend_from_slice(&u32::try_from(counted.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(counted);
    Some(())
}

fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time(millis: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn counted(&mut self) -> Option<&'a [u8]> {
        let bytes = u32::from_le_bytes(self.array()?);
        self.take(bytes as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_decide::freshness::LifetimeSource;

    fn meta() -> StoredMeta {
        let mut header = ResponseHeader::build(200, None).unwrap();
        for (name, value) in [
            ("Content-Type", "text/plain"),
            ("x-MiXed", "a"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("ETag", "\"1\""),
        ] {
            header.append_header(name, value).unwrap();
        }
        let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let meta = Decoded {
            header,
            fresh_until: at,
            provenance: at,
            epoch: at + Duration::from_secs(1),
            stale_while_revalidate_sec: u32::MAX,
            stale_if_error_sec: u32::MAX,
            variance: Some([7; 16]),
            notes: Some(Notes {
                lifetime: Lifetime {
                    born: at,
                    fresh: Duration::from_mins(1),
                    stale_while_revalidate: Duration::ZERO,
                    stale_if_error: Duration::from_mins(2),
                    always_revalidate: false,
                    must_revalidate: false,
                    immutable: true,
                    source: LifetimeSource::MaxAge,
                },
            }),
        };
        meta.packed()
    }

    #[test]
    fn what_was_written_is_read() {
        let written = meta();
        let read = decode(&encode(&written).unwrap()).unwrap();
        assert_eq!(read.response().status, 200);
        let wire = |meta: &StoredMeta| {
            let mut wire = Vec::new();
            meta.response().header_to_h1_wire(&mut wire);
            String::from_utf8(wire).unwrap()
        };
        assert_eq!(wire(&read), wire(&written), "in order, as it was spelt");
        let kept = |meta: &StoredMeta| {
            let decoded = meta.decoded();
            (decoded.provenance, decoded.epoch, decoded.variance)
        };
        assert_eq!(kept(&read), kept(&written));
        assert_eq!(read.lifetime(), written.lifetime());
        assert_eq!(keep_until_ms(&read), 0, "it has a validator");
    }

    #[test]
    fn what_is_cut_off_or_of_another_version_is_not_read() {
        let written = encode(&meta()).unwrap();
        for bytes in 0..written.len() {
            assert!(decode(&written[..bytes]).is_none(), "{bytes}");
        }
        let other = [&[VERSION + 1], &written[1..]].concat();
        assert!(decode(&other).is_none());
        assert!(decode(&[&written[..], b"x"].concat()).is_none());
    }
}
