//! What `Cache-Status` says (RFC 9211) of why a request went on, and of answers that are this edge's own.

use crate::context::{Caching, Context};
use http::{HeaderName, HeaderValue};
use latencify_decide::{
    cache_status::{CacheStatus, Forward, ForwardReason, Told},
    freshness::{Reuse, Revalidate},
};

/// The field.
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Why a request goes to an origin, or went (§2.2).
pub fn forward_reason(caching: &Caching) -> ForwardReason {
    let found = caching.found.as_ref().map(|found| found.reuse);
    match (&caching.rule, found) {
        (None, _) if caching.reason == Some("method") => ForwardReason::Method,
        (None, _) => ForwardReason::Bypass,
        (_, Some(Reuse::Revalidate(why))) if is_asked_for(why) => ForwardReason::Request,
        (_, Some(_)) => ForwardReason::Stale,
        (_, None) if caching.other_variant => ForwardReason::VaryMiss,
        (_, None) => ForwardReason::UriMiss,
    }
}

/// Of an answer that says what went wrong: whether the request had gone on, and what it was. None: nobody knows what this edge
/// is called, because there is no client.
pub fn of_fault(ctx: &Context, what: &'static str) -> Option<HeaderValue> {
    let edge = ctx.untold.as_ref()?;
    let rule = ctx.proxying().and_then(|proxy| proxy.cache.as_ref());
    let told = Told {
        key: ctx.caching.key_told.as_deref(),
        detail: rule.is_none_or(|rule| rule.cache_status.detail),
    };
    let status = if ctx.steering.attempts == 0 {
        CacheStatus::Local { detail: what }
    } else {
        CacheStatus::Forward(Forward {
            status: ctx.steering.status,
            detail: Some(what),
            ..Forward::because(forward_reason(&ctx.caching))
        })
    };
    status.value(edge.name(), told)
}

fn is_asked_for(why: Revalidate) -> bool {
    matches!(
        why,
        Revalidate::RequestNoCache | Revalidate::RequestMaxAge | Revalidate::RequestMinFresh
    )
}
