//! Why a request that was taken up did not come to its end, as its connection knows it.

use super::{Wire, http2};
use crate::observe::Cut;
use http::{Method, StatusCode, header};
use pingora::{Error, ErrorSource, protocols::http::ServerSession, proxy::Session};

/// The cause; none: as far as is known it came to its end. What the system had taken counts as sent.
pub fn cut_of(session: &mut Session, wire: Option<&Wire>, error: Option<&Error>) -> Option<Cut> {
    if let ServerSession::H2(stream) = &mut *session.downstream_session {
        return http2::cut_of_stream(stream, error);
    }
    let wire = wire?;
    let is_lost = error.is_some_and(|error| error.esource() == &ErrorSource::Downstream);
    let is_gone = is_lost || (wire.is_gone() && is_short(session));
    wire.cut().or(is_gone.then_some(Cut::ClientGone))
}

/// Whether less was sent than the response's head announced.
fn is_short(session: &Session) -> bool {
    let Some(head) = session.response_written() else {
        return true;
    };
    let has_body = session.req_header().method != Method::HEAD
        && !matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    let announced = head
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    has_body && announced.is_some_and(|length| session.body_bytes_sent() < length)
}
