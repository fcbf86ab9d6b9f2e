//! Whether a body is all of what its head announced.

use http::{HeaderMap, header};

/// Whether a body of so many octets is all of what its head announced (RFC 9112 §6.3, RFC 9113 §8.1.1). What is not is no
/// complete response and is not stored as one (RFC 9111 §3.3).
pub fn is_complete(head: &HeaderMap, body_bytes: u64) -> bool {
    let mut lengths = head.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), content_length(head)) {
        (None, _) => true,
        (Some(_), Some(announced)) => announced == body_bytes && lengths.next().is_none(),
        (Some(_), None) => false,
    }
}

/// The length that a head announces, if it is one number.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}
