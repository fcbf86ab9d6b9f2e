//! Chunks: `size [extensions] CRLF data CRLF`, ended by one of size 0 (RFC 9112 §7.1).
//!
//! Extensions that are well-formed and short are dropped on the way, as a recipient must ignore those that it does not
//! know (RFC 9112 §7.1.1); white space around them, which the grammar has for old senders only, is refused of clients:
//! parsers disagree about it.

use crate::{
    Limits, Violation, octets,
    trailer::{Place, Trailers},
};

/// 60 bits: what common parsers take, and more than any chunk has.
const SIZE_DIGITS_MAX: u8 = 15;

/// Who sends a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Who may want it to be read in two ways.
    Client,
    /// Who is trusted to mean one thing, in whichever way the grammar has it.
    Origin,
}

/// Looks at a chunked body.
#[derive(Debug, Clone)]
pub struct Chunks {
    sender: Sender,
    state: State,
    /// Octets of the chunk's data that have not come yet.
    left: u64,
    digits: u8,
    extension_bytes: usize,
    extension_bytes_all: usize,
}

#[derive(Debug, Clone)]
enum State {
    Size,
    Extension(Extension),
    SizeEnd,
    Data,
    DataEnd,
    DataEndLf,
    Trailers(Box<Trailers>),
    Done,
}

/// Where in `;name=value` an extension is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extension {
    NameStart,
    Name,
    NameEnd,
    ValueStart,
    Value,
    Quoted,
    Escaped,
    QuoteEnd,
}

impl Chunks {
    /// Before the first chunk.
    pub fn new(sender: Sender) -> Self {
        Self {
            sender,
            state: State::Size,
            left: 0,
            digits: 0,
            extension_bytes: 0,
            extension_bytes_all: 0,
        }
    }

    /// Whether the body has ended.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether data comes next.
    pub fn is_in_data(&self) -> bool {
        matches!(self.state, State::Data)
    }

    /// Takes octets that share a fate from the start of `input`; says how many, and whether they go on.
    pub fn take(&mut self, input: &[u8], limits: &Limits) -> Result<(usize, bool), Violation> {
        if let State::Data = self.state {
            let taken = input
                .len()
                .min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= taken as u64;
            if self.left == 0 {
                self.state = State::DataEnd;
            }
            return Ok((taken, true));
        }
        match input.first() {
            Some(octet) => Ok((1, self.octet(*octet, limits)?)),
            None => Ok((0, true)),
        }
    }

    /// Takes one octet that is not data; says whether it goes on.
    fn octet(&mut self, octet: u8, limits: &Limits) -> Result<bool, Violation> {
        match &mut self.state {
            State::Size => self.size(octet, limits),
            State::Extension(place) => {
                let place = *place;
                self.extension(place, octet, limits)
            }
            State::SizeEnd => {
                if octet != b'\n' {
                    return Err(Violation::BareCr);
                }
                self.state = if self.left == 0 {
                    State::Trailers(Box::new(Trailers::new(self.sender)))
                } else {
                    State::Data
                };
                Ok(true)
            }
            State::DataEnd if octet == b'\r' => {
                self.state = State::DataEndLf;
                Ok(true)
            }
            State::DataEndLf if octet == b'\n' => {
                (self.state, self.digits, self.extension_bytes) = (State::Size, 0, 0);
                Ok(true)
            }
            State::DataEnd | State::DataEndLf => Err(Violation::BadChunkEnd),
            State::Trailers(trailers) => {
                let place = trailers.take(octet, limits)?;
                if place == Place::LastLf {
                    self.state = State::Done;
                }
                Ok(place != Place::Inside)
            }
            State::Data | State::Done => Ok(true),
        }
    }

    fn size(&mut self, octet: u8, limits: &Limits) -> Result<bool, Violation> {
        match (octet, char::from(octet).to_digit(16)) {
            (_, Some(digit)) if self.digits < SIZE_DIGITS_MAX => {
                self.digits += 1;
                self.left = (self.left << 4) | u64::from(digit);
                Ok(true)
            }
            (_, Some(_)) => Err(Violation::LargeChunkSize),
            _ if self.digits == 0 => Err(Violation::BadChunkSize),
            (b'\r', _) => {
                self.state = State::SizeEnd;
                Ok(true)
            }
            (b'\n', _) => Err(Violation::BareLf),
            (b';', _) => self.extension(Extension::QuoteEnd, octet, limits),
            (b' ' | b'\t', _) if self.sender == Sender::Origin => {
                self.extension(Extension::QuoteEnd, octet, limits)
            }
            _ => Err(Violation::BadChunkSize),
        }
    }

    fn extension(
        &mut self,
        place: Extension,
        octet: u8,
        limits: &Limits,
    ) -> Result<bool, Violation> {
        use Extension::{Escaped, Name, NameEnd, NameStart, QuoteEnd, Quoted, Value, ValueStart};
        let token = octets::is_token_octet(octet);
        let blank = self.sender == Sender::Origin && octets::is_blank(octet);
        let next = match (place, octet) {
            (Name | NameEnd | Value | QuoteEnd, b'\r') => {
                self.state = State::SizeEnd;
                return Ok(true);
            }
            (_, b'\n') => return Err(Violation::BareLf),
            (Name | NameEnd | Value | QuoteEnd, b';') => NameStart,
            (NameStart | ValueStart, _) if blank => place,
            (Name | NameEnd, _) if blank => NameEnd,
            (Value | QuoteEnd, _) if blank => QuoteEnd,
            (NameStart | Name, _) if token => Name,
            (Name | NameEnd, b'=') => ValueStart,
            (ValueStart | Value, _) if token => Value,
            (ValueStart, b'"') => Quoted,
            (Quoted, b'"') => QuoteEnd,
            (Quoted, b'\\') => Escaped,
            (Quoted | Escaped, octet) if octets::is_value_octet(octet) => Quoted,
            _ => return Err(Violation::BadChunkExtension),
        };
        self.extension_bytes += 1;
        self.extension_bytes_all += 1;
        if self.extension_bytes > limits.chunk_extension_bytes
            || self.extension_bytes_all > limits.body_extension_bytes
        {
            return Err(Violation::LongChunkExtension);
        }
        self.state = State::Extension(next);
        Ok(false)
    }
}
