//! Trailers: fields after the last chunk. They are checked like fields of a head, and go no further.

use crate::{Limits, Violation, chunk::Sender, octets};

/// Longer than any name that is forbidden.
const NAME_BYTES_KEPT: usize = 32;

/// Fields that frame, route, authenticate or control a message: no trailer may be one (RFC 9110 §6.5.1).
const FORBIDDEN: [&[u8]; 24] = [
    b"authorization",
    b"cache-control",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"keep-alive",
    b"max-forwards",
    b"pragma",
    b"proxy-authorization",
    b"proxy-connection",
    b"range",
    b"set-cookie",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"x-forwarded-for",
    b"x-request-id",
];

/// Looks at the trailers of one body, octet by octet.
#[derive(Debug, Clone)]
pub struct Trailers {
    sender: Sender,
    state: State,
    fields: usize,
    bytes: usize,
    name: [u8; NAME_BYTES_KEPT],
    name_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    Name,
    NameBlank,
    Value,
    ValueEnd,
    End,
}

/// Where the trailers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Inside a field.
    Inside,
    /// The CR of the empty line that ends the message.
    LastCr,
    /// Its LF.
    LastLf,
}

impl Trailers {
    /// Before the first.
    pub fn new(sender: Sender) -> Self {
        Self {
            sender,
            state: State::LineStart,
            fields: 0,
            bytes: 0,
            name: [0; NAME_BYTES_KEPT],
            name_bytes: 0,
        }
    }

    /// Takes one octet.
    pub fn take(&mut self, octet: u8, limits: &Limits) -> Result<Place, Violation> {
        self.bytes += 1;
        if self.bytes > limits.trailer_bytes {
            return Err(Violation::LongTrailers);
        }
        self.state = match (self.state, octet) {
            (State::LineStart, b'\r') => {
                self.state = State::End;
                return Ok(Place::LastCr);
            }
            (State::LineStart, b'\n') => return Err(Violation::BareLf),
            (State::LineStart, b' ' | b'\t') if self.fields == 0 => {
                return Err(Violation::LeadingWhitespace);
            }
            (State::LineStart, b' ' | b'\t') => return Err(Violation::FoldedLine),
            (State::LineStart, b':') => return Err(Violation::EmptyName),
            (State::LineStart | State::Name, octet) if octets::is_token_octet(octet) => {
                if self.state == State::LineStart {
                    self.begin_field(limits)?;
                }
                self.keep(octet);
                State::Name
            }
            (State::Name, b':') if self.is_forbidden() => return Err(Violation::ForbiddenTrailer),
            (State::Name, b':') => State::Value,
            (State::Name | State::NameBlank, b' ' | b'\t') => State::NameBlank,
            (State::NameBlank, b':') => return Err(Violation::SpaceBeforeColon),
            (State::NameBlank, _) => return Err(Violation::SpaceInName),
            (State::Name, b'\r' | b'\n') => return Err(Violation::NoColon),
            (State::LineStart | State::Name, octet) if octets::is_control(octet) => {
                return Err(Violation::ControlInName);
            }
            (State::LineStart | State::Name, _) => return Err(Violation::BadName),
            (State::Value, b'\r') => State::ValueEnd,
            (State::Value, b'\n') => return Err(Violation::BareLf),
            (State::Value, octet) if octets::is_value_octet(octet) => State::Value,
            (State::Value, _) => return Err(Violation::ControlInValue),
            (State::ValueEnd, b'\n') => State::LineStart,
            (State::End, b'\n') => return Ok(Place::LastLf),
            (State::ValueEnd | State::End, _) => return Err(Violation::BareCr),
        };
        Ok(Place::Inside)
    }

    fn begin_field(&mut self, limits: &Limits) -> Result<(), Violation> {
        self.fields += 1;
        self.name_bytes = 0;
        if self.fields > limits.trailer_fields {
            return Err(Violation::ManyTrailers);
        }
        Ok(())
    }

    fn keep(&mut self, octet: u8) {
        if let Some(place) = self.name.get_mut(self.name_bytes) {
            *place = octet.to_ascii_lowercase();
        }
        self.name_bytes += 1;
    }

    fn is_forbidden(&self) -> bool {
        let name = self.name.get(..self.name_bytes);
        self.sender == Sender::Client && name.is_some_and(|name| FORBIDDEN.contains(&name))
    }
}
