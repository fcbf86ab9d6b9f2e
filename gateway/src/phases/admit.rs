//! Who is let in: access list, token, rate limits, the size of the body.

use crate::{
    context::Context,
    edge::Edge,
    errors::Fault,
    listen::Wire,
    request::Request,
    respond::{Refusal, Stop},
};
use http::{HeaderName, HeaderValue, header};
use latencify_decide::{
    admit::{self, Admission, Class, Refused},
    limit,
};
use pingora::{Error, ErrorType, Result as PingoraResult};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Whether the request may pass its route. A background refresh may: it asks for nobody.
pub async fn admit(edge: &Edge, request: &Request<'_>, ctx: &mut Context) -> Result<(), Stop> {
    if ctx.is_refresh {
        return Ok(());
    }
    let (Some(asked), Some(taken)) = (&ctx.asked, &ctx.taken) else {
        return Err(Fault::Internal.into());
    };
    let Some(route) = &taken.route else {
        return Err(Fault::Internal.into());
    };
    let facts = asked.facts(request.headers, ctx.clock.began_at);
    match admit::admit(route, &taken.site, &facts, &edge.limiter).await {
        Admission::Granted(granted) => {
            ctx.admitted.token = granted.token;
            ctx.admitted.limits = granted.limits;
            ctx.decide("admit:granted");
            Ok(())
        }
        Admission::Refused(refused) => {
            ctx.decide(format!("admit:{}", refused.refusal.as_str()));
            Err(refusal(&refused))
        }
    }
}

/// Refuses a body whose length is told and too large, before it is read.
pub fn body_length(request: &Request<'_>, ctx: &mut Context) -> Result<(), Stop> {
    let Some(most) = ctx
        .proxying()
        .map(|proxy| proxy.limits.request_body_bytes_max)
    else {
        return Ok(());
    };
    let length = request.headers.get(header::CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|length| length.to_str().ok()?.trim().parse().ok());
    if length.is_some_and(|length| length > most) {
        ctx.decide("body:too_large");
        return Err(too_large(most));
    }
    Ok(())
}

/// Counts a piece of the body, and ends the request when it has become too large. Another protocol's bytes are no body:
/// they have no end to wait for.
pub fn body_piece(ctx: &mut Context, bytes: usize) -> PingoraResult<()> {
    ctx.body_bytes += bytes as u64;
    let is_tunnel = ctx.wire.as_ref().is_some_and(Wire::is_tunnel);
    let most = ctx
        .proxying()
        .map(|proxy| proxy.limits.request_body_bytes_max);
    match most {
        Some(most) if ctx.body_bytes > most && !is_tunnel => {
            ctx.decide("body:too_large");
            ctx.answer.fault = Some(Fault::BodyTooLarge);
            Error::e_explain(
                ErrorType::HTTPStatus(413),
                format!("request body larger than {most} bytes"),
            )
        }
        _ => Ok(()),
    }
}

/// The fields that tell a client where it stands with its limits.
pub fn limit_fields(ctx: &Context) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
    let limits = &ctx.admitted.limits;
    let fields = [
        (RATE_LIMIT, limit::rate_limit(limits)),
        (RATE_LIMIT_POLICY, limit::rate_limit_policy(limits)),
    ];
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
}

fn too_large(most: u64) -> Stop {
    Stop::because(
        Fault::BodyTooLarge,
        format!("At most {most} bytes are accepted here."),
    )
}

fn refusal(refused: &Refused) -> Stop {
    let fault = match refused.refusal.class() {
        Class::BadRequest => Fault::BadRequest,
        Class::Unauthenticated => Fault::Unauthorized,
        Class::Forbidden => Fault::Forbidden,
        Class::TooMany => Fault::RateLimited,
    };
    let fields = [
        (header::WWW_AUTHENTICATE, refused.challenge.clone()),
        (
            header::RETRY_AFTER,
            refused.retry_after.map(limit::retry_after),
        ),
        (RATE_LIMIT, limit::rate_limit(&refused.limits)),
        (RATE_LIMIT_POLICY, limit::rate_limit_policy(&refused.limits)),
    ];
    let headers = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    Stop::Fault(Refusal {
        fault,
        kind: Some(refused.refusal.as_str()),
        detail: Some(refused.refusal.detail().to_owned()),
        headers,
    })
}
