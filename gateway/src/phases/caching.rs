//! What the cache is asked and what it keeps. Pingora's own freshness windows are left wide open: every decision is
//! made here, by `latencify-decide`, at the time of the request.

use crate::{
    cache::{self, MemoryStorage, StoredMeta},
    context::{Context, Found},
    edge::Edge,
    errors::Fault,
    request::{Head as _, Request},
    respond::{Refusal, Stop},
    verdict::{self, Use, Verdict},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use latencify_cache::{self as engine, Fetch, KeyRef, Record};
use latencify_conf::{policy::CacheRule, record::CacheOutcome};
use latencify_decide::{
    cache_status::{CacheStatus, Told},
    conditional,
    freshness::{Lifetime, Reuse},
    key::{self, cache_key},
    vary::{Vary, variance_under},
};
use pingora::{
    Error, ErrorType,
    cache::{
        CacheKey, CacheMeta, CacheOptionOverrides, CachePhase, ForcedFreshness,
        key::{HashBinary, hash_key},
    },
    proxy::Session,
};
use std::{sync::Arc, time::SystemTime};

/// How often a request that waited for another's fetch looks again before it fetches itself.
const LOCK_RETRIES_MAX: usize = 3;

/// Asks the cache, if the route caches and the request can be answered by it.
pub fn enable(storage: &'static MemoryStorage, session: &mut Session, ctx: &mut Context) {
    ctx.caching.arrival = storage.arrive_under(ctx.history());
    let rule = match rule(&session.request(), ctx) {
        Ok(rule) => rule,
        Err(why) => {
            ctx.caching.reason = Some(why);
            return;
        }
    };
    let is_bodiless = (ctx.caching.is_bodiless).unwrap_or_else(|| session.is_body_empty());
    if !is_bodiless {
        ctx.caching.reason = Some("request_body");
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

/// The rule by which the cache is asked for a request without a body, or why it is not.
pub fn rule(request: &Request<'_>, ctx: &Context) -> Result<Arc<CacheRule>, &'static str> {
    let rule = ctx.proxying().and_then(|proxy| proxy.cache.clone());
    let rule = rule.ok_or("route_does_not_cache")?;
    askable(request).map(|()| rule)
}

/// Whether what is stored could answer a request, or why not. Whether it has a body is another question.
pub fn askable(request: &Request<'_>) -> Result<(), &'static str> {
    if !matches!(*request.method, Method::GET | Method::HEAD) {
        return Err("method");
    }
    if request.asks_for_upgrade() {
        return Err("upgrade");
    }
    if conditional::is_for_origin(request.headers) {
        return Err("condition_for_origin");
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
    let headers = &session.req_header().headers;
    let Some(primary) = primary_key(rule, headers, ctx) else {
        return Error::e_explain(ErrorType::InternalError, "cache key of no request");
    };
    let mut key = CacheKey::new(primary, String::new());
    cache::name(&mut key, taken.site.id, asked.path.clone());
    ctx.caching.key_told = told_key(rule, headers, ctx);
    if ctx.is_refresh {
        cache::mark_background(&mut key);
    }
    if !edge.cache.marks().is_of(ctx.caching.arrival.history()) {
        cache::meets_nobody(&mut key);
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

/// The key for `Cache-Status`, where the rule has it told.
pub fn told_key(rule: &CacheRule, headers: &HeaderMap, ctx: &Context) -> Option<String> {
    if !rule.cache_status.key {
        return None;
    }
    let (asked, taken) = (ctx.asked.as_ref()?, ctx.taken.as_ref()?);
    let facts = asked.facts(headers, ctx.clock.began_at);
    Some(key::text(taken.site.id, &rule.key, &facts))
}

/// The variant of the object, whose head this is, that the request's fields choose.
pub fn variant(rule: &CacheRule, stored: &HeaderMap, request: &HeaderMap) -> Option<HashBinary> {
    match Vary::of(stored) {
        Vary::Fields(names) => Some(hash_key(variance_under(rule, &names, request))),
        Vary::Nothing | Vary::Everything => None,
    }
}

/// The variant that Pingora looks for behind what it found, or stores.
pub fn choose(meta: &CacheMeta, request: &HeaderMap, ctx: &mut Context) -> Option<HashBinary> {
    let rule = ctx.caching.rule.clone()?;
    let wanted = variant(&rule, meta.headers(), request);
    if ctx.caching.fetch.is_none() {
        ctx.caching.other_variant = wanted.is_some() && meta.variance() != wanted;
    }
    wanted
}

/// What a key has for a request, whether or not it may answer. As Pingora looks it up: the first variant lies under the key
/// alone, the others under the key and their variance.
pub fn find(
    edge: &Edge,
    rule: &CacheRule,
    key: &[u8],
    request: &HeaderMap,
) -> Option<engine::Found<StoredMeta>> {
    let engine = edge.cache.engine();
    let found = engine.find(KeyRef {
        primary: key,
        variance: None,
    })?;
    let wanted = variant(rule, &found.record.meta.only(&header::VARY), request);
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
    meta.lifetime()
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

/// Whether a stored response that was found may be of any use now. To be judged when it is used.
pub fn is_usable(edge: &Edge, meta: &CacheMeta, ctx: &Context) -> bool {
    let found = cache::hit(meta).and_then(|hit| Some((hit, lifetime(&hit.record().meta)?)));
    found.is_some_and(|(hit, lifetime)| weigh(edge, hit.record(), &lifetime, ctx).is_some())
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
pub fn before_origin(edge: &str, ctx: &mut Context) -> Result<(), Stop> {
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
        return Err(only_if_cached(edge, ctx));
    }
    Ok(())
}

/// RFC 9111 §5.2.1.7, told as RFC 9211 has it.
fn only_if_cached(edge: &str, ctx: &Context) -> Stop {
    let status = CacheStatus::Local {
        detail: Fault::OnlyIfCached.name(),
    };
    let told = Told {
        key: ctx.caching.key_told.as_deref(),
        detail: (ctx.caching.rule.as_ref()).is_none_or(|rule| rule.cache_status.detail),
    };
    let field = |value: HeaderValue| (HeaderName::from_static("cache-status"), value);
    Stop::Fault(Refusal {
        fault: Fault::OnlyIfCached,
        kind: None,
        detail: None,
        headers: status.value(edge, told).map(field).into_iter().collect(),
    })
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
