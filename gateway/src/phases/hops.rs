//! What is for one connection alone stays on it (RFC 9110 §7.6.1).
//!
//! Of a request it goes before anything is decided, so that the key, `Vary` and the origin see the same fields: a client
//! that names `Accept-Language` in `Connection` must not have the origin's default stored as another language's response.

use crate::context::Context;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use latencify_decide::hops;
use pingora::{
    Result,
    http::{RequestHeader, ResponseHeader},
    proxy::Session,
};

const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Takes the fields out of the request. A WebSocket's handshake and `TE: trailers` are asked for anew.
pub fn end_of_request(session: &mut Session, ctx: &Context) -> Result<()> {
    let upgrade = ctx.asked.as_ref().is_some_and(|asked| asked.upgrade);
    let request = session.req_header_mut();
    let names = ending(&request.headers);
    if names.is_empty() {
        return Ok(());
    }
    let trailers = hops::takes_trailers(&request.headers);
    for name in names {
        if !(upgrade && name == header::UPGRADE) {
            request.remove_header(&name);
        }
    }
    if upgrade {
        request.insert_header(header::CONNECTION, "Upgrade")?;
    }
    if trailers {
        request.insert_header(header::TE, TRAILERS)?;
    }
    Ok(())
}

/// Says to an HTTP/2 origin whether the client takes trailers. Over HTTP/1.1 Pingora passes none on, so none are asked for.
pub fn begin_request(session: &Session, request: &mut RequestHeader) -> Result<()> {
    if request.version == Version::HTTP_2 && hops::takes_trailers(&session.req_header().headers) {
        return request.insert_header(header::TE, TRAILERS);
    }
    request.remove_header(&header::TE);
    Ok(())
}

/// Takes the fields out of an origin's response, before it is stored or goes on. The 101 to a WebSocket keeps its
/// handshake.
pub fn end_of_response(response: &mut ResponseHeader, ctx: &Context) -> Result<()> {
    let upgrade = response.status == StatusCode::SWITCHING_PROTOCOLS
        && ctx.asked.as_ref().is_some_and(|asked| asked.upgrade);
    for name in ending(&response.headers) {
        if !(upgrade && name == header::UPGRADE) {
            response.remove_header(&name);
        }
    }
    if upgrade {
        response.insert_header(header::CONNECTION, "Upgrade")?;
    }
    Ok(())
}

/// The fields that end here. Pingora frames each message anew, and reads `Transfer-Encoding` to do so.
fn ending(headers: &HeaderMap) -> Vec<HeaderName> {
    let mut names = hops::hop_by_hop(headers);
    names.retain(|name| name != header::TRANSFER_ENCODING);
    names
}
