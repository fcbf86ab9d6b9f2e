//! What the cache is asked and what it keeps. Pingora's own freshness windows are left wide open: every decision is
//! made here, by `latencify-decide`, at the time of the request.

use crate::{
    cache::{self, Fetched, MemoryStorage, StoredMeta},
    context::{Context, Found},
    edge::Edge,
    errors::Fault,
    request::{Head as _, Request},
    respond::Stop,
    verdict::{self, Use, Verdict},
};
use http::{HeaderMap, Method, StatusCode, header};
use latencify_cache::{self as engine, Fetch, KeyRef, Record};
use latencify_conf::{policy::CacheRule, record::CacheOutcome};
use latencify_decide::{
    facts,
    freshness::{Exchange, Lifetime, Reuse, Storable, storable},
    key::cache_key,
    refresh, tags,
    vary::{Vary, variance},
};
use pingora::{
    Error, ErrorType,
    cache::{
        CacheKey, CacheMeta, CacheOptionOverrides, CachePhase, ForcedFreshness, NoCacheReason,
        RespCacheable,
        key::{HashBinary, hash_key},
    },
    http::{RequestHeader, ResponseHeader},
    proxy::Session,
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// How often a request that waited for another's fetch looks again before it fetches itself.
const LOCK_RETRIES_MAX: usize = 3;
/// Far beyond any lifetime: Pingora never finds an object stale by itself.
const FOREVER: Duration = Duration::from_hours(100 * 365 * 24);
const FOREVER_SECONDS: u32 = u32::MAX;
/// The response has more tags than are kept, or one that is too long or no text.
const TAGS_OUT_OF_BOUNDS: &str = "tags_out_of_bounds";

/// What is kept with a stored response, beside its head.
#[derive(Debug, Clone, Copy)]
struct Notes {
    lifetime: Lifetime,
}

/// Asks the cache, if the route caches and the request can be answered by it.
pub fn enable(storage: &'static MemoryStorage, session: &mut Session, ctx: &mut Context) {
    ctx.caching.arrival = storage.arrive();
    let Some(rule) = ctx.proxying().and_then(|proxy| proxy.cache.clone()) else {
        ctx.caching.reason = Some("route_does_not_cache");
        return;
    };
    let has_body = if session.is_body_empty() {
        Ok(())
    } else {
        Err("request_body")
    };
    if let Err(why) = askable(&session.request()).and(has_body) {
        ctx.caching.reason = Some(why);
        return;
    }
    let mut overrides = CacheOptionOverrides::default();
    overrides.wait_timeout = Some(rule.lock_wait);
    overrides.max_lock_retries = Some(LOCK_RETRIES_MAX);
    session
        .cache
        .enable(storage, None, None, Some(storage.lock()), Some(overrides));
    ctx.caching.rule = Some(rule);
}

/// Whether what is stored could answer a request, or why not. Whether it has a body is another question.
pub fn askable(request: &Request<'_>) -> Result<(), &'static str> {
    if !matches!(*request.method, Method::GET | Method::HEAD) {
        return Err("method");
    }
    if request.asks_for_upgrade() {
        return Err("upgrade");
    }
    Ok(())
}

/// The key of the request's object.
pub fn key(edge: &Edge, session: &Session, ctx: &mut Context) -> pingora::Result<CacheKey> {
    let (Some(asked), Some(taken), Some(rule)) = (&ctx.asked, &ctx.taken, &ctx.caching.rule) else {
        return Error::e_explain(
            ErrorType::InternalError,
            "cache key of a request without a caching rule",
        );
    };
    let Some(primary) = primary_key(rule, &session.req_header().headers, ctx) else {
        return Error::e_explain(ErrorType::InternalError, "cache key of no request");
    };
    let mut key = CacheKey::new(primary, String::new());
    cache::name(&mut key, taken.site.id, asked.path.clone());
    if ctx.is_refresh {
        cache::mark_background(&mut key);
    }
    if edge.refuses_stored() {
        ctx.caching.refused = Some(cache::refusable(&mut key));
    }
    Ok(key)
}

/// The octets of a request's key, without its variant.
pub fn primary_key(rule: &CacheRule, headers: &HeaderMap, ctx: &Context) -> Option<Vec<u8>> {
    let (asked, taken) = (ctx.asked.as_ref()?, ctx.taken.as_ref()?);
    let facts = asked.facts(headers, ctx.clock.began_at);
    Some(cache_key(taken.site.id, &rule.key, &facts))
}

/// The variant of the object, whose head this is, that the request's fields choose.
pub fn variant(stored: &HeaderMap, request: &HeaderMap) -> Option<HashBinary> {
    match Vary::of(stored) {
        Vary::Fields(names) => Some(hash_key(variance(&names, request))),
        Vary::Nothing | Vary::Everything => None,
    }
}

/// What a key has for a request, whether or not it may answer. As Pingora looks it up: the first variant lies under the key
/// alone, the others under the key and their variance.
pub fn find(edge: &Edge, key: &[u8], request: &HeaderMap) -> Option<engine::Found<StoredMeta>> {
    let engine = edge.cache.engine();
    let found = engine.find(KeyRef {
        primary: key,
        variance: None,
    })?;
    let wanted = variant(found.record.meta.headers(), request);
    if wanted.is_none() || found.record.meta.variance() == wanted {
        return Some(found);
    }
    let found = engine.find(KeyRef {
        primary: key,
        variance: wanted,
    })?;
    (found.record.meta.variance() == wanted).then_some(found)
}

/// The lifetime of something stored.
pub fn lifetime(meta: &StoredMeta) -> Option<Lifetime> {
    meta.notes::<Notes>().map(|notes| notes.lifetime)
}

/// Judges a stored response that was found.
pub fn judge(edge: &Edge, meta: &CacheMeta, ctx: &mut Context) -> ForcedFreshness {
    let found = cache::hit(meta).and_then(|hit| Some((hit, lifetime(&hit.record().meta)?)));
    let Some((hit, lifetime)) = found else {
        return ForcedFreshness::ForceMiss;
    };
    let Some(verdict) = weigh(edge, hit.record(), &lifetime, ctx) else {
        return ForcedFreshness::ForceMiss;
    };
    note(&verdict, lifetime, hit.fetch(), ctx);
    match verdict.lets() {
        Use::Answer => ForcedFreshness::ForceFresh,
        // The windows stay open: whether it is served while or after the origin is asked is decided then.
        Use::Stale => ForcedFreshness::ForceExpiredServeStale { expired_at: None },
        // Its windows close.
        Use::Validate => ForcedFreshness::ForceExpired,
        Use::Refuse => {
            ctx.caching.refuse();
            ForcedFreshness::ForceExpired
        }
    }
}

/// What something stored may be used for now; none: nothing.
pub fn weigh(
    edge: &Edge,
    record: &Record<StoredMeta>,
    lifetime: &Lifetime,
    ctx: &Context,
) -> Option<Verdict> {
    let asked = verdict::Asked {
        directives: &ctx.asked.as_ref()?.directives,
        arrival: ctx.caching.arrival,
        now: SystemTime::now(),
    };
    let isolated = || edge.isolated();
    verdict::judge(edge.cache.engine(), record, lifetime, asked, isolated)
}

/// Keeps what was found.
pub fn note(verdict: &Verdict, lifetime: Lifetime, fetch: Fetch, ctx: &mut Context) {
    ctx.caching.found = Some(Found {
        lifetime,
        soft_purged: verdict.soft_purged,
        reuse: verdict.reuse,
        fetch,
    });
    ctx.caching.isolated = verdict.isolated;
    if let Some(isolated) = verdict.isolated {
        ctx.decide(isolated.step());
    }
}

/// Before the origin is asked: `only-if-cached` ends here, and what an isolated edge refuses.
pub fn before_origin(ctx: &mut Context) -> Result<(), Stop> {
    if let Some(isolated) = ctx.caching.isolated.filter(|_| !ctx.is_refresh)
        && isolated.refuses()
    {
        return Err(isolated.refusal());
    }
    let wants_stored = ctx
        .asked
        .as_ref()
        .is_some_and(|asked| asked.directives.only_if_cached);
    if wants_stored && !ctx.is_refresh {
        ctx.decide("cache:only_if_cached");
        ctx.caching.outcome = CacheOutcome::Absent;
        return Err(Fault::OnlyIfCached.into());
    }
    Ok(())
}

/// At the start of each attempt: what this edge obeys now is the stamp of what comes back. What was found may have been
/// purged since: then the origin is not asked whether it still holds, but for what holds now.
pub fn begin_fetch(
    storage: &MemoryStorage,
    session: &Session,
    request: &mut RequestHeader,
    ctx: &mut Context,
) {
    if !session.cache.enabled() {
        return;
    }
    ctx.caching.authorized = request.headers.contains_key(header::AUTHORIZATION);
    ctx.caching.fetch = Some(storage.begin_fetch());
    ctx.caching.fetch_sent_at = Some(SystemTime::now());
    // After the stamp: whatever is purged from here on is newer than it, and takes what comes back as well.
    let found = session.cache.maybe_cache_meta();
    if found.is_some_and(|meta| storage.liveness(meta).is_dead()) {
        request.remove_header(&header::IF_NONE_MATCH);
        request.remove_header(&header::IF_MODIFIED_SINCE);
        ctx.decide("cache:purged_since");
    }
}

/// When the head goes out: what the fetch brought is stored, on its way, or nothing, and needs no marks for the sake of the
/// fetch any more, however long the client takes. An interim answer is not the end of one.
pub fn end_fetch(status: StatusCode, ctx: &mut Context) {
    if !status.is_informational() {
        ctx.caching.fetch = None;
    }
}

/// Keeps the fields of a 304, which Pingora merges only in part (RFC 9111 §3.2).
pub fn keep_not_modified(response: &ResponseHeader, ctx: &mut Context) {
    if ctx.caching.rule.is_some() && response.status == StatusCode::NOT_MODIFIED {
        ctx.caching.not_modified = Some(response.headers.clone());
    }
}

/// Whether a response is stored, and for how long.
pub fn store(
    storage: &MemoryStorage,
    edge: &str,
    session: &Session,
    response: &ResponseHeader,
    ctx: &mut Context,
) -> RespCacheable {
    let fetch = ctx.caching.fetch.as_deref().copied();
    let (Some(rule), Some(fetch)) = (ctx.caching.rule.clone(), fetch) else {
        return RespCacheable::Uncacheable(NoCacheReason::Custom("no_fetch"));
    };
    let mut head = match ctx.caching.not_modified.take() {
        Some(fresh) => validated(session, response, &fresh),
        None => response.clone(),
    };
    let now = SystemTime::now();
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
            ctx.caching.reason = Some(why.as_str());
            storage.remember_uncacheable(session.cache.cache_key(), rule.hit_for_miss);
            return RespCacheable::Uncacheable(NoCacheReason::Custom(why.as_str()));
        }
    };
    if !lifetime.is_shareable(now) {
        storage.remember_uncacheable(session.cache.cache_key(), rule.hit_for_miss);
    }
    let tagged = tags::of(&head.headers, &rule.tag_headers);
    // A purge of a tag that was left out would miss it, and be told complete.
    if tagged.dropped > 0 {
        ctx.caching.reason = Some(TAGS_OUT_OF_BOUNDS);
        storage.remember_uncacheable(session.cache.cache_key(), rule.hit_for_miss);
        return RespCacheable::Uncacheable(NoCacheReason::Custom(TAGS_OUT_OF_BOUNDS));
    }
    let tags: Arc<[Box<str>]> = tagged
        .tags
        .into_iter()
        .map(String::into_boxed_str)
        .collect();
    for name in without {
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
            notes: Some(Arc::new(Notes { lifetime })),
        },
    );
    RespCacheable::Cacheable(meta)
}

/// The stored head after a 304. A changed `Vary` would need another variant: it is left as it is stored.
fn validated(
    session: &Session,
    partly_merged: &ResponseHeader,
    fresh: &HeaderMap,
) -> ResponseHeader {
    let Some(meta) = session.cache.maybe_cache_meta() else {
        return partly_merged.clone();
    };
    let mut head = meta.response_header_copy();
    let mut fresh = fresh.clone();
    fresh.remove(header::VARY);
    let merged = refresh::merged(&head.headers, &fresh);
    for name in head.headers.keys().cloned().collect::<Vec<_>>() {
        head.remove_header(&name);
    }
    for (name, value) in &merged {
        if head.append_header(name.clone(), value.clone()).is_err() {
            tracing::debug!(%name, "a field of a 304 that can't be stored");
        }
    }
    head
}

/// What the cache did, from what Pingora and the phases know, when the response's head is sent.
pub fn outcome(session: &Session, ctx: &Context) -> CacheOutcome {
    if ctx.caching.outcome != CacheOutcome::None {
        return ctx.caching.outcome;
    }
    let stale_accepted = ctx
        .caching
        .found
        .as_ref()
        .is_some_and(|found| found.reuse == Reuse::StaleAccepted);
    match session.cache.phase() {
        CachePhase::Hit if stale_accepted => CacheOutcome::Stale,
        CachePhase::Hit => CacheOutcome::Hit,
        CachePhase::Stale | CachePhase::StaleUpdating => CacheOutcome::Stale,
        CachePhase::Revalidated | CachePhase::RevalidatedNoCache(_) => CacheOutcome::Revalidated,
        CachePhase::Miss => CacheOutcome::Miss,
        CachePhase::Expired => CacheOutcome::Expired,
        _ if ctx.caching.rule.is_some() => CacheOutcome::Uncacheable,
        _ => CacheOutcome::None,
    }
}
