//! What is for one connection alone stays on it (RFC 9110 §7.6.1).
//!
//! Of a request it goes before anything is decided, so that the key, `Vary` and the origin see the same fields: a client
//! that names `Accept-Language` in `Connection` must not have the origin's default stored as another language's response.

use crate::{
    cache, context::Context, errors::Fault, incoming::Incoming, outgoing::Outgoing, request::Head,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use latencify_decide::hops;
use pingora::{
    Error, ErrorType, OrErr as _, Result,
    http::{RequestHeader, ResponseHeader},
    proxy::Session,
};

const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const UPGRADE: HeaderValue = HeaderValue::from_static("Upgrade");

/// 100, 102, 103: a few are useful; an origin that never comes to an end keeps a client for ever.
const INTERIM_ANSWERS_MAX: u32 = 32;

/// Fields that frame a request, or say whom it comes from, as some origins read them from names with `_`: to CGI and its
/// heirs `Content_Length` is `Content-Length`. In that spelling they go no further.
const WITH_UNDERSCORE: [&str; 12] = [
    "cdn-loop",
    "connection",
    "content-length",
    "forwarded",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// Takes the fields out of the request. A WebSocket's handshake and `TE: trailers` are asked for anew.
pub fn end_of_request(head: &mut impl Head, ctx: &Context) -> Result<(), Fault> {
    let upgrade = ctx.asked.as_ref().is_some_and(|asked| asked.upgrade);
    for name in misspelt(head.request().headers) {
        head.remove(&name);
    }
    let names = ending(head.request().headers);
    if names.is_empty() {
        return Ok(());
    }
    let trailers = hops::takes_trailers(head.request().headers);
    for name in names {
        if !(upgrade && name == header::UPGRADE) {
            head.remove(&name);
        }
    }
    let has_room = (!upgrade || head.set(header::CONNECTION, UPGRADE))
        && (!trailers || head.set(header::TE, TRAILERS));
    has_room.then_some(()).ok_or(Fault::Internal)
}

/// Says to an HTTP/2 origin whether the client takes trailers.
pub fn begin_http2_request(session: &Session, request: &mut RequestHeader) -> Result<()> {
    if hops::takes_trailers(&session.req_header().headers) {
        return request.insert_header(header::TE, TRAILERS);
    }
    begin_request(request)
}

/// Over HTTP/1.1 no trailers are passed on, so none are asked for.
pub fn begin_request(request: &mut impl Outgoing) -> Result<()> {
    request.remove(&header::TE);
    // `007` and `7` are the same number; the origin gets it in one spelling.
    let length = request.fields().get(header::CONTENT_LENGTH);
    if let Some(length) = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok()) {
        request.set(header::CONTENT_LENGTH, length.into())?;
    }
    Ok(())
}

/// Takes the fields out of an origin's response, before it is stored or goes on. The 101 to a WebSocket keeps its
/// handshake.
pub fn end_of_response(response: &mut impl Incoming, ctx: &mut Context) -> Result<()> {
    let status = response.status();
    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
    let upgrade = switches && ctx.asked.as_ref().is_some_and(|asked| asked.upgrade);
    if switches && !upgrade {
        return Err(ambiguous(
            "101 to a request that asked for no other protocol",
        ));
    }
    if status.is_informational() && !switches {
        ctx.interim_answers += 1;
        if ctx.interim_answers > INTERIM_ANSWERS_MAX {
            return Err(ambiguous("more interim answers than anybody needs"));
        }
    }
    one_length(response)?;
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        // These have no body to frame (RFC 9110 §8.6, RFC 9112 §6.1).
        response.remove(&header::CONTENT_LENGTH);
        response.remove(&header::TRANSFER_ENCODING);
    }
    response.end_hop(upgrade);
    if upgrade {
        response.set(header::CONNECTION, UPGRADE)?;
    }
    Ok(())
}

/// What follows the head of a request for another protocol: that protocol, or nothing.
pub fn decide_upgrade(status: StatusCode, ctx: &Context) {
    let asked = ctx.asked.as_ref().is_some_and(|asked| asked.upgrade);
    let Some(wire) = ctx.wire.as_ref().filter(|_| asked) else {
        return;
    };
    if status == StatusCode::SWITCHING_PROTOCOLS {
        wire.becomes_tunnel();
    } else if !status.is_informational() {
        wire.stays_http();
    }
}

/// HTTP/1.0 has no chunks (RFC 9112 §6.1), so there the end of the connection ends a body without a length. Says whether it
/// does.
pub fn without_chunks(response: &mut impl Incoming) -> bool {
    response.take(&header::TRANSFER_ENCODING)
}

/// What a response has as its `Date` goes out as it is (RFC 9110 §6.6.1), where Pingora would write the time of sending.
pub fn keep_date(response: &ResponseHeader, ctx: &Context) {
    let is_final = !response.status.is_informational();
    if let Some(wire) = ctx.wire.as_ref().filter(|_| is_final) {
        wire.keeps_date(&response.headers);
    }
}

/// The head may wait for the octets behind it, but not for a body that another request fetches: whoever reads that does not
/// look for its client meanwhile.
pub fn let_head_wait(session: &Session, ctx: &Context) {
    let follows = session
        .cache
        .maybe_cache_meta()
        .and_then(cache::hit)
        .is_some_and(cache::Hit::is_filling);
    if let Some(wire) = ctx.wire.as_ref().filter(|_| !follows) {
        wire.head_may_wait();
    }
}

/// Leaves one length, by which Pingora frames the message anew. What it understands as no length at all (a coding that
/// nobody here knows) would be passed on and stored with the coding in it.
fn one_length(response: &mut impl Incoming) -> Result<()> {
    let mut codings = response.lines(&header::TRANSFER_ENCODING);
    if let Some(coding) = codings.next() {
        if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
            return Err(ambiguous("a Transfer-Encoding that is not `chunked`"));
        }
        drop(codings);
        response.remove(&header::CONTENT_LENGTH);
        return Ok(());
    }
    drop(codings);
    let mut lengths = response.lines(&header::CONTENT_LENGTH);
    let Some(first) = lengths.next() else {
        return Ok(());
    };
    // Pingora takes equal ones for one (RFC 9110 §8.6); nobody behind this edge shall have to.
    let plain = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
    let (mut others, mut differs) = (0, false);
    for length in lengths {
        others += 1;
        differs |= length != first;
    }
    if !plain || differs {
        return Err(ambiguous("a Content-Length that is not one number"));
    }
    if others > 0 {
        let one = HeaderValue::from_bytes(first);
        let one = one.or_err(ErrorType::InvalidHTTPHeader, "a length that is none")?;
        response.set(header::CONTENT_LENGTH, one)?;
    }
    Ok(())
}

/// An origin's response that could be read in two ways: it fails, and its connection with it.
fn ambiguous(what: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, what).into_up()
}

fn misspelt(headers: &HeaderMap) -> Vec<HeaderName> {
    let names = headers.keys().filter(|name| {
        name.as_str().bytes().any(|octet| octet == b'_')
            && WITH_UNDERSCORE.contains(&name.as_str().replace('_', "-").as_str())
    });
    names.cloned().collect()
}

/// The fields that end here. Pingora frames each message anew, and reads `Transfer-Encoding` to do so.
fn ending(headers: &HeaderMap) -> Vec<HeaderName> {
    let mut names = hops::hop_by_hop(headers);
    names.retain(|name| name != header::TRANSFER_ENCODING);
    names
}
