//! The head of an origin's response (RFC 9112 §4 and §5), by the parser under Pingora and as lenient.

use crate::spelling::Spelling;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode, Version, header};
use httparse::{ParserConfig, Response, Status};
use pingora::{
    Error, ErrorType, OrErr as _, Result,
    http::{ResponseHeader, header_value_from_raw},
};
use std::{mem::MaybeUninit, time::Duration};

/// Fields of a head; Pingora's bound.
const FIELDS_MAX: usize = 256;
/// Octets of a head; Pingora's bound.
const HEAD_BYTES_MAX: usize = (1 << 20) - 1;
/// Fields that are added on the way to the client, about.
const FIELDS_ADDED: usize = 8;

/// Takes a head off the front of what came; none: more must come.
pub(super) fn take(octets: &mut BytesMut) -> Result<Option<(ResponseHeader, Spelling)>> {
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
    let status = head.code.unwrap_or_default();
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = StatusCode::from_u16(status)
        .or_err(ErrorType::InvalidHTTPHeader, "a status that is none")?;
    parts.version = if head.version == Some(1) {
        Version::HTTP_11
    } else {
        Version::HTTP_10
    };
    let reason = head.reason.map(str::to_owned);
    // Where they stand: the octets are cut off to be shared.
    let place = |part: &[u8]| part.as_ptr().addr() - octets.as_ptr().addr();
    let places: Vec<[usize; 4]> = head
        .headers
        .iter()
        .map(|field| {
            let (name, value) = (field.name.as_bytes(), field.value);
            [place(name), name.len(), place(value), value.len()]
        })
        .collect();
    let octets: Bytes = octets.split_to(end).freeze();
    let mut fields = HeaderMap::with_capacity(places.len() + FIELDS_ADDED);
    let mut names = Vec::with_capacity(places.len());
    for [name, name_length, value, value_length] in places {
        names.push((name, name_length));
        let name = octets.get(name..name + name_length).unwrap_or_default();
        let name = HeaderName::from_bytes(name).or_err(ErrorType::InvalidHTTPHeader, "a name")?;
        let value = header_value_from_raw(octets.slice(value..value + value_length));
        let added = fields.try_append(name, value);
        added.or_err(ErrorType::InvalidHTTPHeader, "too many fields")?;
    }
    one_length(&fields)?;
    parts.headers = fields;
    let mut response = ResponseHeader::from(parts);
    response.set_reason_phrase(reason.as_deref())?;
    Ok(Some((response, Spelling::new(octets, names))))
}

/// How long the origin lets the connection wait for a request, if it says so (`Keep-Alive: timeout=5`).
pub(super) fn lets_wait(fields: &HeaderMap) -> Option<Duration> {
    let lines = fields.get_all("keep-alive").iter();
    let mut said = lines.flat_map(|line| line.as_bytes().split(|octet| *octet == b','));
    said.find_map(|parameter| {
        let (name, seconds) = std::str::from_utf8(parameter).ok()?.split_once('=')?;
        let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
        let seconds = seconds.trim().trim_matches('"').parse().ok();
        seconds.filter(|_| is_timeout).map(Duration::from_secs)
    })
}

/// As Pingora has it, lengths that contradict each other make a head that is none.
fn one_length(fields: &HeaderMap) -> Result<()> {
    if fields.contains_key(header::TRANSFER_ENCODING) {
        return Ok(());
    }
    let lengths = fields.get_all(header::CONTENT_LENGTH).iter();
    let mut lengths = lengths.flat_map(|line| line.as_bytes().split(|octet| *octet == b','));
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
