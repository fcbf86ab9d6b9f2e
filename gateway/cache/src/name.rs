//! Key and identity of a stored object, packed into one allocation.
//!
//! ```text
//! flags u8 │ generation of the body? u64 │ site │ key length │ variance? [16] │ key
//!          │ offset of the path in the key, or its length and the path │ tags │ each: length, tag
//! ```
//! Lengths and numbers without a type are LEB128. A path mostly stands in its key, so it is not kept twice.

use crate::{
    identity::{Identified, Identity},
    key::{KeyRef, Variance},
};
use latencify_conf::change::SiteId;
use std::fmt;

/// The body was fetched by another fetch than the one that brought this version.
const VALIDATED: u8 = 1;
/// The key has a variance.
const VARIANT: u8 = 2;
/// The path stands in the key.
const PATH_IN_KEY: u8 = 4;

/// Key, identity, and the generation of the body if it is another than that of the record.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Name(Box<[u8]>);

/// Reads a packed name. It was written here, so that nothing is missing; if it were, it would read as empty.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl Name {
    /// Of an identity, before its key is known.
    pub(crate) fn of(identity: &Identity, body_generation: Option<u64>) -> Self {
        let key = KeyRef {
            primary: &[],
            variance: None,
        };
        Self::pack(identity, key, body_generation)
    }

    /// The same with a key.
    pub(crate) fn keyed(&self, key: KeyRef<'_>) -> Self {
        Self::pack(self, key, self.body_generation())
    }

    fn pack(identity: &impl Identified, key: KeyRef<'_>, body_generation: Option<u64>) -> Self {
        let path = identity.path().as_bytes();
        let mut windows = key.primary.windows(path.len().max(1));
        let path_at = windows.position(|window| window == path);
        let flags = [
            (VALIDATED, body_generation.is_some()),
            (VARIANT, key.variance.is_some()),
            (PATH_IN_KEY, path_at.is_some()),
        ];
        let flags = flags.iter().filter(|(_, is_set)| *is_set);
        let mut bytes = vec![flags.map(|(flag, _)| flag).sum()];
        if let Some(generation) = body_generation {
            bytes.extend_from_slice(&generation.to_le_bytes());
        }
        put_number(&mut bytes, identity.site().0);
        put_number(&mut bytes, key.primary.len() as u64);
        bytes.extend_from_slice(key.variance.as_ref().map_or(&[], |variance| &variance[..]));
        bytes.extend_from_slice(key.primary);
        if let Some(at) = path_at {
            put_number(&mut bytes, at as u64);
            put_number(&mut bytes, path.len() as u64);
        } else {
            put_number(&mut bytes, path.len() as u64);
            bytes.extend_from_slice(path);
        }
        put_number(&mut bytes, identity.tags().count() as u64);
        for tag in identity.tags() {
            put_number(&mut bytes, tag.len() as u64);
            bytes.extend_from_slice(tag.as_bytes());
        }
        Self(bytes.into_boxed_slice())
    }

    /// The key.
    pub(crate) fn key(&self) -> KeyRef<'_> {
        self.key_and_rest().1
    }

    /// The generation of the body, if it is another than that of the record.
    pub(crate) fn body_generation(&self) -> Option<u64> {
        let mut rest = Cursor(&self.0);
        let [flags] = rest.array();
        (flags & VALIDATED != 0).then(|| u64::from_le_bytes(rest.array()))
    }

    /// The identity, as it was.
    pub(crate) fn identity(&self) -> Identity {
        Identity {
            site: self.site(),
            path: self.path().into(),
            tags: self.tags().map(Box::from).collect(),
        }
    }

    /// Bytes that it holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn site_and_rest(&self) -> (u8, SiteId, Cursor<'_>) {
        let mut rest = Cursor(&self.0);
        let [flags] = rest.array();
        if flags & VALIDATED != 0 {
            let _generation: [u8; 8] = rest.array();
        }
        let site = SiteId(rest.number());
        (flags, site, rest)
    }

    fn key_and_rest(&self) -> (u8, KeyRef<'_>, Cursor<'_>) {
        let (flags, _, mut rest) = self.site_and_rest();
        let length = rest.length();
        let variance: Option<Variance> = (flags & VARIANT != 0).then(|| rest.array());
        let primary = rest.take(length);
        (flags, KeyRef { primary, variance }, rest)
    }

    fn path_and_rest(&self) -> (&[u8], Cursor<'_>) {
        let (flags, key, mut rest) = self.key_and_rest();
        let first = rest.length();
        if flags & PATH_IN_KEY == 0 {
            return (rest.take(first), rest);
        }
        let in_key = first..first.saturating_add(rest.length());
        (key.primary.get(in_key).unwrap_or_default(), rest)
    }
}

impl Identified for Name {
    fn site(&self) -> SiteId {
        self.site_and_rest().1
    }

    fn path(&self) -> &str {
        text(self.path_and_rest().0)
    }

    fn tags(&self) -> impl Iterator<Item = &str> {
        let (_, mut rest) = self.path_and_rest();
        let tags = rest.number();
        (0..tags).map(move |_| {
            let length = rest.length();
            text(rest.take(length))
        })
    }
}

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(bytes).unwrap_or_default();
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap_or([0; N])
    }

    fn length(&mut self) -> usize {
        self.number() as usize
    }

    fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.array();
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Name")
            .field("key", &self.key())
            .field("identity", &self.identity())
            .field("body_generation", &self.body_generation())
            .finish()
    }
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// What was text when it was packed.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back(
            site in any::<u64>(),
            path in "[a-z/é]{0,300}",
            tags in prop::collection::vec("[a-zé-]{0,200}", 0..5),
            (before, after) in (prop::collection::vec(any::<u8>(), 0..200), prop::collection::vec(any::<u8>(), 0..20)),
            is_path_in_key in any::<bool>(),
            variance in any::<Option<Variance>>(),
            generation in any::<Option<u64>>(),
        ) {
            let identity = Identity {
                site: SiteId(site),
                path: path.as_str().into(),
                tags: tags.iter().map(|tag| tag.as_str().into()).collect(),
            };
            let within = if is_path_in_key { path.as_bytes() } else { &[] };
            let primary = [&before, within, &after].concat();
            let key = KeyRef { primary: &primary, variance };
            let unkeyed = Name::of(&identity, generation);
            prop_assert_eq!(unkeyed.identity(), identity.clone());
            let name = unkeyed.keyed(key);
            prop_assert_eq!(name.key(), key);
            prop_assert_eq!(name.identity(), identity);
            prop_assert_eq!(name.body_generation(), generation);
            if is_path_in_key && path.len() > 1 {
                prop_assert!(name.bytes() < unkeyed.bytes() + primary.len() as u64 + 22);
            }
        }
    }
}
