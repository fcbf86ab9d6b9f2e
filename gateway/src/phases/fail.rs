//! Which fault a Pingora error is.

use crate::{context::Context, errors::Fault};
use pingora::{Error, ErrorSource, ErrorType};

/// The fault; none: the client is gone, and nothing can be said to it.
pub fn fault(error: &Error, ctx: &Context) -> Option<Fault> {
    if let Some(fault) = ctx.answer.fault {
        return Some(fault);
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
