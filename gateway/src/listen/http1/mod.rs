//! HTTP/1 connections: the loop over their requests.
//!
//! What a client sends is read here first (`arrival`), by the strict machine of `latencify-framing`, and nothing of a head
//! reaches Pingora before all of it is valid. For the time of a request the connection is lent to Pingora as a
//! [`Guarded`] stream, which gives out the request's body and nothing behind it; then it comes back here, whatever
//! became of the request. So the wait between requests holds no session and no buffer, the next head is always looked at
//! here, and every connection is closed here, in a way that does not cost the client its answer (`close`).

mod answered;
mod arrival;
mod close;
pub(super) mod date;
mod guarded;
mod held;
mod line;
mod passed;
mod refusal;
mod rewrite;
mod wire;

use super::{gate::Gate, untaken};
use crate::{
    drain::Drain,
    errors::Fault,
    hot::head::{Caller, Own},
    observe::Ended,
};
use answered::Outcome;
use arrival::Arrival;
use bytes::BytesMut;
use close::Close;
use guarded::Guarded;
use latencify_conf::policy::EdgeLimits;
use latencify_framing::{Head, Violation};
use line::Line;
use pingora::{
    apps::HttpServerApp,
    protocols::{Stream, http::ServerSession},
};
use refusal::Refusal;
use std::sync::Arc;

pub use answered::cut_by;
pub use wire::{Lent, Wire};

/// What all requests of a connection share.
struct Serving<'a, A> {
    app: &'a Arc<A>,
    drain: &'a Drain,
    gate: &'a Gate,
    wire: Wire,
    caller: Caller,
    /// Requests so far.
    served: u32,
}

/// Serves one connection to its end.
pub(super) async fn serve<A>(stream: Stream, app: &Arc<A>, drain: &Drain, gate: &Gate)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let mut line = Line::new(stream);
    let mut serving = Serving {
        app,
        drain,
        gate,
        wire: Wire::default(),
        caller: Caller {
            peer: untaken::peer_address(&*line.stream),
            https: line.is_secure(),
        },
        served: 0,
    };
    loop {
        let limits = gate.limits.now();
        let arrival = line.next_head(serving.served == 0, &limits, drain).await;
        // In a box of its own: what waits for a head shall be small.
        match Box::pin(serving.arrived(line, arrival)).await {
            Some(back) => line = back,
            None => return,
        }
    }
}

impl<A> Serving<'_, A>
where
    A: HttpServerApp + Send + Sync + 'static,
{
    /// Does what is to be done about what came. Returns the connection, unless it has ended.
    async fn arrived(&mut self, line: Line, arrival: Arrival) -> Option<Line> {
        let gate = self.gate;
        match arrival {
            Arrival::Head(head, octets) => {
                match rewrite::to_origin_form(&head, octets, line.is_secure()) {
                    Ok(octets) => self.request(line, head, octets).await,
                    Err((violation, octets)) => {
                        let refusal = Refusal::of_head(violation, &head, &octets, &line);
                        refuse(line, refusal, gate).await
                    }
                }
            }
            Arrival::Refused(violation, reader) => {
                let refusal = Refusal::of(violation, &reader, &line);
                refuse(line, refusal, gate).await
            }
            Arrival::Late(reader) => {
                gate.metrics.ended(Ended::HeaderTime);
                let refusal = Refusal::late(&reader, &line);
                refuse(line, refusal, gate).await
            }
            Arrival::Nothing(ended) => {
                if let Some(ended) = ended {
                    gate.metrics.ended(ended);
                }
                line.close(Close::Quietly).await;
                None
            }
        }
    }

    async fn request(&mut self, mut line: Line, head: Head, came: BytesMut) -> Option<Line> {
        let (gate, wire) = (self.gate, &self.wire);
        let limits = gate.limits.now();
        self.served = self.served.saturating_add(1);
        line.expect_body(&head, &limits);

        let own = match gate.edge.get() {
            Some(edge) => Own::read(&head, came, self.caller).map(|own| (edge, own)),
            None => Err(came),
        };
        let (decided, octets) = match own {
            Err(octets) => (None, octets),
            Ok((edge, own)) => {
                let keeps = self.served < limits.requests && !self.drain.is_begun();
                match answered::answer(edge, own, &mut line, keeps).await {
                    Outcome::Passes(ctx, octets) => (Some(ctx), octets),
                    Outcome::Answered { goes_on } => {
                        if self.served >= limits.requests {
                            gate.metrics.ended(Ended::Requests);
                        }
                        if goes_on {
                            return Some(line);
                        }
                        line.close(Close::AfterAnswer).await;
                        return None;
                    }
                }
            }
        };

        wire.begins();
        let lent = Guarded::lend(line, wire);
        let mut session = ServerSession::new_http1(Box::new(lent));
        session.set_pipelined_prefix(octets);
        session.set_keepalive_reuses_remaining(Some(u32::from(self.served < limits.requests)));
        session.set_connection_user_context(Some(Box::new(Lent {
            wire: wire.clone(),
            decided,
        })));
        let shutdown = self.drain.watch();
        let goes_on = self
            .app
            .process_new_http(session, &shutdown)
            .await
            .is_some();

        // Lost only if somebody kept the stream beyond its request; then it is theirs to close.
        let line = wire.take_back()?;
        if wire.was_too_slow() {
            gate.metrics.ended(Ended::BodyRate);
        }
        if self.served >= limits.requests {
            gate.metrics.ended(Ended::Requests);
        }
        if goes_on && !wire.is_tunnel() && wire.cut().is_none() && line.is_between_requests() {
            return Some(line);
        }
        line.close(Close::AfterAnswer).await;
        None
    }
}

/// Answers, tells, and closes.
async fn refuse(mut line: Line, refusal: Refusal, gate: &Gate) -> Option<Line> {
    refusal.answer(&mut line, gate.edge.get()).await;
    line.close(Close::AfterAnswer).await;
    None
}

/// The limits of the machine, by what the policy allows.
fn framing_limits(limits: &EdgeLimits) -> latencify_framing::Limits {
    /// Pingora's own bound on fields; beyond it, it would refuse a head by itself.
    const FIELDS_MAX: usize = 256;
    /// And on the octets of a head.
    const HEAD_BYTES_MAX: usize = (1 << 20) - 1;
    /// The longest target that the `http` crate holds.
    const TARGET_BYTES_MAX: usize = 65_534;
    latencify_framing::Limits {
        fields: limits.headers.min(FIELDS_MAX),
        head_bytes: limits.header_bytes.min(HEAD_BYTES_MAX),
        // Half of a head leaves room for the other fields.
        field_bytes: limits.header_bytes / 2,
        target_bytes: limits.uri_bytes.min(TARGET_BYTES_MAX),
        ..latencify_framing::Limits::default()
    }
}

/// The fault that a violation is.
pub fn fault_of(violation: Violation) -> Fault {
    match violation.status() {
        405 => Fault::MethodNotAllowed,
        414 => Fault::TargetTooLong,
        417 => Fault::ExpectationFailed,
        421 => Fault::Misdirected,
        431 => Fault::FieldsTooLarge,
        501 => Fault::NotImplemented,
        505 => Fault::VersionNotSupported,
        _ => Fault::BadRequest,
    }
}
