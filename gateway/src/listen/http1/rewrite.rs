//! Absolute targets become paths (RFC 9112 §3.2.2), so that nothing behind this point knows more than one form.

use bytes::{BufMut as _, BytesMut};
use latencify_framing::{Head, Target, Violation};

/// The head in origin form. Refuses a target whose scheme is not how the client came (RFC 9110 §7.4), and gives the
/// octets back with the violation.
pub(super) fn to_origin_form(
    head: &Head,
    octets: BytesMut,
    secure: bool,
) -> Result<BytesMut, (Violation, BytesMut)> {
    let Target::Absolute {
        https,
        authority,
        rest,
    } = head.form
    else {
        return Ok(octets);
    };
    if https != secure {
        return Err((Violation::SchemeMismatch, octets));
    }
    let part = |from: usize, to: usize| octets.get(from..to).unwrap_or_default();
    // Offsets are those of what was looked at; the octets begin after what was skipped.
    let (start, end) = (head.target.0 - head.skip, head.target.1 - head.skip);
    let (method, path) = (part(0, start), part(start + rest, end));
    let line_end = end + b" HTTP/1.1\r\n".len();

    let mut rewritten = BytesMut::with_capacity(octets.len() + 16);
    rewritten.put_slice(method);
    match path.first() {
        None if method == b"OPTIONS " => rewritten.put_u8(b'*'),
        None | Some(b'?') => rewritten.put_u8(b'/'),
        Some(_) => {}
    }
    rewritten.put_slice(path);
    rewritten.put_slice(part(end, line_end));
    if head.host.is_none() {
        rewritten.put_slice(b"Host: ");
        rewritten.put_slice(part(start + authority, start + rest));
        rewritten.put_slice(b"\r\n");
    }
    rewritten.put_slice(octets.get(line_end..).unwrap_or_default());
    Ok(rewritten)
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_framing::{HeadReader, Limits};

    #[test]
    fn the_next_parser_takes_whatever_passes() {
        for octet in 0..=u8::MAX {
            for place in ["/a?b", "/a"] {
                let target = [place.as_bytes(), &[octet], b"c"].concat();
                let head = [b"GET ", target.as_slice(), b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
                let passes = matches!(
                    HeadReader::new(Limits::default()).read(&head),
                    Ok(Some(read)) if read.target.1 - read.target.0 == target.len()
                );
                let taken = http::uri::PathAndQuery::try_from(target.as_slice())
                    .is_ok_and(|taken| taken.as_str().as_bytes() == target);
                assert!(taken || !passes, "{octet:#x} in {place}");
                // Nor is anything refused that browsers send as it is.
                assert!(
                    passes || !taken || !octet.is_ascii(),
                    "{octet:#x} in {place}"
                );
            }
        }
    }

    #[test]
    fn absolute_targets_become_paths() {
        let check = |line: &str, host: &str, expected: Option<&str>| {
            let text = format!("\r\n{line}\r\n{host}X: a\r\n\r\n");
            let head = HeadReader::new(Limits::default())
                .read(text.as_bytes())
                .unwrap()
                .unwrap();
            let octets = BytesMut::from(&text.as_bytes()[head.skip..]);
            let rewritten = to_origin_form(&head, octets, false).ok();
            let text = rewritten.map(|octets| String::from_utf8(octets.to_vec()).unwrap());
            assert_eq!(text.as_deref(), expected, "{line}");
        };
        let host = "Host: a\r\n";
        check(
            "GET /x HTTP/1.1",
            host,
            Some("GET /x HTTP/1.1\r\nHost: a\r\nX: a\r\n\r\n"),
        );
        check(
            "GET http://A:80/x?y HTTP/1.1",
            host,
            Some("GET /x?y HTTP/1.1\r\nHost: a\r\nX: a\r\n\r\n"),
        );
        check(
            "GET http://a HTTP/1.1",
            host,
            Some("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\r\n"),
        );
        check(
            "GET http://a?q HTTP/1.1",
            host,
            Some("GET /?q HTTP/1.1\r\nHost: a\r\nX: a\r\n\r\n"),
        );
        check(
            "OPTIONS http://a HTTP/1.1",
            host,
            Some("OPTIONS * HTTP/1.1\r\nHost: a\r\nX: a\r\n\r\n"),
        );
        check(
            "GET http://a:8/x HTTP/1.0",
            "",
            Some("GET /x HTTP/1.0\r\nHost: a:8\r\nX: a\r\n\r\n"),
        );
        check("GET https://a/x HTTP/1.1", host, None);
    }
}
