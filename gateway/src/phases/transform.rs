//! The fields that change on the way to the origin and back.

use crate::{
    cache_told::{self, CACHE_STATUS},
    context::{Asked, Context},
    incoming::Incoming,
    isolation::ISOLATED,
    outgoing::Outgoing,
    respond::REQUEST_ID,
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use latencify_conf::{policy::ClientAddressHeader, record::CacheOutcome};
use latencify_decide::{
    admit,
    cache_status::{CacheStatus, Forward, ForwardReason, Told},
    edit,
    forward::{self, Changes},
    hops::{CDN_LOOP, Pseudonym},
    tags,
};
use pingora::{Error, ErrorType, OrErr as _, Result, proxy::Session};
use std::{borrow::Cow, net::IpAddr, time::SystemTime};

/// What a route without a cache takes out.
static TAGS: [HeaderName; 2] = [tags::SURROGATE_KEY, tags::CACHE_TAG];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Two addresses, about.
const ADDRESS_CHARACTERS_MAX: usize = 48;

/// Keeps a request for another protocol open: Pingora would send the end of its empty body to the origin, and when that
/// overtakes the origin's 101, it takes it for the end of the tunnel. As a chunked body that never comes, it does not
/// end; the 101 turns what follows into the tunnel, and an origin that declines gets to see an empty body.
pub fn upgrade(session: &mut Session, ctx: &Context) -> Result<()> {
    if !ctx.asked.as_ref().is_some_and(|asked| asked.upgrade) {
        return Ok(());
    }
    session
        .req_header_mut()
        .insert_header(header::TRANSFER_ENCODING, "chunked")
}

/// Makes the request that goes to the origin.
pub fn towards_origin(request: &mut impl Outgoing, edge: &Pseudonym, ctx: &Context) -> Result<()> {
    let (Some(asked), Some(route), Some(proxy)) = (&ctx.asked, ctx.route(), ctx.proxying()) else {
        return Error::e_explain(ErrorType::InternalError, "a request for no route");
    };
    let signing = ctx.signing();
    if let Some(signing) = signing {
        signing.strip(request);
    }
    if asked.upgrade {
        // See `upgrade`.
        request.remove(&header::TRANSFER_ENCODING);
        request.set(header::CONTENT_LENGTH, HeaderValue::from_static("0"))?;
    }
    let mut query = asked.query.clone();
    if let Some(rule) = &ctx.caching.rule {
        let facts = asked.facts(request.fields(), ctx.clock.began_at);
        let changes = Changes::of(rule, &facts, edge.name());
        changes.apply(&mut request.edit());
        query = forward::query(rule, query.as_deref()).map(Cow::into_owned);
    }
    if let Some(jwt) = route.auth.as_ref().filter(|jwt| jwt.strip) {
        let fields = request.fields().clone();
        admit::strip_token(&jwt.sources, &fields, &mut request.edit());
        query = query.and_then(|query| admit::strip_parameters(&jwt.sources, &query));
    }
    if !request.is_for_server() {
        let target = edit::origin_target(proxy.rewrite.as_ref(), &asked.path, query.as_deref());
        request.aim(target)?;
    }
    let origin = ctx.steering.current.as_ref().and_then(|attempt| {
        ctx.policy
            .as_ref()
            .and_then(|compiled| compiled.policy.origins.get(attempt.origin.0))
    });
    let host = origin
        .and_then(|origin| origin.host_header.as_deref())
        .unwrap_or(&asked.authority);
    request.set(header::HOST, value(host)?)?;

    forwarded_for(request, asked, ctx)?;
    let scheme = if asked.https { "https" } else { "http" };
    request.set(X_FORWARDED_PROTO, HeaderValue::from_static(scheme))?;
    request.set(X_FORWARDED_HOST, value(&asked.authority)?)?;
    request.set(REQUEST_ID, value(&asked.id)?)?;
    if let Some(via) = edge.via(asked.version) {
        request.add(header::VIA, via)?;
    }
    if let Some(member) = edge.cdn_loop() {
        request.add(CDN_LOOP, member)?;
    }
    edit::apply(&route.request_headers, &mut request.edit());
    match signing {
        Some(signing) => signing.sign(request, SystemTime::now()),
        None => Ok(()),
    }
}

/// Tells the origin of the client as it was found, then of the hop that asked for it, if there was one: what anybody else
/// claimed ends here. `Forwarded` goes on where it is the header that trusted hops write, and from them alone.
fn forwarded_for(request: &mut impl Outgoing, asked: &Asked, ctx: &Context) -> Result<()> {
    let believed = ctx.policy.as_ref().is_some_and(|compiled| {
        let rules = &compiled.policy.edge;
        rules.client_address_header == ClientAddressHeader::Forwarded && rules.trusts(asked.peer)
    });
    if !believed {
        request.remove(&header::FORWARDED);
    }
    let (client, peer) = (asked.client, asked.peer);
    let mut list = String::with_capacity(ADDRESS_CHARACTERS_MAX);
    if client != peer {
        push_address(&mut list, client);
        list.push_str(", ");
    }
    push_address(&mut list, peer);
    request.set(X_FORWARDED_FOR, value(&list)?)
}

/// As `Display` writes it.
fn push_address(text: &mut String, address: IpAddr) {
    let IpAddr::V4(v4) = address else {
        text.push_str(&address.to_string());
        return;
    };
    for (number, octet) in v4.octets().into_iter().enumerate() {
        if number > 0 {
            text.push('.');
        }
        text.push_str(itoa::Buffer::new().format(octet));
    }
}

fn value(text: &str) -> Result<HeaderValue> {
    text.parse()
        .or_err(ErrorType::InvalidHTTPHeader, "a value that is none")
}

/// Makes the response that goes to the client.
pub fn towards_client(
    response: &mut impl Incoming,
    edge: &Pseudonym,
    limits: impl Iterator<Item = (HeaderName, HeaderValue)>,
    ctx: &mut Context,
) -> Result<()> {
    let status = response.status();
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    let outcome = ctx.caching.outcome;
    // What is neither stored nor was is of no age.
    let has_age = ctx.caching.found.is_some() || ctx.caching.stored.is_some();
    let now = if has_age {
        SystemTime::now()
    } else {
        ctx.clock.began_at
    };
    let lifetime = match outcome {
        CacheOutcome::Hit | CacheOutcome::Stale => {
            ctx.caching.found.as_ref().map(|found| found.lifetime)
        }
        CacheOutcome::Revalidated => ctx.caching.stored,
        _ => None,
    };
    if let Some(lifetime) = lifetime {
        let age = lifetime.age_seconds(now);
        ctx.answer.age = Some(age);
        response.set(header::AGE, age.into())?;
    }
    if !outcome.is_from_cache() {
        // A response that was not stored after all has them still.
        let left_out = &ctx.caching.left_out;
        let missing: Vec<_> = left_out.keys().filter(|name| !response.has(name)).collect();
        for name in missing {
            for value in left_out.get_all(name) {
                response.add(name.clone(), value.clone())?;
            }
        }
    }
    let rule = ctx.proxying().and_then(|proxy| proxy.cache.clone());
    match &rule {
        Some(rule) => forward::withheld(rule)
            .iter()
            .for_each(|name| response.remove(name)),
        None => TAGS.iter().for_each(|name| response.remove(name)),
    }
    let told = Told {
        key: ctx.caching.key_told.as_deref(),
        detail: rule.is_none_or(|rule| rule.cache_status.detail),
    };
    if let Some(status) = cache_status(ctx, now).value(edge.name(), told) {
        response.add(CACHE_STATUS, status)?;
    }
    if let Some(via) = edge.via(response.version()) {
        response.add(header::VIA, via)?;
    }
    for (name, value) in limits {
        response.set(name, value)?;
    }
    if let Some(route) = ctx.route() {
        edit::apply(&route.response_headers, &mut response.edit());
    }
    if let Some(asked) = &ctx.asked {
        response.set(REQUEST_ID, value(&asked.id)?)?;
    }
    Ok(())
}

/// How the request was answered (RFC 9211).
fn cache_status(ctx: &Context, now: SystemTime) -> CacheStatus {
    let found = ctx.caching.found.as_ref();
    match ctx.caching.outcome {
        // It was not stored when the request came: another's fetch brought it.
        CacheOutcome::Hit if ctx.caching.collapsed => CacheStatus::Forward(Forward {
            collapsed: true,
            ttl: found.map(|found| found.lifetime.ttl_seconds(now)),
            ..Forward::because(ForwardReason::Miss)
        }),
        CacheOutcome::Hit | CacheOutcome::Stale => match found {
            Some(found) => CacheStatus::Hit {
                ttl: found.lifetime.ttl_seconds(now),
                detail: ctx
                    .caching
                    .isolated
                    .map(|_| ISOLATED)
                    .or((ctx.caching.outcome == CacheOutcome::Stale).then_some("stale"))
                    .or(ctx.caching.is_on_disk.then_some("disk")),
            },
            None => CacheStatus::Local { detail: "unknown" },
        },
        CacheOutcome::Absent => CacheStatus::Local {
            detail: "only_if_cached",
        },
        outcome => {
            let reason = cache_told::forward_reason(&ctx.caching);
            let stored = ctx
                .caching
                .stored
                .filter(|_| outcome != CacheOutcome::Uncacheable);
            CacheStatus::Forward(Forward {
                status: (outcome == CacheOutcome::Revalidated).then_some(304),
                stored: stored.is_some(),
                ttl: stored.map(|lifetime| lifetime.ttl_seconds(now)),
                detail: ctx
                    .caching
                    .isolated
                    .map(|_| ISOLATED)
                    .or(ctx.caching.reason.filter(|_| stored.is_none())),
                ..Forward::because(reason)
            })
        }
    }
}
