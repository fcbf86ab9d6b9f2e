//! Hot hits: requests that are answered from memory before Pingora sees them.
//!
//! # Characters
//! - the protocol's loop (`listen::http1`), which has read a [valid head](head::Own);
//! - [`proxy::decide`](crate::proxy::decide), the phases that every request passes;
//! - [`look`]: whether a complete, fresh, live object in memory answers, by the same questions that the cache's phases ask,
//!   and with the same fields, since the same functions make them.
//!
//! Whatever is not answered here goes to Pingora with its [`Context`] as it is, so that nothing is decided, counted or
//! limited twice; what only a proxy can do (fetching, waiting, ranges, bodies, serving stale while refreshing) is done there
//! alone.

pub mod head;

use crate::{
    context::{Caching, Context},
    edge::Edge,
    phases::{admit, caching, preconditions, transform},
    request::Request,
    verdict::Use,
};
use http::{HeaderMap, Method, StatusCode, Version, header};
use latencify_cache::{BodyReader, Reader};
use latencify_conf::record::CacheOutcome;
use latencify_decide::freshness::Reuse;
use pingora::{http::ResponseHeader, protocols::http::conditional_filter::to_304};

/// A whole response from memory.
pub struct Answer {
    /// Its head, but for what belongs to the connection.
    pub head: Box<ResponseHeader>,
    /// Its body; none: only the head is sent.
    pub body: Option<BodyReader>,
}

/// What answers a request that was let in; none: it goes the long way, and nothing has been noted of this look.
pub fn look(edge: &Edge, request: &Request<'_>, ctx: &mut Context) -> Option<Answer> {
    let rule = ctx.proxying()?.cache.clone()?;
    if caching::askable(request).is_err() || needs_more(request.headers) {
        return None;
    }
    ctx.caching.arrival = edge.cache.arrive();
    let key = caching::primary_key(&rule, request.headers, ctx)?;
    let found = caching::find(edge, &rule, &key, request.headers)?;
    let Reader::Stored(body) = found.reader else {
        return None;
    };
    let lifetime = caching::lifetime(&found.record.meta)?;
    let verdict = caching::weigh(edge, &found.record, &lifetime, ctx)?;
    if verdict.lets() != Use::Answer {
        return None;
    }
    let mut head = Box::new(found.record.meta.response());
    if !is_framed(&head, body.body().len()) {
        return None;
    }

    ctx.caching.key_told = caching::told_key(&rule, request.headers, ctx);
    ctx.caching.rule = Some(rule);
    caching::note(&verdict, lifetime, found.record.fetch, ctx);
    head.set_version(Version::HTTP_11);
    let is_unmodified = preconditions::is_not_modified(request, &head, ctx);
    if is_unmodified {
        to_304(&mut head);
    }
    ctx.caching.outcome = if verdict.reuse == Reuse::StaleAccepted {
        CacheOutcome::Stale
    } else {
        CacheOutcome::Hit
    };
    let limits = admit::limit_fields(ctx).collect();
    if transform::towards_client(&mut head, edge.name(), limits, ctx).is_err() {
        ctx.caching = Caching::default();
        return None;
    }
    ctx.head_goes_out(head.status);
    let is_head_only = is_unmodified || *request.method == Method::HEAD;
    Some(Answer {
        head,
        body: (!is_head_only).then_some(body),
    })
}

/// Whether a request asks for more than the whole of a response.
fn needs_more(headers: &HeaderMap) -> bool {
    [
        header::RANGE,
        header::IF_MATCH,
        header::IF_UNMODIFIED_SINCE,
        header::EXPECT,
    ]
    .iter()
    .any(|name| headers.contains_key(name))
}

/// Whether the stored head says of the body what it is, so that nothing has to be framed anew.
fn is_framed(head: &ResponseHeader, length: u64) -> bool {
    if head.headers.contains_key(header::TRANSFER_ENCODING) {
        return false;
    }
    if head.status == StatusCode::NO_CONTENT || head.status == StatusCode::NOT_MODIFIED {
        return length == 0;
    }
    let announced = head.headers.get(header::CONTENT_LENGTH);
    announced.and_then(|announced| announced.to_str().ok()?.parse().ok()) == Some(length)
}
