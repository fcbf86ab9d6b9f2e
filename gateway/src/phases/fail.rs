//! Which fault a Pingora error is, and what the client is told of it.

use crate::{
    cache::is_withdrawn,
    context::Context,
    errors::Fault,
    listen::{Wire, cut_of, fault_of},
    observe::{Cut, Ended},
    respond::{self, Refusal, Stop},
};
use latencify_decide::freshness::{Reuse, Revalidate};
use latencify_framing::Violation;
use pingora::{
    Error, ErrorSource, ErrorType,
    proxy::{FailToProxy, Session},
};

/// Tells the client, if anything can be told, and ends the connection.
pub async fn answer(session: &mut Session, error: &Error, ctx: &mut Context) -> FailToProxy {
    ctx.answer.detail = Some(error.to_string());
    // Pingora closes it after an error of whatever kind; the client shall be told.
    session.set_keepalive(None);
    if let Some(violation) = ctx.wire.as_ref().and_then(Wire::violation) {
        return refuse(session, violation, ctx).await;
    }
    if ctx.wire.as_ref().is_some_and(Wire::was_too_slow) {
        return hurry(session, ctx).await;
    }
    if error.esource() == &ErrorSource::Downstream && ctx.answer.fault.is_none() {
        ctx.answer.cut = cut_of(session, ctx.wire.as_ref(), Some(error));
    }
    if is_withdrawn(error) {
        ctx.answer.cut = Some(Cut::Withdrawn);
    }
    let fault = fault(error, ctx).map(|fault| without_origin(fault, ctx));
    ctx.answer.fault = fault;
    let mut error_code = 0;
    if let Some(fault) = fault {
        error_code = fault.status().as_u16();
        if respond::may_write(session)
            && let Err(error) = respond::write(session, ctx, fault.into()).await
        {
            tracing::debug!(%error, "the client was gone before it could be told");
        }
    }
    FailToProxy {
        error_code,
        can_reuse_downstream: false,
    }
}

/// RFC 9111 §5.2.2.2: while the origin can't be reached, what must not be used without it is answered by 504.
fn without_origin(fault: Fault, ctx: &Context) -> Fault {
    let needs_origin = ctx.caching.found.as_ref().is_some_and(|found| {
        found.lifetime.must_revalidate && found.reuse == Reuse::Revalidate(Revalidate::Stale)
    });
    match fault {
        Fault::OriginUnreachable | Fault::NoOrigin if needs_origin => Fault::NotRevalidated,
        other => other,
    }
}

/// The body of the request came slower than it must.
async fn hurry(session: &mut Session, ctx: &mut Context) -> FailToProxy {
    let refusal = Refusal {
        fault: Fault::RequestTimeout,
        kind: Some(Ended::BodyRate.name()),
        detail: Some(
            "The body came too slowly. Send it as fast as edge.limits.body_rate says.".into(),
        ),
        headers: Vec::new(),
    };
    ctx.answer.fault = Some(refusal.fault);
    ctx.answer.kind = refusal.kind;
    let error_code = refusal.fault.status().as_u16();
    if respond::may_write(session)
        && let Err(error) = respond::write(session, ctx, Stop::Fault(refusal)).await
    {
        tracing::debug!(%error, "the client was gone before it could be told");
    }
    FailToProxy {
        error_code,
        can_reuse_downstream: false,
    }
}

/// The body of the request broke the rules of framing.
async fn refuse(session: &mut Session, violation: Violation, ctx: &mut Context) -> FailToProxy {
    let fault = fault_of(violation);
    ctx.answer.fault = Some(fault);
    ctx.answer.kind = Some(violation.name());
    ctx.decide("framing");
    if respond::may_write(session)
        && let Err(error) = respond::write(session, ctx, Stop::violation(violation)).await
    {
        tracing::debug!(%error, "the client was gone before it could be told");
    }
    FailToProxy {
        error_code: fault.status().as_u16(),
        can_reuse_downstream: false,
    }
}

/// The fault; none: the client is gone, and nothing can be said to it.
pub fn fault(error: &Error, ctx: &Context) -> Option<Fault> {
    if let Some(fault) = ctx.answer.fault {
        return Some(fault);
    }
    if ctx.answer.cut.is_some() {
        return None;
    }
    match (error.esource(), error.etype()) {
        (
            ErrorSource::Downstream,
            ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed,
        ) => None,
        (ErrorSource::Downstream, ErrorType::WriteTimedout | ErrorType::ReadTimedout) => None,
        (ErrorSource::Downstream, _) => Some(Fault::BadRequest),
        (ErrorSource::Upstream, kind) => Some(match kind {
            ErrorType::ConnectTimedout
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout => Fault::OriginTimeout,
            ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::SocketError
            | ErrorType::ConnectProxyFailure
            | ErrorType::TLSHandshakeFailure
            | ErrorType::InvalidCert
            | ErrorType::TLSWantX509Lookup
            | ErrorType::HandshakeError => Fault::OriginUnreachable,
            _ => Fault::OriginFailed,
        }),
        (ErrorSource::Internal | ErrorSource::Unset, _) => Some(Fault::Internal),
    }
}
