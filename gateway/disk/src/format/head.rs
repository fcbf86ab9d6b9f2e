//! What is known of an object beside its body, as it stands in its frame; and the frame of a removal.

use super::{Cursor, put_bytes};
use crate::{hash::KeyHash, head::Head};
use bytes::Bytes;
use latencify_cache::{Fetch, Identity, KeyRef, Stamp, TAGS_MAX};
use latencify_conf::change::{Epoch, LogId, SiteId};
use std::sync::Arc;
use uuid::Uuid;

/// Length of an [`Extent`] on disk.
pub(crate) const EXTENT_BYTES: u32 = 16;

/// Where a chunk is: its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    /// Of the payload.
    pub(crate) bytes: u32,
    /// Of the payload.
    pub(crate) crc: u32,
}

/// A head as it stands on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredHead {
    /// Its `fetch.generation` is the order: the generation, counted on over all runs.
    pub(crate) head: Head,
    pub(crate) body_bytes: u64,
    /// Of a body that stands behind the head.
    pub(crate) body_crc: u32,
    /// Of a body that does not.
    pub(crate) extents: Vec<Extent>,
}

impl StoredHead {
    pub(crate) fn order(&self) -> u64 {
        self.head.fetch.generation
    }

    /// Where its body stands behind the head.
    pub(crate) fn is_inline(&self) -> bool {
        self.extents.is_empty()
    }

    /// The oldest segment that it has a part in, if its head is in `own`.
    pub(crate) fn oldest(&self, own: u32) -> u32 {
        self.extents
            .iter()
            .map(|extent| extent.segment)
            .fold(own, u32::min)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let Head {
            key,
            identity,
            fetch,
            keep_until_ms,
            header,
        } = &self.head;
        let key = key.as_ref();
        let mut into = Vec::with_capacity(
            128 + key.primary.len() + identity.path.len() + header.len() + self.extents.len() * 16,
        );
        let put = |into: &mut Vec<u8>, number: u64| into.extend_from_slice(&number.to_le_bytes());
        put(&mut into, fetch.generation);
        let (is_logged, log) = fetch.stamp.log.map_or((0, 0), |log| (1, log.0.as_u128()));
        into.push(is_logged);
        into.extend_from_slice(&log.to_le_bytes());
        put(&mut into, fetch.stamp.epoch.0);
        put(&mut into, fetch.stamp.local);
        put(&mut into, *keep_until_ms);
        put(&mut into, self.body_bytes);
        into.extend_from_slice(&self.body_crc.to_le_bytes());
        into.push(u8::from(key.variance.is_some()));
        into.extend_from_slice(&key.variance.unwrap_or_default());
        put_bytes(&mut into, key.primary);
        put(&mut into, identity.site.0);
        put_bytes(&mut into, identity.path.as_bytes());
        into.extend_from_slice(&(identity.tags.len() as u16).to_le_bytes());
        for tag in &*identity.tags {
            put_bytes(&mut into, tag.as_bytes());
        }
        put_bytes(&mut into, header);
        into.extend_from_slice(&(self.extents.len() as u32).to_le_bytes());
        for extent in &self.extents {
            for number in [extent.segment, extent.offset, extent.bytes, extent.crc] {
                into.extend_from_slice(&number.to_le_bytes());
            }
        }
        into
    }

    /// None: it is not what `encode` writes.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        let generation = cursor.u64()?;
        let is_logged = flag(&mut cursor)?;
        let log = u128::from_le_bytes(cursor.array()?);
        let stamp = Stamp {
            log: is_logged.then(|| LogId(Uuid::from_u128(log))),
            epoch: Epoch(cursor.u64()?),
            local: cursor.u64()?,
        };
        let keep_until_ms = cursor.u64()?;
        let body_bytes = cursor.u64()?;
        let body_crc = cursor.u32()?;
        let is_variant = flag(&mut cursor)?;
        let variance = cursor.array()?;
        let key = KeyRef {
            primary: cursor.bytes()?,
            variance: is_variant.then_some(variance),
        };
        let site = SiteId(cursor.u64()?);
        let path = Arc::from(cursor.text()?);
        let tags = cursor.u16()?;
        if usize::from(tags) > TAGS_MAX {
            return None;
        }
        let tags = (0..tags)
            .map(|_| cursor.text().map(Box::from))
            .collect::<Option<_>>()?;
        let header = Bytes::copy_from_slice(cursor.bytes()?);
        let count = cursor.u32()?;
        if u64::from(count) * u64::from(EXTENT_BYTES) != cursor.0.len() as u64 {
            return None;
        }
        let extents: Vec<_> = (0..count)
            .map(|_| extent(&mut cursor))
            .collect::<Option<_>>()?;
        let in_chunks: u64 = extents.iter().map(|extent| u64::from(extent.bytes)).sum();
        if !extents.is_empty() && in_chunks != body_bytes {
            return None;
        }
        Some(Self {
            head: Head {
                key: key.to_key(),
                identity: Identity { site, path, tags },
                fetch: Fetch { stamp, generation },
                keep_until_ms,
                header,
            },
            body_bytes,
            body_crc,
            extents,
        })
    }
}

/// That a key was removed, as far as `order`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Removal {
    pub(crate) hash: KeyHash,
    pub(crate) order: u64,
}

impl Removal {
    pub(crate) fn encode(&self) -> Vec<u8> {
        [self.hash.high, self.hash.low, self.order]
            .into_iter()
            .flat_map(u64::to_le_bytes)
            .collect()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        let removal = Self {
            hash: KeyHash {
                high: cursor.u64()?,
                low: cursor.u64()?,
            },
            order: cursor.u64()?,
        };
        cursor.0.is_empty().then_some(removal)
    }
}

fn flag(cursor: &mut Cursor<'_>) -> Option<bool> {
    match cursor.u8()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn extent(cursor: &mut Cursor<'_>) -> Option<Extent> {
    Some(Extent {
        segment: cursor.u32()?,
        offset: cursor.u32()?,
        bytes: cursor.u32()?,
        crc: cursor.u32()?,
    })
}
