//! Where the body of a response ends (RFC 9112 §6.3), and what of what came is it.

use crate::incoming::{Incoming as _, Plain};
use bytes::BytesMut;
use http::{StatusCode, header};
use latencify_framing::{BodyReader, Framing};
use pingora::{Error, ErrorType, Result};

/// The body of one response.
pub(super) enum Body {
    /// It ends where its head, or its chunks, say.
    Framed(BodyReader),
    /// It ends with the connection.
    Closing { has_ended: bool },
}

impl Body {
    /// What the head announces, read as `phases::hops` leaves it; `is_head`: it answers HEAD.
    pub(super) fn of(response: &Plain, is_head: bool) -> Result<Self> {
        let framed = |framing| Ok(Self::Framed(BodyReader::of_response(framing)));
        if is_head
            || matches!(
                response.status,
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            )
        {
            return framed(Framing::Empty);
        }
        if response.has(&header::TRANSFER_ENCODING) {
            return framed(Framing::Chunked);
        }
        let Some(length) = response.first(&header::CONTENT_LENGTH) else {
            return Ok(Self::Closing { has_ended: false });
        };
        let length = std::str::from_utf8(length)
            .ok()
            .and_then(|length| length.parse().ok());
        match length {
            Some(length) => framed(Framing::Length(length)),
            None => Err(bad("a Content-Length beyond all bounds")),
        }
    }

    /// Takes what is the body's off the front of what came, without what frames it.
    pub(super) fn take(&mut self, octets: &mut BytesMut) -> Result<BytesMut> {
        let Self::Framed(reader) = self else {
            return Ok(std::mem::take(octets));
        };
        let filtered = reader
            .decode(octets)
            .map_err(|violation| bad(violation.name()))?;
        let mut body = if filtered.taken == octets.len() {
            // The usual case: nothing is shared, so nothing is counted.
            std::mem::take(octets)
        } else {
            octets.split_to(filtered.taken)
        };
        body.truncate(filtered.kept);
        Ok(body)
    }

    /// The connection has ended: whether that ends the body, too.
    pub(super) fn end(&mut self) -> bool {
        if let Self::Closing { has_ended } = self {
            *has_ended = true;
        }
        self.is_done()
    }

    /// Whether the body has ended.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Framed(reader) => reader.is_done(),
            Self::Closing { has_ended } => *has_ended,
        }
    }

    /// Whether nothing but the end of the connection ends it.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self, Self::Closing { .. })
    }
}

fn bad(what: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, what).into_up()
}
