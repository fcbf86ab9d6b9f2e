//! What HTTP/2 carries and HTTP/1 can't, or reads differently (RFC 9113 §8.2.1, §8.3.1). An HTTP/1 request has been
//! looked at octet by octet before anybody saw it; of an HTTP/2 request, the frames are Pingora's, and this looks at what
//! they said, before it is decided on, stored under a key or rebuilt for an origin.
//!
//! What the layers below refuse already: names in upper case or with other octets than a token's, control octets in
//! values, unknown pseudo-fields (they end the connection); `Connection` and its like, `TE` but for `trailers`, lengths
//! that disagree (they reset the stream); `:authority` that differs from `Host`, neither of them, user information (they
//! answer an empty 400); larger heads than `header_bytes` (an empty 431). None of them gets a document: there is no place
//! for one before the request is taken up. Each leaves a record and a number (`listen::http2`).

use crate::request::Request;
use http::{HeaderName, Method, header};
use latencify_conf::policy::EdgeLimits;
use latencify_framing::{Violation, check_authority, check_target, is_value_octet};

/// Fields that are for one connection alone (RFC 9113 §8.2.2): none may come over HTTP/2.
const OF_CONNECTIONS: [HeaderName; 3] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Refuses what would mean something else over HTTP/1.
pub fn check(request: &Request<'_>, secure: bool) -> Result<(), Violation> {
    let method = request.method.as_str().as_bytes();
    if *request.method == Method::CONNECT {
        return Err(Violation::Connect);
    }
    if request
        .uri
        .scheme_str()
        .is_some_and(|scheme| scheme != if secure { "https" } else { "http" })
    {
        return Err(Violation::SchemeMismatch);
    }
    check_target(method, request.target)?;
    if let Some(authority) = request.uri.authority() {
        check_authority(authority.as_str().as_bytes())?;
    }
    for (name, value) in request.headers {
        check_field(name, value.as_bytes())?;
    }
    Ok(())
}

/// Refuses what is more than the edge takes over HTTP/1 too. The size of the whole head is the library's to bound.
pub fn within(request: &Request<'_>, limits: &EdgeLimits) -> Result<(), Violation> {
    if request.target.len() > limits.uri_bytes {
        return Err(Violation::LongTarget);
    }
    // A cookie may come in pieces, which are one field (RFC 9113 §8.2.3).
    let cookies = request.headers.get_all(header::COOKIE).iter().count();
    if request.headers.len() - cookies.saturating_sub(1) > limits.headers {
        return Err(Violation::ManyFields);
    }
    Ok(())
}

fn check_field(name: &HeaderName, value: &[u8]) -> Result<(), Violation> {
    if OF_CONNECTIONS.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection") {
        return Err(Violation::ConnectionField);
    }
    if name == header::TE && !value.eq_ignore_ascii_case(b"trailers") {
        return Err(Violation::ConnectionField);
    }
    if name == header::HOST {
        check_authority(value)?;
    }
    if name == header::CONTENT_LENGTH && !value.iter().all(u8::is_ascii_digit) {
        return Err(Violation::BadLength);
    }
    if name == header::EXPECT && !value.eq_ignore_ascii_case(b"100-continue") {
        return Err(Violation::UnknownExpectation);
    }
    let blank = |octet: Option<&u8>| matches!(octet, Some(b' ' | b'\t'));
    if blank(value.first()) || blank(value.last()) {
        return Err(Violation::BlankAroundValue);
    }
    if !value.iter().copied().all(is_value_octet) {
        return Err(Violation::ControlInValue);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Version};
    use pingora::http::RequestHeader;
    use std::net::{IpAddr, Ipv4Addr};

    fn request(method: &str, target: &str) -> RequestHeader {
        http::Request::builder()
            .method(method)
            .uri(target)
            .version(Version::HTTP_2)
            .body(())
            .unwrap()
            .into_parts()
            .0
            .into()
    }

    fn seen(request: &RequestHeader) -> Request<'_> {
        Request {
            method: &request.method,
            uri: &request.uri,
            target: request.raw_path(),
            headers: &request.headers,
            version: request.version,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            https: true,
            is_refresh: false,
        }
    }

    #[test]
    fn targets_are_those_of_http_1() {
        let check = |method: &str, target: &str, expected: Result<(), Violation>| {
            assert_eq!(
                check(&seen(&request(method, target)), true),
                expected,
                "{method} {target}"
            );
        };
        check("GET", "https://a/x?y", Ok(()));
        check("GET", "https://a:443/", Ok(()));
        check("GET", "http://a/", Err(Violation::SchemeMismatch));
        check("GET", "https://a/\u{e9}", Err(Violation::NonAsciiTarget));
        check("GET", "https://a,b/", Err(Violation::BadHost));
        check("CONNECT", "a:443", Err(Violation::Connect));
    }

    #[test]
    fn fields_are_those_of_http_1() {
        let check = |name: &'static str, value: &[u8], expected: Result<(), Violation>| {
            let mut request = request("GET", "https://a/");
            let value = HeaderValue::from_bytes(value).unwrap();
            request.append_header(name, value).unwrap();
            assert_eq!(super::check(&seen(&request), true), expected, "{name}");
        };
        check("x", b"a b\tc", Ok(()));
        check("x", b"caf\xe9", Ok(()));
        check("x", b" a", Err(Violation::BlankAroundValue));
        check("x", b"a\t", Err(Violation::BlankAroundValue));
        check("te", b"trailers", Ok(()));
        check("te", b"gzip", Err(Violation::ConnectionField));
        check("connection", b"close", Err(Violation::ConnectionField));
        check("keep-alive", b"5", Err(Violation::ConnectionField));
        check(
            "transfer-encoding",
            b"chunked",
            Err(Violation::ConnectionField),
        );
        check("host", b"a b", Err(Violation::BadHost));
        check("content-length", b"+5", Err(Violation::BadLength));
        check("expect", b"magic", Err(Violation::UnknownExpectation));
    }
}
