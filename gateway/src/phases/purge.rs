//! `PURGE` of a path, where the policy allows it.

use crate::{
    context::Context,
    edge::Edge,
    errors::Fault,
    purge::{PurgeRefused, Purged},
    request::Request,
    respond::{Refusal, Reply, Stop},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use latencify_conf::change::{KEY_BYTES_MAX, Mode};
use latencify_decide::admit::may_purge;
use serde_json::json;
use uuid::Uuid;

/// `soft`: the object becomes stale instead of leaving.
const PURGE_MODE: HeaderName = HeaderName::from_static("latencify-purge");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// As long as the longest pause before the link to control is tried again. Seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");
/// What whoever purges has to know.
const NOT_KEPT: &str = "This edge obeys the purge, but could not write it to its disk tier's folder in time: if it is killed now, it may \
    serve from disk what was purged. See to the folder (/readyz and the log say what is wrong with it), and purge again.";

/// Answers a `PURGE`; any other request passes.
pub async fn purge(edge: &Edge, request: &Request<'_>, ctx: &mut Context) -> Result<(), Stop> {
    let (Some(asked), Some(taken)) = (&ctx.asked, &ctx.taken) else {
        return Ok(());
    };
    if asked.method.as_str() != "PURGE" {
        return Ok(());
    }
    let headers = request.headers;
    if !may_purge(&taken.site, asked.client) {
        ctx.decide("purge:forbidden");
        return Err(Fault::Forbidden.into());
    }
    let Some(port) = edge.purge_port() else {
        return Err(unreachable());
    };
    // The id may be another site's in the log that is obeyed now; its policy is about to be in force.
    if !edge.cache.marks().is_of(ctx.history()) {
        ctx.decide("purge:other_history");
        return Err(unreachable());
    }
    let mode = match headers.get(PURGE_MODE).map(HeaderValue::as_bytes) {
        Some(value) if value.eq_ignore_ascii_case(b"soft") => Mode::Soft,
        None => Mode::Hard,
        Some(value) if value.eq_ignore_ascii_case(b"hard") => Mode::Hard,
        Some(_) => {
            return Err(Stop::because(
                Fault::BadRequest,
                "Latencify-Purge is soft or hard.",
            ));
        }
    };
    let key = idempotency_key(headers)?;
    let purged = port.purge(taken.site.id, &asked.host, &asked.path, mode, &key);
    match purged.await {
        Ok(purged) => {
            ctx.decide("purge:done");
            Err(done(&purged))
        }
        Err(PurgeRefused::Unreachable(why)) => {
            ctx.answer.detail = Some(why);
            ctx.decide("purge:unreachable");
            Err(unreachable())
        }
        Err(PurgeRefused::NotKept) => {
            ctx.decide("purge:not_kept");
            Err(not_kept())
        }
        Err(PurgeRefused::Refused(why)) => {
            ctx.decide("purge:refused");
            Err(Stop::because(Fault::BadRequest, why))
        }
    }
}

/// The client's key, or a fresh one: the id of a request is chosen by whoever stands before this edge, and two purges
/// under one key are one.
fn idempotency_key(headers: &HeaderMap) -> Result<String, Stop> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(Uuid::new_v4().to_string());
    };
    match key.to_str() {
        Ok(key) if (1..=KEY_BYTES_MAX).contains(&key.len()) => Ok(key.to_owned()),
        _ => Err(Stop::because(
            Fault::BadRequest,
            "An Idempotency-Key is 1 to 200 visible ASCII characters.",
        )),
    }
}

/// The same purge may succeed when control is back.
fn unreachable() -> Stop {
    Stop::Fault(Refusal {
        fault: Fault::ControlUnreachable,
        kind: None,
        detail: None,
        headers: vec![(header::RETRY_AFTER, RETRY_AFTER)],
    })
}

/// The same purge may succeed when the folder can be written.
fn not_kept() -> Stop {
    Stop::Fault(Refusal {
        fault: Fault::PurgeNotKept,
        kind: None,
        detail: Some(NOT_KEPT.into()),
        headers: vec![(header::RETRY_AFTER, RETRY_AFTER)],
    })
}

/// 202 with the purge's place in the log in a fleet, where the other edges follow; 200 alone, where it holds already.
fn done(purged: &Purged) -> Stop {
    let status = if purged.id.is_some() {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    let body = json!({ "purged": true, "id": purged.id, "epoch": purged.epoch });
    Stop::Answer(Box::new(Reply {
        status,
        headers: vec![
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            ),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ],
        body: body.to_string().into(),
    }))
}
