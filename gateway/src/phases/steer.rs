//! Which origin is asked, and whether another one is after a failure.

use crate::{
    context::{Attempt, Context},
    edge::Edge,
    errors::Fault,
    fetches::Crowded,
    incoming::Incoming,
    observe::ANSWERED,
    origin::{
        OriginError, Outcome, Shortage, SocketHandle, Upstream, Watch, address_of,
        over_new_connection,
    },
    policy::Compiled,
};
use http::{Method, StatusCode, Version, header};
use latencify_conf::policy::{OriginId, Timeouts};
use latencify_decide::steer::{self, Health};
use pingora::{
    Error, ErrorSource, ErrorType, Result, protocols::ALPN, proxy::Session,
    upstreams::peer::HttpPeer,
};
use std::{net::SocketAddr, os::fd::RawFd, sync::Arc, time::Instant};

/// The most attempts at origins for one request, whatever the policy says.
pub const ATTEMPTS_MAX: usize = 16;
/// The most attempts of one request that meet a connection which the origin has closed while it was idle. After them it is
/// asked over a new one: all that are idle may have been closed together.
const IDLE_RACES_MAX: u32 = 1;

/// The next origin to ask: the first of the order, after a failure the next one. With a single origin that has several
/// addresses, its next address.
pub async fn peer(edge: &Edge, ctx: &mut Context) -> Result<Box<HttpPeer>> {
    let Some(id) = next(ctx) else {
        ctx.answer.fault = Some(Fault::NoOrigin);
        return Error::e_explain(ErrorType::HTTPStatus(503), "the route has no origin");
    };
    let (Some(policy), Some(proxy)) = (ctx.policy.clone(), ctx.proxying()) else {
        return Error::e_explain(
            ErrorType::InternalError,
            "an origin for a route that has none",
        );
    };
    let timeouts = proxy.timeouts;
    enter(edge, ctx).map_err(|crowded| turned_away(edge, crowded, ctx))?;
    begin(&policy, id, ctx);
    match policy.origins.peer(id, &timeouts).await {
        Ok(mut peer) => {
            for_old_client(&mut peer, ctx);
            if !may_be_idle(ctx) {
                over_new_connection(&mut peer);
            }
            Ok(peer)
        }
        Err(error) => Err(no_address(error, ctx)),
    }
}

/// The next origin to ask, if it speaks HTTP/1.1 in cleartext: the attempt begins. None: it is not this one's turn, or there
/// is none, or no place at it; nothing has been noted of this.
pub fn begin_plain(edge: &Edge, ctx: &mut Context) -> Option<(Arc<Upstream>, Timeouts)> {
    let id = next(ctx)?;
    let policy = ctx.policy.clone()?;
    let timeouts = ctx.proxying()?.timeouts;
    let upstream = policy.origins.plain(id)?.clone();
    enter(edge, ctx).ok()?;
    begin(&policy, id, ctx);
    Some((upstream, timeouts))
}

/// Takes the request's place at origins, unless an attempt before has.
fn enter(edge: &Edge, ctx: &mut Context) -> Result<(), Crowded> {
    if ctx.steering.place.is_none() {
        // A refresh is nobody's in particular.
        let asked = ctx.asked.as_ref().filter(|_| !ctx.is_refresh);
        ctx.steering.place = Some(edge.fetches.enter(asked.map(|asked| asked.client))?);
    }
    Ok(())
}

/// No origin is asked: too many requests are there. What is stale may stand in, as for an origin that says so itself.
fn turned_away(edge: &Edge, crowded: Crowded, ctx: &mut Context) -> Box<Error> {
    edge.fetches.turned_away(crowded);
    ctx.decide(crowded.step());
    ctx.answer.fault = Some(crowded.fault());
    Error::explain(ErrorType::HTTPStatus(503), crowded.name())
}

fn begin(policy: &Compiled, id: OriginId, ctx: &mut Context) {
    let (name, step) = policy.origins.named(id);
    ctx.steering.attempts += 1;
    ctx.steering.status = None;
    ctx.steering.current = Some(Attempt {
        origin: id,
        name,
        began: Instant::now(),
        reported: false,
    });
    ctx.decide(step);
}

/// Whether the attempt may go over a connection that was idle.
pub fn may_be_idle(ctx: &Context) -> bool {
    ctx.steering.idle_races < IDLE_RACES_MAX
}

/// The name of the origin has no address.
pub fn no_address(error: OriginError, ctx: &mut Context) -> Box<Error> {
    ctx.answer.fault = Some(Fault::NoOrigin);
    let mut error = Error::because(
        ErrorType::HTTPStatus(503),
        "no address of the origin",
        error,
    );
    error.as_up();
    error.set_retry(may_try_another(ctx));
    error
}

/// Asks over HTTP/1.1 for a client of HTTP/1.0: of a response over HTTP/2 that tells no length, Pingora makes chunks after
/// every phase that could prevent it, and that client knows none.
fn for_old_client(peer: &mut HttpPeer, ctx: &Context) {
    let old = ctx
        .asked
        .as_ref()
        .is_some_and(|asked| asked.version == Version::HTTP_10);
    if old && peer.options.alpn == ALPN::H2H1 {
        peer.options.set_http_version(1, 1);
    }
}

fn next(ctx: &mut Context) -> Option<OriginId> {
    let tries = tries(ctx) as usize;
    if ctx.steering.order.is_none() {
        ctx.steering.order = Some(order(ctx)?);
    }
    let order = ctx.steering.order.as_ref()?;
    order.get(tries % order.len().max(1)).copied()
}

/// The attempts that say something of an origin: a connection that was closed while it was idle does not, and the same
/// origin is asked again.
fn tries(ctx: &Context) -> u32 {
    ctx.steering.attempts - ctx.steering.idle_races
}

fn order(ctx: &Context) -> Option<Vec<OriginId>> {
    let (policy, proxy) = (ctx.policy.as_ref()?, ctx.proxying()?);
    let health = |id| {
        if policy.origins.health(id).is_usable() {
            Health::Healthy
        } else {
            Health::Unhealthy
        }
    };
    let client = ctx
        .asked
        .as_ref()
        .and_then(|asked| asked.place.as_ref()?.point);
    Some(steer::order(
        &proxy.steering,
        &policy.policy,
        client,
        &health,
        rand::random(),
    ))
}

/// A connection stands.
pub fn connected(peer: &HttpPeer, socket: RawFd, reused: bool, ctx: &mut Context) {
    ctx.steering.handle = SocketHandle::of(socket, reused);
    ctx.steering.watch = None;
    if let (false, Some(address)) = (reused, address_of(peer)) {
        connected_to(address, ctx);
    }
}

/// A new connection stands.
pub fn connected_to(address: SocketAddr, ctx: &Context) {
    report(ctx, Outcome::Connected(address));
}

/// The head of the request is about to go to an origin: without a body, the time of the response's head begins now.
pub fn request_begins(session: &mut Session, version: Version, ctx: &mut Context) {
    if version == Version::HTTP_2 {
        ctx.steering.handle = None;
    } else if session.is_body_empty() || session.is_upgrade_req() {
        request_ends(ctx);
    }
}

/// The request has gone out whole: the time of the response's head begins.
pub fn request_ends(ctx: &mut Context) {
    let Some(timeouts) = ctx.proxying().map(|proxy| proxy.timeouts) else {
        return;
    };
    // Pingora's read timeout, even where it is no longer, runs anew with every octet of a head. A response may come before the end of the request.
    if ctx.steering.watch.is_some() || ctx.steering.status.is_some() {
        return;
    }
    ctx.steering.watch = ctx
        .steering
        .handle
        .as_ref()
        .map(|handle| handle.watch_head(timeouts.first_byte));
}

/// No connection came about: nothing has been sent, so any request may be tried elsewhere.
pub fn could_not_connect(
    edge: &Edge,
    address: Option<SocketAddr>,
    is_repeatable: bool,
    ctx: &mut Context,
    mut error: Box<Error>,
) -> Box<Error> {
    if let Some(shortage) = Shortage::of(&error, address) {
        // This origin is not to blame; another can hardly be connected to either.
        ctx.decide(shortage.step());
        ctx.answer.fault = Some(Fault::OriginUnreachable);
        count(edge, ctx, shortage.name());
        error.set_retry(false);
        return error;
    }
    // Asked before the report: after it, the address that failed is not among the usable ones.
    let retry = may_try_another(ctx) && is_repeatable;
    report(ctx, Outcome::ConnectFailed(address));
    count(edge, ctx, "connect_failed");
    error.set_retry(retry);
    error
}

/// The exchange with the origin failed after the connection stood.
/// `is_repeatable`: what came of the request's body is there still, and nothing has been said to the client.
pub fn failed(
    edge: &Edge,
    is_repeatable: bool,
    ctx: &mut Context,
    mut error: Box<Error>,
    reused: bool,
) -> Box<Error> {
    let silent = ctx
        .steering
        .watch
        .take()
        .is_some_and(|watch| watch.has_fired());
    let too_late = silent && error.esource() == &ErrorSource::Upstream;
    if too_late {
        error.etype = ErrorType::ReadTimedout;
        error.as_up();
    }
    let from_origin = error.esource() == &ErrorSource::Upstream;
    // An idle connection that the origin closed while the request was on its way says nothing of the origin.
    let idle_race =
        from_origin && !too_late && reused && matches!(error.retry, pingora::RetryType::ReusedOnly);
    let may_race = ctx.steering.idle_races < IDLE_RACES_MAX;
    if idle_race && !is_reported(ctx) {
        ctx.steering.idle_races += 1;
        count(edge, ctx, "idle_closed");
    } else if from_origin && !is_reported(ctx) {
        report(ctx, Outcome::NoResponse);
        count(edge, ctx, "no_response");
    }
    let repeatable = ctx
        .asked
        .as_ref()
        .is_some_and(|asked| asked.method.is_idempotent())
        && ctx.body_bytes == 0
        && is_repeatable;
    let retry = from_origin
        && repeatable
        && ctx.steering.status.is_none()
        && if idle_race {
            may_race
        } else {
            may_try_another(ctx)
        };
    error.set_retry(retry);
    error
}

/// The head of a response came.
pub fn responded(edge: &Edge, response: &impl Incoming, ctx: &mut Context) {
    let status = response.status();
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    if let (Some(signing), Some(attempt)) = (ctx.signing(), &ctx.steering.current) {
        signing.heard(&attempt.name, response);
    }
    let length = response.first(&header::CONTENT_LENGTH);
    ctx.steering.watch = body_watch(status, ctx);
    ctx.steering.ends_by_closing = length.is_none() && !response.has(&header::TRANSFER_ENCODING);
    heard(edge, status.as_u16(), ctx);
    let is_empty = length == Some(b"0");
    is_answering(!is_empty && !is_bodiless(status, ctx), ctx);
}

/// An origin said that it failed, and something stale is asked whether it stands in: nobody else gets to see that response.
pub fn responded_with_error(edge: &Edge, error: &Error, ctx: &mut Context) {
    if let (ErrorSource::Upstream, ErrorType::HTTPStatus(status)) = (error.esource(), error.etype())
        && ctx.answer.fault.is_none()
    {
        ctx.steering.watch = None;
        heard(edge, *status, ctx);
    }
}

fn heard(edge: &Edge, status: u16, ctx: &mut Context) {
    ctx.steering.status = Some(status);
    if !is_reported(ctx) {
        report(ctx, Outcome::Responded(status));
        let is_fault = status >= 500;
        count(edge, ctx, if is_fault { "response_5xx" } else { ANSWERED });
    }
}

/// The time limit on the silences in a body, where Pingora's read timeout is longer.
fn body_watch(status: StatusCode, ctx: &Context) -> Option<Watch> {
    let timeouts = &ctx.proxying()?.timeouts;
    if is_bodiless(status, ctx) || timeouts.between_bytes >= timeouts.first_byte {
        return None;
    }
    let handle = ctx.steering.handle.as_ref()?;
    Some(handle.watch_body(timeouts.between_bytes))
}

fn is_bodiless(status: StatusCode, ctx: &Context) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || (ctx.asked.as_ref()).is_some_and(|asked| asked.method == Method::HEAD)
}

/// While a response comes, the client may take its time with the request.
fn is_answering(now: bool, ctx: &Context) {
    if let Some(wire) = &ctx.wire {
        wire.is_being_answered(now);
    }
}

/// A piece of a response's body came; at its end, nothing more is waited for. A body that only the connection's end tells
/// the end of looks whole after a time limit has cut it off: here it is told apart.
pub fn body_piece(end: bool, ctx: &mut Context) -> Result<()> {
    if !end {
        return Ok(());
    }
    is_answering(false, ctx);
    ctx.steering.place = None;
    let silent = ctx
        .steering
        .watch
        .take()
        .is_some_and(|watch| watch.has_fired());
    if silent && ctx.steering.ends_by_closing {
        return Err(Error::explain(ErrorType::ReadTimedout, "between_bytes is over").into_up());
    }
    Ok(())
}

fn is_reported(ctx: &Context) -> bool {
    ctx.steering
        .current
        .as_ref()
        .is_none_or(|attempt| attempt.reported)
}

fn may_try_another(ctx: &Context) -> bool {
    let (Some(policy), Some(proxy), Some(order)) =
        (&ctx.policy, ctx.proxying(), &ctx.steering.order)
    else {
        return false;
    };
    let (attempts, tries) = (ctx.steering.attempts as usize, tries(ctx));
    let elsewhere = (tries as usize) < order.len()
        || order
            .iter()
            .any(|id| policy.origins.usable_addresses(*id) > 1)
            && attempts < ATTEMPTS_MAX;
    tries <= proxy.limits.retries_max && attempts < ATTEMPTS_MAX && elsewhere
}

fn report(ctx: &Context, outcome: Outcome) {
    if let (Some(policy), Some(attempt)) = (&ctx.policy, &ctx.steering.current) {
        policy.origins.report(attempt.origin, outcome);
    }
}

fn count(edge: &Edge, ctx: &mut Context, outcome: &'static str) {
    if let Some(attempt) = &mut ctx.steering.current {
        attempt.reported = true;
        let answered = outcome
            .starts_with("response")
            .then(|| attempt.began.elapsed());
        let policy = ctx.policy.as_ref();
        let kept = policy.and_then(|policy| policy.origins.counts(attempt.origin));
        edge.metrics
            .origin_attempt(&attempt.name, outcome, answered, kept);
    }
}
