//! The head of an origin's response (RFC 9112 §4 and §5), by the parser under Pingora and as lenient.

use crate::incoming::{Incoming as _, Plain};
use bytes::BytesMut;
use http::{HeaderName, StatusCode, Version, header};
use httparse::{ParserConfig, Response, Status};
use pingora::{Error, ErrorType, OrErr as _, Result};
use std::{mem::MaybeUninit, time::Duration};

/// Fields of a head; Pingora's bound.
const FIELDS_MAX: usize = 256;
/// Octets of a head; Pingora's bound.
const HEAD_BYTES_MAX: usize = (1 << 20) - 1;
static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Takes a head off the front of what came; none: more must come.
pub(super) fn take(octets: &mut BytesMut) -> Result<Option<Plain>> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut head = Response::new(&mut []);
    let mut rules = ParserConfig::default();
    rules.allow_spaces_after_header_name_in_responses(true);
    rules.allow_obsolete_multiline_headers_in_responses(true);
    let read = rules.parse_response_with_uninit_headers(&mut head, octets, &mut fields);
    let end = match read.or_err(ErrorType::InvalidHTTPHeader, "a head that is none")? {
        Status::Complete(end) => end,
        Status::Partial if octets.len() > HEAD_BYTES_MAX => {
            return Error::e_explain(ErrorType::InvalidHTTPHeader, "a head that is too large");
        }
        Status::Partial => return Ok(None),
    };
    let status = StatusCode::from_u16(head.code.unwrap_or_default())
        .or_err(ErrorType::InvalidHTTPHeader, "a status that is none")?;
    let version = if head.version == Some(1) {
        Version::HTTP_11
    } else {
        Version::HTTP_10
    };
    // Where they stand: the octets are cut off to be shared.
    let place = |part: &[u8]| {
        let from = part.as_ptr().addr() - octets.as_ptr().addr();
        from..from + part.len()
    };
    let usual = status.canonical_reason();
    // One that is absent or can't be read stands nowhere in the octets.
    let reason = head.reason.filter(|reason| Some(*reason) != usual);
    let reason = reason.map(|reason| match reason {
        "" => 0..0,
        reason => place(reason.as_bytes()),
    });
    let lines: Vec<_> = (head.headers.iter())
        .map(|field| [place(field.name.as_bytes()), place(field.value)])
        .collect();
    let octets = octets.split_to(end).freeze();
    let response = Plain::new((version, status), octets, reason, &lines);
    one_length(&response)?;
    Ok(Some(response))
}

/// How long the origin lets the connection wait for a request, if it says so (`Keep-Alive: timeout=5`).
pub(super) fn lets_wait(response: &Plain) -> Option<Duration> {
    let lines = response.lines(&KEEP_ALIVE);
    let mut said = lines.flat_map(|line| line.split(|octet| *octet == b','));
    said.find_map(|parameter| {
        let (name, seconds) = std::str::from_utf8(parameter).ok()?.split_once('=')?;
        let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
        let seconds = seconds.trim().trim_matches('"').parse().ok();
        seconds.filter(|_| is_timeout).map(Duration::from_secs)
    })
}

/// As Pingora has it, lengths that contradict each other make a head that is none.
fn one_length(response: &Plain) -> Result<()> {
    if response.has(&header::TRANSFER_ENCODING) {
        return Ok(());
    }
    let lengths = response.lines(&header::CONTENT_LENGTH);
    let mut lengths = lengths.flat_map(|line| line.split(|octet| *octet == b','));
    let read = |text: &[u8]| {
        let text = text.trim_ascii();
        let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(text).ok()?.parse::<u64>().ok();
        number.filter(|_| is_number)
    };
    let Some(first) = lengths.next() else {
        return Ok(());
    };
    let first = read(first);
    if first.is_some() && lengths.all(|length| read(length) == first) {
        return Ok(());
    }
    Error::e_explain(
        ErrorType::InvalidHTTPHeader,
        "a Content-Length that is not one number",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_is_absent_empty_or_unreadable_is_none() {
        let cases: [(&[u8], &[u8]); 5] = [
            (b"HTTP/1.1 200 OK\r\nx: 1\r\n\r\n", b"OK"),
            (b"HTTP/1.1 200 Fine\r\nx: 1\r\n\r\n", b"Fine"),
            (b"HTTP/1.1 200 \r\nx: 1\r\n\r\n", b""),
            (b"HTTP/1.1 200\r\nx: 1\r\n\r\n", b""),
            (b"HTTP/1.1 200 \xe9t\xe9\r\nx: 1\r\n\r\n", b""),
        ];
        for (head, reason) in cases {
            let mut octets = BytesMut::from(head);
            let response = take(&mut octets).unwrap().unwrap();
            let shown = String::from_utf8_lossy(head);
            assert_eq!(response.reason(), reason, "{shown}");
            assert_eq!(octets.len(), 0, "{shown}");
        }
    }
}
