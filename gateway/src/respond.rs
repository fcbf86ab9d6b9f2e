//! Answering without an origin: faults, redirects, purges.

use crate::{
    cache_told::{self, CACHE_STATUS},
    context::Context,
    errors::{self, Fault},
    listen::fault_of,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use latencify_framing::Violation;
use pingora::{Result, http::ResponseHeader, proxy::Session};

/// The id of a request, as the response carries it.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Why the phases end here.
pub enum Stop {
    /// Something is wrong.
    Fault(Refusal),
    /// The answer is known.
    Answer(Box<Reply>),
}

/// A fault and how it is told.
pub struct Refusal {
    /// Which.
    pub fault: Fault,
    /// More exactly than the fault's name, which it has otherwise.
    pub kind: Option<&'static str>,
    /// For the client; nothing of what is behind the edge.
    pub detail: Option<String>,
    /// Further fields of the response.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// A whole response.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// Its fields, without those that frame the body.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        let seconds = fault.retry_after().map(HeaderValue::from);
        Self::Fault(Refusal {
            fault,
            kind: None,
            detail: None,
            headers: (seconds.map(|seconds| (header::RETRY_AFTER, seconds)))
                .into_iter()
                .collect(),
        })
    }
}

impl Stop {
    /// What could be read in two ways.
    pub fn violation(violation: Violation) -> Self {
        Self::Fault(Refusal {
            fault: fault_of(violation),
            kind: Some(violation.name()),
            detail: Some(violation.advice()),
            headers: Vec::new(),
        })
    }

    /// A fault with words for the client.
    pub fn because(fault: Fault, detail: impl Into<String>) -> Self {
        Self::Fault(Refusal {
            fault,
            kind: None,
            detail: Some(detail.into()),
            headers: Vec::new(),
        })
    }
}

/// Whether a final response can still be sent: none has been begun.
pub fn may_write(session: &Session) -> bool {
    session
        .response_written()
        .is_none_or(|head| head.status.is_informational() && head.status.as_u16() != 101)
}

/// Writes the answer.
pub async fn write(session: &mut Session, ctx: &mut Context, stop: Stop) -> Result<()> {
    let reply = match stop {
        Stop::Answer(reply) => *reply,
        Stop::Fault(refusal) => {
            ctx.answer.fault = Some(refusal.fault);
            ctx.answer.kind = refusal.kind;
            if ctx.answer.detail.is_none() {
                ctx.answer.detail.clone_from(&refusal.detail);
            }
            let id = ctx.asked.as_ref().map_or("", |asked| asked.id.as_str());
            let accept = session
                .req_header()
                .headers
                .get(header::ACCEPT)
                .and_then(|accept| accept.to_str().ok());
            let body = errors::body(
                refusal.fault,
                refusal.kind,
                refusal.detail.as_deref(),
                id,
                accept,
            );
            let mut headers = refusal.headers;
            headers.push((
                header::CONTENT_TYPE,
                HeaderValue::from_static(body.content_type),
            ));
            headers.push((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
            let is_told = headers.iter().any(|(name, _)| *name == CACHE_STATUS);
            let what = refusal.kind.unwrap_or(refusal.fault.name());
            if let Some(status) = cache_told::of_fault(ctx, what).filter(|_| !is_told) {
                headers.push((CACHE_STATUS, status));
            }
            Reply {
                status: refusal.fault.status(),
                headers,
                body: body.bytes,
            }
        }
    };
    send(session, ctx, reply).await
}

async fn send(session: &mut Session, ctx: &mut Context, reply: Reply) -> Result<()> {
    let mut head = ResponseHeader::build(reply.status, Some(reply.headers.len() + 4))?;
    for (name, value) in reply.headers {
        head.append_header(name, value)?;
    }
    if reply.status != StatusCode::NO_CONTENT {
        head.insert_header(header::CONTENT_LENGTH, reply.body.len())?;
    }
    if let Some(id) = ctx
        .asked
        .as_ref()
        .and_then(|asked| HeaderValue::from_str(&asked.id).ok())
    {
        head.insert_header(REQUEST_ID, id)?;
    }
    ctx.answer.status = Some(reply.status);
    ctx.clock.first_byte = Some(ctx.clock.began.elapsed());
    let head_only = session.req_header().method == Method::HEAD || reply.body.is_empty();
    session
        .write_response_header(Box::new(head), head_only)
        .await?;
    if !head_only {
        session.write_response_body(Some(reply.body), true).await?;
    }
    Ok(())
}
