//! Serving what is stale: while it is refreshed, or because the origin failed (RFC 5861).

use crate::{cache, context::Context, edge::Edge, verdict};
use http::header;
use latencify_decide::freshness::{OnError, Reuse, is_origin_failure, on_error};
use pingora::{Error, ErrorType, proxy::Session};
use std::time::SystemTime;

const STALE_IF_ERROR: &str = "cache:stale_if_error";

/// Whether the stale response that was found may be served: while it is refreshed (no error), or because the origin
/// failed, for this request or for another that it waited for.
pub fn may_serve(
    edge: &Edge,
    session: &mut Session,
    ctx: &mut Context,
    error: Option<&Error>,
) -> bool {
    let Some(found) = &ctx.caching.found else {
        return false;
    };
    let (step, may) = match error {
        // A refresh asks for the new one or nothing.
        _ if ctx.is_refresh => return false,
        None if found.reuse == Reuse::StaleWhileRevalidate => {
            ("cache:stale_while_revalidate", true)
        }
        None => (STALE_IF_ERROR, has_waited_in_vain(edge, session, ctx)),
        Some(error) => (STALE_IF_ERROR, origin_failed(error) && stands_in(ctx)),
    };
    if !may || !is_servable_still(edge, session, ctx) {
        return false;
    }
    ctx.decide(step);
    if error.is_none() {
        make_refreshable(session);
    } else {
        edge.failed_fetches.add(session.cache.cache_key());
        // Pingora ends the connection after whatever failed, so the client is told.
        session.set_keepalive(None);
    }
    true
}

/// Whether what was found may answer while its origin fails.
fn stands_in(ctx: &Context) -> bool {
    let (Some(found), Some(asked)) = (&ctx.caching.found, &ctx.asked) else {
        return false;
    };
    let now = SystemTime::now();
    on_error(&found.lifetime, found.soft_purged, &asked.directives, now) == OnError::ServeStale
}

/// Whether the request came before a fetch ended that failed, and what was found may answer it.
fn has_waited_in_vain(edge: &Edge, session: &Session, ctx: &Context) -> bool {
    let failed = &edge.failed_fetches;
    failed.any_since(session.cache.cache_key(), ctx.clock.began) && stands_in(ctx)
}

/// Purged since it was found, or isolated since?
fn is_servable_still(edge: &Edge, session: &Session, ctx: &mut Context) -> bool {
    let Some(meta) = session.cache.maybe_cache_meta() else {
        return false;
    };
    // What no look-up found was just fetched.
    let Some(hit) = cache::hit(meta) else {
        return true;
    };
    let (engine, arrival) = (edge.cache.engine(), ctx.caching.arrival);
    let isolated = || edge.isolated();
    let asked = verdict::ask_before_stale(engine, hit.record(), hit.liveness(), arrival, isolated);
    if let Err(barred) = asked {
        ctx.caching.isolated = barred.isolated.or(ctx.caching.isolated);
    }
    asked.is_ok()
}

/// RFC 5861 §4: an origin that can't be reached, or says 500, 502, 503 or 504.
fn origin_failed(error: &Error) -> bool {
    match error.etype() {
        ErrorType::HTTPStatus(status) => is_origin_failure(*status),
        _ => error.esource() == &pingora::ErrorSource::Upstream,
    }
}

/// Pingora makes the background refresh out of this request by writing it as HTTP/1.1 and parsing it again; an HTTP/2
/// request needs another version and a `Host` for that. Nothing reads them of this session any more.
fn make_refreshable(session: &mut Session) {
    if !session.is_http2() {
        return;
    }
    let request = session.req_header_mut();
    let host = request
        .uri
        .authority()
        .map(|authority| authority.as_str().to_owned());
    request.set_version(http::Version::HTTP_11);
    if let Some(host) = host
        && !request.headers.contains_key(header::HOST)
        && request.insert_header(header::HOST, host).is_err()
    {
        tracing::debug!("an authority that is no Host value; its refresh will fail");
    }
}
