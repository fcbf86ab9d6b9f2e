//! Ranges of a stored body (RFC 9110 §14).

use crate::{conditional, dates, fields};
use http::{HeaderMap, HeaderValue, Method, header};
use std::{ops::Range, time::SystemTime};

/// The most ranges of one request; more, and the whole body is sent (§14.2 allows it).
pub const RANGES_MAX: usize = 16;

/// What part of a body is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ranged {
    /// All of it: no `Range`, or one that is not obeyed. 200.
    Whole,
    /// These octets, in the order asked; at least one range, none empty. 206.
    Parts(Vec<Range<u64>>),
    /// None that exists: 416 with `Content-Range: bytes */LENGTH`.
    NotSatisfiable,
}

/// The ranges of a request over a stored body of `length` octets. Ignored, as §14.2 and §13.1.5 say: other methods than
/// GET, other statuses than 200, other units, what can't be read, more than [`RANGES_MAX`] or overlapping ranges (more work than
/// one whole body), and an `If-Range` that does not hold.
pub fn evaluate(
    method: &Method,
    request: &HeaderMap,
    status: u16,
    stored: &HeaderMap,
    length: u64,
    now: SystemTime,
) -> Ranged {
    let mut lines = request.get_all(header::RANGE).iter();
    let (Some(asked), None) = (lines.next(), lines.next()) else {
        return Ranged::Whole;
    };
    if *method != Method::GET || status != 200 || !if_range_holds(request, stored, now) {
        return Ranged::Whole;
    }
    parse(asked.as_bytes(), length)
}

/// `Content-Range` of a part (§14.4).
pub fn content_range(part: &Range<u64>, length: u64) -> Option<HeaderValue> {
    let last = part.end.checked_sub(1)?;
    HeaderValue::try_from(format!("bytes {}-{last}/{length}", part.start)).ok()
}

/// `Content-Range` of a 416 (§14.4).
pub fn unsatisfied_range(length: u64) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("bytes */{length}")).ok()
}

fn parse(value: &[u8], length: u64) -> Ranged {
    let (unit, Some(set)) = fields::pair(value) else {
        return Ranged::Whole;
    };
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return Ranged::Whole;
    }
    let mut parts: Vec<Range<u64>> = Vec::new();
    let mut count = 0;
    for spec in fields::split(set, b',') {
        count += 1;
        match part(spec, length) {
            Some(found) if count <= RANGES_MAX => parts.extend(found),
            _ => return Ranged::Whole,
        }
    }
    let overlap = parts.iter().enumerate().any(|(index, one)| {
        parts
            .iter()
            .skip(index + 1)
            .any(|other| one.start < other.end && other.start < one.end)
    });
    match (count, parts.is_empty()) {
        (0, _) => Ranged::Whole,
        (_, true) => Ranged::NotSatisfiable,
        _ if overlap => Ranged::Whole,
        _ => Ranged::Parts(parts),
    }
}

/// One range-spec: none if it can't be read, `Some(None)` if it is beyond the body.
#[allow(clippy::option_option)] // unreadable and unsatisfiable end differently
fn part(spec: &[u8], length: u64) -> Option<Option<Range<u64>>> {
    let dash = spec.iter().position(|&byte| byte == b'-')?;
    let (first, rest) = spec.split_at(dash);
    let last = rest.get(1..)?;
    let found = match (first.is_empty(), last.is_empty()) {
        (true, true) => return None,
        (true, false) => {
            let suffix = number(last)?.min(length);
            length - suffix..length
        }
        (false, true) => number(first)?..length,
        (false, false) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(length)
        }
    };
    Some((found.start < found.end).then_some(found))
}

/// Digits alone; too large is the largest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0u64, |n, digit| {
        n.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    }))
}

/// §13.1.5: an entity tag by strong comparison, or the exact date of a `Last-Modified` that is strong (§8.8.2.2: at least
/// a second before `Date`).
fn if_range_holds(request: &HeaderMap, stored: &HeaderMap, now: SystemTime) -> bool {
    let Some(asked) = request.get(header::IF_RANGE) else {
        return true;
    };
    let asked = asked.as_bytes().trim_ascii();
    if asked.ends_with(b"\"") {
        return stored
            .get(header::ETAG)
            .is_some_and(|etag| conditional::strongly_equal(asked, etag.as_bytes().trim_ascii()));
    }
    match (
        dates::parse(asked, now),
        dates::single(stored, &header::LAST_MODIFIED, now),
        dates::single(stored, &header::DATE, now),
    ) {
        (Some(asked), Some(modified), Some(generated)) => asked == modified && modified < generated,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;
    use proptest::prelude::*;
    use std::time::UNIX_EPOCH;

    const NOW: SystemTime = UNIX_EPOCH;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    #[allow(clippy::single_range_in_vec_init)]
    fn ranges_follow_rfc_9110_section_14() {
        let check = |range: &str, length: u64, expected: Ranged| {
            let found = evaluate(
                &Method::GET,
                &headers(&[("range", range)]),
                200,
                &HeaderMap::new(),
                length,
                NOW,
            );
            assert_eq!(found, expected, "{range} of {length}");
        };
        let parts = |parts: &[Range<u64>]| Ranged::Parts(parts.to_vec());
        check("bytes=0-0", 10, parts(&[0..1]));
        check("bytes=0-499", 10, parts(&[0..10]));
        check("bytes=5-", 10, parts(&[5..10]));
        check("bytes=-3", 10, parts(&[7..10]));
        check("bytes=-30", 10, parts(&[0..10]));
        check("BYTES=0-1", 10, parts(&[0..2]));
        check("bytes=0-1, 4-5 ,-1", 10, parts(&[0..2, 4..6, 9..10]));
        check("bytes=20-30, 0-1", 10, parts(&[0..2]));
        check("bytes=0-99999999999999999999999", 10, parts(&[0..10]));
        check("bytes=10-", 10, Ranged::NotSatisfiable);
        check("bytes=-0", 10, Ranged::NotSatisfiable);
        check("bytes=0-", 0, Ranged::NotSatisfiable);
        check("bytes=-5", 0, Ranged::NotSatisfiable);
        check("bytes=2-1", 10, Ranged::Whole);
        check("bytes=a-b", 10, Ranged::Whole);
        check("bytes=-", 10, Ranged::Whole);
        check("bytes=+1-2", 10, Ranged::Whole);
        check("bytes=", 10, Ranged::Whole);
        check("bytes", 10, Ranged::Whole);
        check("lines=0-1", 10, Ranged::Whole);
        check("bytes=0-5,3-8", 10, Ranged::Whole);
        check(
            &format!("bytes={}", vec!["0-0"; RANGES_MAX + 1].join(",")),
            10,
            Ranged::Whole,
        );
    }

    #[test]
    #[allow(clippy::single_range_in_vec_init)]
    fn if_range_follows_rfc_9110_section_13_1_5() {
        const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        const LATER: &str = "Sun, 06 Nov 1994 08:50:37 GMT";
        let check = |if_range: &str, stored: &[(&'static str, &str)], holds: bool| {
            let request = headers(&[("range", "bytes=0-0"), ("if-range", if_range)]);
            let expected = if holds {
                Ranged::Parts(vec![0..1])
            } else {
                Ranged::Whole
            };
            assert_eq!(
                evaluate(&Method::GET, &request, 200, &headers(stored), 9, NOW),
                expected,
                "{if_range}"
            );
        };
        check("\"a\"", &[("etag", "\"a\"")], true);
        check("\"a\"", &[("etag", "\"b\"")], false);
        check("W/\"a\"", &[("etag", "W/\"a\"")], false);
        check("\"a\"", &[], false);
        check(
            MODIFIED,
            &[("last-modified", MODIFIED), ("date", LATER)],
            true,
        );
        check(
            LATER,
            &[("last-modified", MODIFIED), ("date", LATER)],
            false,
        );
        check(
            MODIFIED,
            &[("last-modified", MODIFIED), ("date", MODIFIED)],
            false,
        );
    }

    #[test]
    fn only_a_get_of_a_200_is_ranged() {
        let request = headers(&[("range", "bytes=0-0")]);
        assert_eq!(
            evaluate(&Method::HEAD, &request, 200, &HeaderMap::new(), 9, NOW),
            Ranged::Whole
        );
        assert_eq!(
            evaluate(&Method::GET, &request, 404, &HeaderMap::new(), 9, NOW),
            Ranged::Whole
        );
    }

    proptest! {
        #[test]
        fn parts_lie_inside_the_body(set in "[0-9, \\-]{0,40}", length in 0u64..100) {
            match parse(format!("bytes={set}").as_bytes(), length) {
                Ranged::Parts(parts) => {
                    prop_assert!(!parts.is_empty() && parts.len() <= RANGES_MAX);
                    prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= length));
                    prop_assert!(parts.iter().map(|part| part.end - part.start).sum::<u64>() <= length);
                }
                Ranged::Whole | Ranged::NotSatisfiable => {}
            }
        }
    }
}
