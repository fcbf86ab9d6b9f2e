//! What a fetch brings: under which stamp, what of it is kept, and what a 304 makes of what is kept already.

use crate::{
    cache::{self, Fetched, MemoryStorage, Notes, OTHER_HISTORY},
    context::Context,
    origin::signing::Signing,
};
use http::{HeaderMap, Method, StatusCode, header};
use latencify_conf::policy::CacheRule;
use latencify_decide::{
    facts,
    freshness::{Exchange, Storable, storable},
    groups, invalidation,
    refresh::{self, Freshened},
    tags,
};
use pingora::{
    Error, ErrorType, Result,
    cache::{CacheMeta, NoCacheReason, RespCacheable},
    http::{RequestHeader, ResponseHeader},
    protocols::http::date::get_cached_date,
    proxy::Session,
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Far beyond any lifetime: Pingora never finds an object stale by itself.
const FOREVER: Duration = Duration::from_hours(100 * 365 * 24);
const FOREVER_SECONDS: u32 = u32::MAX;
/// The response has more tags or groups than are kept, or one that is too long or no text.
const TAGS_OUT_OF_BOUNDS: &str = "tags_out_of_bounds";
/// The origin refuses the time of this edge's signature, whatever was asked for.
const CLOCK_SKEWED: &str = "clock_skewed";
/// A 304 of another representation: what is stored stays as it is, and is stale (RFC 9111 §4.3.4).
const OTHER_REPRESENTATION: &str = "other_representation";

/// At the start of each attempt: what this edge obeys now is the stamp of what comes back; if that is another history than the
/// policy's, there is none. What was found may have been purged since: then the origin is not asked whether it still holds, but
/// for what holds now.
pub fn begin_fetch(
    storage: &MemoryStorage,
    session: &Session,
    request: &mut RequestHeader,
    ctx: &mut Context,
) {
    begin_unstored(ctx);
    if session.cache.enabled() {
        // What this edge has signed says nothing of the client.
        ctx.caching.authorized = request.headers.contains_key(header::AUTHORIZATION)
            && !ctx.signing().is_some_and(Signing::takes_authorization);
        ctx.caching.fetch = storage.begin_fetch_for(ctx.caching.arrival);
        ctx.caching.fetch_sent_at = Some(SystemTime::now());
        // After the stamp: whatever is purged from here on is newer than it, and takes what comes back as well.
        let found = session.cache.maybe_cache_meta();
        if found.is_some_and(|meta| storage.liveness(meta).is_dead()) {
            request.remove_header(&header::IF_NONE_MATCH);
            request.remove_header(&header::IF_MODIFIED_SINCE);
            ctx.decide("cache:purged_since");
        }
    }
    asks(&request.headers, ctx);
}

/// The same where nothing can be stored.
pub fn begin_unstored(ctx: &mut Context) {
    ctx.caching.freshened = None;
    ctx.caching.left_out.clear();
}

/// The origin is asked with these fields.
pub fn asks(fields: &HeaderMap, ctx: &mut Context) {
    ctx.caching.validating = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE]
        .iter()
        .any(|name| fields.contains_key(name));
}

/// Refuses a 304 that nobody asked for.
pub fn is_asked_for(status: StatusCode, ctx: &Context) -> Result<()> {
    if status == StatusCode::NOT_MODIFIED && !ctx.caching.validating {
        return Err(Error::explain(
            ErrorType::InvalidHTTPHeader,
            "304 to a request without a condition",
        )
        .into_up());
    }
    Ok(())
}

/// When the head goes out: what the fetch brought is stored, on its way, or nothing, and needs no marks for the sake of the
/// fetch any more, however long the client takes. An interim answer is not the end of one.
pub fn end_fetch(status: StatusCode, ctx: &mut Context) {
    if !status.is_informational() {
        ctx.caching.fetch = None;
    }
}

/// What a 304 makes of the stored fields. Pingora merges only a few of them, and whatever the 304 is of: it gets to see none
/// that must not change.
pub fn freshen(session: &Session, response: &mut ResponseHeader, ctx: &mut Context) -> Result<()> {
    if response.status != StatusCode::NOT_MODIFIED {
        return Ok(());
    }
    is_asked_for(response.status, ctx)?;
    let Some(meta) = session.cache.maybe_cache_meta() else {
        return Ok(());
    };
    date(response)?;
    let freshened = refresh::by_not_modified(meta.headers(), &response.headers, SystemTime::now());
    let unchanged: Vec<_> = match &freshened {
        Freshened::Updated(_) => vec![header::ETAG],
        Freshened::Other => response.headers.keys().cloned().collect(),
    };
    for name in unchanged {
        response.remove_header(&name);
    }
    ctx.caching.freshened = Some(freshened);
    Ok(())
}

/// Whether a response is stored, and for how long.
pub fn store(
    storage: &MemoryStorage,
    edge: &str,
    session: &Session,
    response: &ResponseHeader,
    ctx: &mut Context,
) -> RespCacheable {
    let Some(rule) = ctx.caching.rule.clone() else {
        return RespCacheable::Uncacheable(NoCacheReason::Custom("no_rule"));
    };
    let Some(fetch) = ctx.caching.fetch.as_deref().copied() else {
        return refuse(OTHER_HISTORY, ctx);
    };
    let mut head = match ctx.caching.freshened.take() {
        None => response.clone(),
        Some(Freshened::Updated(fields)) => with_fields(session, response, &fields),
        Some(Freshened::Other) => return refuse(OTHER_REPRESENTATION, ctx),
    };
    let now = SystemTime::now();
    let status = head.status.as_u16();
    if ctx
        .signing()
        .is_some_and(|signing| signing.is_refused_for_time(status, &head.headers, now))
    {
        return refuse(CLOCK_SKEWED, ctx);
    }
    let exchange = Exchange {
        method: &Method::GET,
        authorized: ctx.caching.authorized,
        asked: ctx
            .asked
            .as_ref()
            .map(|asked| asked.directives)
            .unwrap_or_default(),
        sent: ctx.caching.fetch_sent_at.unwrap_or(now),
        received: now,
        edge,
    };
    let told = facts::Response {
        status: head.status.as_u16(),
        headers: &head.headers,
    };
    let (lifetime, without) = match storable(&exchange, told, &rule) {
        Storable::Store { lifetime, without } => (lifetime, without),
        Storable::Not(why) => {
            storage.remember_uncacheable(session.cache.cache_key(), rule.hit_for_miss);
            return refuse(why.as_str(), ctx);
        }
    };
    if !lifetime.is_shareable(now) {
        storage.remember_uncacheable(session.cache.cache_key(), rule.hit_for_miss);
    }
    // A purge of a tag that was left out would miss it, and be told complete.
    let Some(tags) = tags_of(&head.headers, &rule, ctx) else {
        storage.remember_uncacheable(session.cache.cache_key(), rule.hit_for_miss);
        return refuse(TAGS_OUT_OF_BOUNDS, ctx);
    };
    if date(&mut head).is_err() {
        tracing::debug!("a head without room for a Date");
    }
    for name in without {
        for line in head.headers.get_all(&name) {
            ctx.caching.left_out.append(name.clone(), line.clone());
        }
        head.remove_header(&name);
    }
    ctx.caching.stored = Some(lifetime);
    let mut meta = CacheMeta::new(now + FOREVER, now, FOREVER_SECONDS, FOREVER_SECONDS, head);
    cache::fetched(
        &mut meta,
        Fetched {
            fetch,
            tags,
            object_bytes_max: rule.object_bytes_max,
            disk: rule.disk,
            notes: Some(Notes { lifetime }),
        },
    );
    RespCacheable::Cacheable(meta)
}

/// What has no `Date` gets the time of its arrival when it is stored (RFC 9110 §6.6.1).
fn date(head: &mut ResponseHeader) -> Result<()> {
    if head.headers.contains_key(header::DATE) {
        return Ok(());
    }
    head.insert_header(header::DATE, get_cached_date())
}

fn refuse(why: &'static str, ctx: &mut Context) -> RespCacheable {
    ctx.caching.reason = Some(why);
    RespCacheable::Uncacheable(NoCacheReason::Custom(why))
}

/// The stored head with other fields.
fn with_fields(
    session: &Session,
    partly_merged: &ResponseHeader,
    fields: &HeaderMap,
) -> ResponseHeader {
    let Some(meta) = session.cache.maybe_cache_meta() else {
        return partly_merged.clone();
    };
    let mut head = meta.response_header_copy();
    for name in head.headers.keys().cloned().collect::<Vec<_>>() {
        head.remove_header(&name);
    }
    for (name, value) in fields {
        if head.append_header(name.clone(), value.clone()).is_err() {
            tracing::debug!(%name, "a field of a 304 that can't be stored");
        }
    }
    head
}

/// What purges call the response: its tags, and the groups that it is of (RFC 9875 §2); none: not all of them can be kept.
fn tags_of(response: &HeaderMap, rule: &CacheRule, ctx: &Context) -> Option<Arc<[Box<str>]>> {
    let tagged = tags::of(response, &rule.tag_headers);
    let mut all = tagged.tags;
    let mut dropped = tagged.dropped;
    if let Some(asked) = ctx.asked.as_ref().filter(|_| rule.groups) {
        let origin = invalidation::Origin {
            https: asked.https,
            authority: &asked.authority,
        };
        let grouped = groups::of(response);
        dropped += grouped.dropped;
        all.extend(
            grouped
                .names
                .iter()
                .map(|group| groups::tag(&origin, group)),
        );
    }
    if dropped > 0 || all.len() > tags::TAGS_MAX {
        return None;
    }
    Some(all.into_iter().map(String::into_boxed_str).collect())
}
