//! Interim answers of origins (RFC 9110 §15.2), to HTTP/1.1 clients. Pingora would drop what it reads together with the head
//! of a response that is stored: there they are written here, when they come, and Pingora writes none.
//!
//! While something stale is stored, it goes as Pingora has it: the request is this cache's own then, and what has had an interim
//! answer can't be answered by what is stale any more if the origin fails.

use crate::context::Context;
use http::{StatusCode, Version};
use pingora::{http::ResponseHeader, proxy::Session};

/// Clients that speak HTTP/1.0 know no interim answers and get none.
pub fn begin(session: &mut Session) {
    let is_old = session.req_header().version == Version::HTTP_10;
    session.set_ignore_info_resp(is_old);
}

/// Whether another answer follows. What is decided of a response is decided of that one.
pub fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// Passes one on.
pub async fn pass_on(session: &mut Session, response: &ResponseHeader, ctx: &Context) {
    let status = response.status;
    // A 100 is for whoever waits with a body.
    let is_interim = is_interim(status) && status != StatusCode::CONTINUE;
    let knows = !session.is_http2() && session.req_header().version == Version::HTTP_11;
    let is_fill = session.cache.enabled() && ctx.caching.found.is_none() && !ctx.is_refresh;
    if !is_interim || !knows || !is_fill {
        return;
    }
    let client = session.as_downstream_mut();
    client.set_ignore_info_resp(false);
    let sent = client.write_response_header(Box::new(response.clone()));
    // Whoever went is missed when the response is sent; what is fetched is stored all the same.
    if let Err(error) = sent.await {
        tracing::debug!(%error, "a client that did not take an interim answer");
    }
    client.set_ignore_info_resp(true);
}
