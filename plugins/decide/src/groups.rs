//! Cache groups (RFC 9875): responses that are invalidated together, and the requests that do it.

use crate::{invalidation, methods};
use http::{HeaderMap, HeaderName, Method};
use sfv::{BareItem, List, ListEntry, Parser};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// The groups that a response belongs to (§2).
pub const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");

/// The groups that a response to an unsafe request invalidates (§3).
pub const CACHE_GROUP_INVALIDATION: HeaderName =
    HeaderName::from_static("cache-group-invalidation");

/// The most groups of one field; the standard demands 32 (§2). Further ones are dropped and counted.
pub const GROUPS_MAX: usize = 64;

/// The most octets of a group's name; the standard demands 32 (§2). A longer one is dropped and counted.
pub const GROUP_BYTES_MAX: usize = 256;

/// The groups of a field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Groups {
    /// Each once, sorted; compared octet by octet (§2.1).
    pub names: Vec<String>,
    /// How many were dropped.
    pub dropped: usize,
}

/// The groups that a response belongs to. A field that is no list of strings is ignored (RFC 9651 §4.2); so are parameters.
pub fn of(response: &HeaderMap) -> Groups {
    read(response, &CACHE_GROUPS)
}

/// The groups that a response invalidates: only one to an unsafe method (§3), and only one that is no error, as for URLs
/// (RFC 9111 §4.4). A group that is invalidated so takes no further groups with it (§2.2.1).
pub fn invalidated(method: &Method, status: u16, response: &HeaderMap) -> Groups {
    if methods::is_safe(method) || !invalidation::is_non_error(status) {
        return Groups::default();
    }
    read(response, &CACHE_GROUP_INVALIDATION)
}

/// The tag by which stored objects of a group are found. A group belongs to an origin (§2.1), so the tag is of both; it is
/// a digest, so that it has a bounded length and no tag that a response carries of itself can be mistaken for it.
pub fn tag(origin: &invalidation::Origin<'_>, group: &str) -> String {
    let mut digest = Sha256::new();
    for part in [origin.scheme(), &origin.authority(), group] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let mut tag = String::with_capacity(80);
    tag.push_str("cache-group ");
    for byte in digest.finalize() {
        // Writing to a String does not fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag
}

fn read(headers: &HeaderMap, name: &HeaderName) -> Groups {
    let mut lines = headers.get_all(name).iter();
    let Some(first) = lines.next() else {
        return Groups::default();
    };
    // All lines are one list (RFC 9651 §4.2).
    let mut value = first.as_bytes().to_vec();
    for line in lines {
        value.extend_from_slice(b", ");
        value.extend_from_slice(line.as_bytes());
    }
    let Ok(list) = Parser::new(&value).parse::<List>() else {
        return Groups::default();
    };
    let mut groups = Groups::default();
    for member in list {
        let ListEntry::Item(item) = member else {
            return Groups::default();
        };
        let BareItem::String(group) = item.bare_item else {
            return Groups::default();
        };
        if group.as_str().len() <= GROUP_BYTES_MAX {
            groups.names.push(group.as_str().to_owned());
        } else {
            groups.dropped += 1;
        }
    }
    groups.names.sort_unstable();
    groups.names.dedup();
    if groups.names.len() > GROUPS_MAX {
        groups.dropped += groups.names.len() - GROUPS_MAX;
        groups.names.truncate(GROUPS_MAX);
    }
    groups
}
