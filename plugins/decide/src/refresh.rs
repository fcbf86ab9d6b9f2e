//! What a 304 changes in a stored response (RFC 9111 §3.2, §4.3.4).

use crate::hops;
use http::{HeaderMap, HeaderName, header};

/// Fields of a 304 that say nothing of the stored response: its body stays as it is stored.
const ABOUT_THE_BODY: [HeaderName; 3] = [
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
];

/// The stored header fields after a 304: all lines of each field that it carries replace the stored ones. Fields about
/// the body or the connection stay out.
pub fn merged(stored: &HeaderMap, update: &HeaderMap) -> HeaderMap {
    let mut fields = stored.clone();
    // An Age that the 304 does not repeat is of the old response.
    fields.remove(header::AGE);
    for name in update
        .keys()
        .filter(|name| !ABOUT_THE_BODY.contains(name) && !hops::is_hop_by_hop(name, update))
    {
        fields.remove(name);
        for value in update.get_all(name) {
            fields.append(name.clone(), value.clone());
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn a_304_replaces_fields_but_not_those_of_the_body_or_the_connection() {
        let stored = headers(&[
            ("etag", "\"a\""),
            ("cache-control", "max-age=1"),
            ("content-length", "7"),
            ("x-two", "1"),
            ("x-two", "2"),
            ("age", "900"),
            ("x-kept", "k"),
        ]);
        let update = headers(&[
            ("cache-control", "max-age=2"),
            ("content-length", "0"),
            ("connection", "x-hop"),
            ("x-hop", "h"),
            ("x-two", "3"),
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ]);
        let expected = headers(&[
            ("etag", "\"a\""),
            ("cache-control", "max-age=2"),
            ("content-length", "7"),
            ("x-two", "3"),
            ("x-kept", "k"),
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ]);
        assert_eq!(merged(&stored, &update), expected);
    }
}
