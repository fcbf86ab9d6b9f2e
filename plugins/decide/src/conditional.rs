//! Conditional requests against what is stored (RFC 9110 §13, RFC 9111 §4.3.2), in the order of RFC 9110 §13.2.2: what is for
//! origins alone, `If-None-Match`, `If-Modified-Since`; then, if the response is sent, `If-Range` ([`crate::range`]).

use crate::{dates, fields};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::time::SystemTime;

/// The most entity tags of one `If-None-Match`; what follows is not looked at, so the full response is sent.
pub const ETAGS_MAX: usize = 64;

/// Whether the client already has what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conditional {
    /// It has: 304.
    NotModified,
    /// It has not, or did not ask: the full response.
    Full,
}

/// The conditions by which an origin is asked whether what is stored holds still (RFC 9111 §4.3.1): the entity tags of all
/// stored responses that it may choose from, up to [`ETAGS_MAX`], as they were told; and the date of a single one, in its own
/// spelling. Empty: there is nothing to ask by. They replace the client's own.
pub fn validators(stored: &[&HeaderMap]) -> Vec<(HeaderName, HeaderValue)> {
    let mut conditions = Vec::new();
    let mut tags: Vec<&[u8]> = Vec::new();
    for tag in stored.iter().filter_map(|fields| fields.get(header::ETAG)) {
        let tag = tag.as_bytes().trim_ascii();
        if !tag.is_empty() && !tags.contains(&tag) && tags.len() < ETAGS_MAX {
            tags.push(tag);
        }
    }
    if let (false, Ok(tags)) = (
        tags.is_empty(),
        HeaderValue::from_bytes(&tags.join(&b", "[..])),
    ) {
        conditions.push((header::IF_NONE_MATCH, tags));
    }
    if let [fields] = stored
        && let Some(changed) = fields.get(header::LAST_MODIFIED)
    {
        conditions.push((header::IF_MODIFIED_SINCE, changed.clone()));
    }
    conditions
}

/// Whether a request has conditions that are for origins alone: `If-Match` and `If-Unmodified-Since`. A cache must not evaluate
/// them (RFC 9111 §4.3.2), so the request goes to the origin as it is, all of its conditions with it, and nothing of the answer
/// is stored. `If-Modified-Since` and `If-None-Match` of such a request are the origin's to weigh too.
pub fn is_for_origin(request: &HeaderMap) -> bool {
    request.contains_key(header::IF_MATCH) || request.contains_key(header::IF_UNMODIFIED_SINCE)
}

/// Evaluates the conditions of a GET or HEAD against a stored response of this status. `If-None-Match`, where it stands,
/// decides alone (§13.2.2); entity tags are compared weakly (§8.8.3.2). Only a 200 is answered with 304.
pub fn evaluate(
    method: &Method,
    request: &HeaderMap,
    status: u16,
    stored: &HeaderMap,
    now: SystemTime,
) -> Conditional {
    if !matches!(*method, Method::GET | Method::HEAD) || status != 200 {
        return Conditional::Full;
    }
    let has_it = if request.contains_key(header::IF_NONE_MATCH) {
        none_match_fails(request, stored)
    } else {
        modified_since_fails(request, stored, now)
    };
    if has_it {
        Conditional::NotModified
    } else {
        Conditional::Full
    }
}

/// Whether two entity tags are weakly equal: the opaque parts are, whether or not one is weak.
pub fn weakly_equal(a: &[u8], b: &[u8]) -> bool {
    opaque(a) == opaque(b)
}

/// Whether two entity tags are strongly equal: equal, and neither is weak.
pub fn strongly_equal(a: &[u8], b: &[u8]) -> bool {
    a == b && !a.starts_with(b"W/")
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

fn none_match_fails(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let etag = stored
        .get(header::ETAG)
        .map(|value| value.as_bytes().trim_ascii());
    fields::list(request, &header::IF_NONE_MATCH)
        .take(ETAGS_MAX)
        .any(|asked| asked == b"*" || etag.is_some_and(|etag| weakly_equal(asked, etag)))
}

fn modified_since_fails(request: &HeaderMap, stored: &HeaderMap, now: SystemTime) -> bool {
    // Several lines are no date (§13.1.3).
    let since = dates::single(request, &header::IF_MODIFIED_SINCE, now);
    // Without Last-Modified, Date says when the response was generated (RFC 9111 §4.3.2).
    let changed = if stored.contains_key(header::LAST_MODIFIED) {
        dates::single(stored, &header::LAST_MODIFIED, now)
    } else {
        dates::single(stored, &header::DATE, now)
    };
    matches!((since, changed), (Some(since), Some(changed)) if changed <= since)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = std::time::UNIX_EPOCH;
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

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
    fn conditions_follow_rfc_9110_section_13() {
        let check = |what: &str,
                     request: &[(&'static str, &str)],
                     stored: &[(&'static str, &str)],
                     expected| {
            let found = evaluate(&Method::GET, &headers(request), 200, &headers(stored), NOW);
            assert_eq!(found, expected, "{what}");
        };
        use Conditional::{Full, NotModified};
        let etag = &[("etag", "\"a\"")];
        check("no condition", &[], etag, Full);
        check(
            "§13.1.2 equal",
            &[("if-none-match", "\"a\"")],
            etag,
            NotModified,
        );
        check("§13.1.2 another", &[("if-none-match", "\"b\"")], etag, Full);
        check(
            "§13.1.2 weak comparison",
            &[("if-none-match", "W/\"a\"")],
            etag,
            NotModified,
        );
        check(
            "§13.1.2 list",
            &[("if-none-match", "\"b\", \"a\"")],
            etag,
            NotModified,
        );
        check(
            "§13.1.2 list over lines",
            &[("if-none-match", "\"b\""), ("if-none-match", "\"a\"")],
            etag,
            NotModified,
        );
        check(
            "§13.1.2 a comma is part of a tag",
            &[("if-none-match", "\"b,\"a\"\"")],
            etag,
            Full,
        );
        check("§13.1.2 star", &[("if-none-match", "*")], &[], NotModified);
        check(
            "§13.1.2 nothing stored to compare",
            &[("if-none-match", "\"a\"")],
            &[],
            Full,
        );
        check(
            "§13.2.2 If-None-Match decides alone",
            &[("if-none-match", "\"b\""), ("if-modified-since", LATER)],
            &[("etag", "\"a\""), ("last-modified", EARLIER)],
            Full,
        );
        let modified = &[("last-modified", EARLIER)];
        check(
            "§13.1.3 equal",
            &[("if-modified-since", EARLIER)],
            modified,
            NotModified,
        );
        check(
            "§13.1.3 since later",
            &[("if-modified-since", LATER)],
            modified,
            NotModified,
        );
        check(
            "§13.1.3 modified later",
            &[("if-modified-since", EARLIER)],
            &[("last-modified", LATER)],
            Full,
        );
        check(
            "§13.1.3 no date",
            &[("if-modified-since", "yesterday")],
            modified,
            Full,
        );
        check(
            "§5.6.7 RFC 850",
            &[("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")],
            modified,
            NotModified,
        );
        check(
            "§5.6.7 asctime",
            &[("if-modified-since", "Sun Nov  6 08:49:37 1994")],
            modified,
            NotModified,
        );
        check(
            "RFC 9111 §4.3.2 Date",
            &[("if-modified-since", EARLIER)],
            &[("date", EARLIER)],
            NotModified,
        );
        check(
            "If-Match is for origins",
            &[("if-match", "\"b\"")],
            etag,
            Full,
        );
    }

    #[test]
    fn an_origin_is_asked_by_what_it_told() {
        let check =
            |what: &str, stored: &[&[(&'static str, &str)]], expected: &[(&'static str, &str)]| {
                let stored: Vec<_> = stored.iter().map(|lines| headers(lines)).collect();
                let stored: Vec<_> = stored.iter().collect();
                let found: HeaderMap = validators(&stored).into_iter().collect();
                assert_eq!(found, headers(expected), "{what}");
            };
        let both = &[("etag", "\"a\""), ("last-modified", EARLIER)];
        check("RFC 9111 §4.3.1 nothing to ask by", &[&[]], &[]);
        check(
            "RFC 9111 §4.3.1 both",
            &[both],
            &[("if-none-match", "\"a\""), ("if-modified-since", EARLIER)],
        );
        check(
            "weak tags too",
            &[&[("etag", "W/\"a\"")]],
            &[("if-none-match", "W/\"a\"")],
        );
        check(
            "RFC 9111 §4.3.1 the tags of all variants, no date",
            &[both, &[("etag", "\"b\"")], &[("etag", "\"a\"")], &[]],
            &[("if-none-match", "\"a\", \"b\"")],
        );
    }

    #[test]
    fn what_only_an_origin_may_weigh_goes_to_it() {
        let check = |what: &str, request: &[(&'static str, &str)], expected| {
            assert_eq!(is_for_origin(&headers(request)), expected, "{what}");
        };
        check("no condition", &[], false);
        check("§13.1.1", &[("if-match", "\"a\"")], true);
        check("§13.1.1 star", &[("if-match", "*")], true);
        check("§13.1.4", &[("if-unmodified-since", EARLIER)], true);
        check(
            "§13.1.4 no date, still",
            &[("if-unmodified-since", "x")],
            true,
        );
        check("§13.1.2 is a cache's", &[("if-none-match", "\"a\"")], false);
        check(
            "§13.1.3 is a cache's",
            &[("if-modified-since", EARLIER)],
            false,
        );
        check("§13.1.5 is a cache's", &[("if-range", "\"a\"")], false);
        check(
            "§13.2.2 If-Match comes first",
            &[("if-match", "\"a\""), ("if-none-match", "\"a\"")],
            true,
        );
    }

    #[test]
    fn only_a_get_of_a_200_is_not_modified() {
        let request = headers(&[("if-none-match", "*")]);
        assert_eq!(
            evaluate(&Method::HEAD, &request, 200, &HeaderMap::new(), NOW),
            Conditional::NotModified
        );
        assert_eq!(
            evaluate(&Method::POST, &request, 200, &HeaderMap::new(), NOW),
            Conditional::Full
        );
        assert_eq!(
            evaluate(&Method::GET, &request, 404, &HeaderMap::new(), NOW),
            Conditional::Full
        );
    }
}
