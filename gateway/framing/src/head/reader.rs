//! The machine that reads a head.
//!
//! One pass over the octets: each state takes a run of the octets that it may take, then one that decides what comes
//! next. Bounds are looked at after each run, before the octet behind it, so that the verdict is the same however the
//! head was cut. A field that has come whole is taken at once, by the same classes and under the same bounds.

use super::{Head, Version, fields::Fields};
use crate::{
    Limits, Violation,
    authority::Authority,
    octets,
    target::{self, Target},
};

/// Longer than any registered method (RFC 9110 §16.1).
const METHOD_BYTES_MAX: usize = 32;
/// Longer than any name of a field; what holds names behind this has bounds of its own.
const NAME_BYTES_MAX: usize = 4 << 10;
const VERSION: &[u8; 8] = b"HTTP/1.1";

/// Looks at the head of one request as it comes.
#[derive(Debug, Clone)]
pub struct HeadReader {
    limits: Limits,
    state: State,
    /// All before it has been looked at.
    at: usize,
    /// The first octet of what is being read: a token, a line.
    from: usize,
    skip: usize,
    method: (usize, usize),
    target: (usize, usize),
    form: Target,
    version: Version,
    line: usize,
    name: (usize, usize),
    fields: Fields,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    EmptyLine,
    Method,
    Target,
    Version,
    LineFeed,
    FieldStart,
    Name,
    NameBlank,
    ValueStart,
    Value,
    ValueEnd,
    HeadEnd,
    Done,
}

impl HeadReader {
    /// For the next head of a connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Start,
            at: 0,
            from: 0,
            skip: 0,
            method: (0, 0),
            target: (0, 0),
            form: Target::Origin,
            version: Version::Http11,
            line: 0,
            name: (0, 0),
            fields: Fields::default(),
        }
    }

    /// Looks at what has come: `input` is everything since the head's first octet, and each call's begins with the one
    /// before's. None: it goes on. After a [`Head`] or a [`Violation`] the reader is spent.
    pub fn read(&mut self, input: &[u8]) -> Result<Option<Head>, Violation> {
        while self.state != State::Done {
            if self.state == State::FieldStart && self.take_field(input)? {
                continue;
            }
            if !self.step(input)? {
                return Ok(None);
            }
        }
        self.head(input).map(Some)
    }

    /// Method and target, as far as they have been read: for the record of a request that was refused.
    pub fn request_line<'a>(&self, input: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        (part(input, self.method), part(input, self.target))
    }

    /// The value of `Host`, if it has been read and is sound.
    pub fn host<'a>(&self, input: &'a [u8]) -> Option<&'a [u8]> {
        self.fields.host.map(|host| part(input, host))
    }

    /// Octets of the head that have been looked at.
    pub fn looked_at(&self) -> usize {
        self.at
    }

    /// Takes a whole field at once, if all of it has come, every octet may stand where it does, and no bound is near. False:
    /// nothing was taken, and the steps find what it is.
    fn take_field(&mut self, input: &[u8]) -> Result<bool, Violation> {
        let rest = input.get(self.at..).unwrap_or_default();
        let name = octets::token_run(rest);
        let from = name + 1;
        let Some((b':', value)) = rest.get(name..).and_then(<[u8]>::split_first) else {
            return Ok(false);
        };
        let from = from + octets::run(value, octets::is_blank);
        let end = from + octets::value_run(rest.get(from..).unwrap_or_default());
        let is_ended = rest.get(end..).is_some_and(|end| end.starts_with(b"\r\n"));
        let next = self.at + end + 2;
        if name == 0
            || !is_ended
            || name > NAME_BYTES_MAX
            || next > self.line + self.limits.field_bytes
            || next > self.skip + self.limits.head_bytes
        {
            return Ok(false);
        }
        self.name = (self.at, self.at + name);
        let value = (self.at + from, self.at + end);
        // Whoever refuses it has looked as far as its end.
        self.at += end;
        self.field(input, value)?;
        (self.at, self.line) = (next, next);
        Ok(true)
    }

    /// Takes a run and the octet after it; false: that has not come yet.
    fn step(&mut self, input: &[u8]) -> Result<bool, Violation> {
        let rest = input.get(self.at..).unwrap_or_default();
        let run = match self.state {
            State::Method | State::Name => octets::token_run(rest),
            State::Target => octets::run(rest, target::is_target_octet),
            State::ValueStart | State::NameBlank => octets::run(rest, octets::is_blank),
            State::Value => octets::value_run(rest),
            State::Version => self.version_run(rest),
            _ => 0,
        };
        self.at += run;
        self.check_bounds()?;
        let Some(octet) = rest.get(run).copied() else {
            return Ok(false);
        };
        self.state = self.take(octet, input)?;
        self.at += 1;
        self.check_bounds()?;
        Ok(true)
    }

    /// Decides by the octet at `at`, which no run took.
    fn take(&mut self, octet: u8, input: &[u8]) -> Result<State, Violation> {
        let at = self.at;
        let run = part(input, (self.from, at));
        match (self.state, octet) {
            (State::Start, b'\r') if self.skip == 0 => Ok(State::EmptyLine),
            (State::Start, b'\r') => Err(Violation::EmptyLines),
            (State::Start, b'\n') => Err(Violation::BareLf),
            (State::Start, octet) if octets::is_token_octet(octet) => {
                self.from = at;
                Ok(State::Method)
            }
            (State::Start, b' ') => Err(Violation::BadRequestLine),
            (State::Start, _) => Err(Violation::BadMethod),
            (State::EmptyLine, b'\n') => {
                self.skip = at + 1;
                Ok(State::Start)
            }

            (State::Method, b' ') => {
                self.method = (self.from, at);
                self.from = at + 1;
                Ok(State::Target)
            }
            (State::Method, b'\r' | b'\n') => Err(Violation::BadRequestLine),
            (State::Method, _) => Err(Violation::BadMethod),

            (State::Target, b' ') if run.is_empty() => Err(Violation::BadRequestLine),
            (State::Target, b' ') => {
                self.target = (self.from, at);
                self.form = target::read(part(input, self.method), run)?;
                self.from = at + 1;
                Ok(State::Version)
            }
            (State::Target, b'\r' | b'\n') if run.is_empty() => Err(Violation::BadRequestLine),
            (State::Target, b'\r' | b'\n') => Err(Violation::HttpZeroNine),
            (State::Target, octet) => Err(target::flaw(octet)),

            // The run took what is written as a version; what follows stands one octet further than it may.
            (State::Version, octet) => self.version_octet(run, octet),

            (State::LineFeed | State::ValueEnd, b'\n') => {
                self.line = at + 1;
                Ok(State::FieldStart)
            }

            (State::FieldStart, b'\r') => Ok(State::HeadEnd),
            (State::FieldStart, octet) => {
                self.from = at;
                self.field_start(octet)
            }
            (State::Name, b':') => {
                self.name = (self.from, at);
                Ok(State::ValueStart)
            }
            (State::Name, b' ' | b'\t') => Ok(State::NameBlank),
            (State::Name, b'\r' | b'\n') => Err(Violation::NoColon),
            (State::Name, octet) if octets::is_control(octet) => Err(Violation::ControlInName),
            (State::Name, _) => Err(Violation::BadName),
            (State::NameBlank, b':') => Err(Violation::SpaceBeforeColon),
            (State::NameBlank, _) => Err(Violation::SpaceInName),

            (State::ValueStart | State::Value, b'\r') => {
                let from = if self.state == State::Value {
                    self.from
                } else {
                    at
                };
                self.field(input, (from, at))?;
                Ok(State::ValueEnd)
            }
            (State::ValueStart | State::Value, b'\n') => Err(Violation::BareLf),
            (State::ValueStart, octet) if octets::is_value_octet(octet) => {
                self.from = at;
                Ok(State::Value)
            }
            (State::ValueStart | State::Value, _) => Err(Violation::ControlInValue),

            (State::HeadEnd, b'\n') => Ok(State::Done),
            (State::EmptyLine | State::LineFeed | State::ValueEnd | State::HeadEnd, _) => {
                Err(Violation::BareCr)
            }
            (State::Done, _) => Ok(State::Done),
        }
    }

    fn field_start(&self, octet: u8) -> Result<State, Violation> {
        match octet {
            b'\n' => Err(Violation::BareLf),
            b' ' | b'\t' if self.fields.count == 0 => Err(Violation::LeadingWhitespace),
            b' ' | b'\t' => Err(Violation::FoldedLine),
            b':' => Err(Violation::EmptyName),
            octet if octets::is_token_octet(octet) => Ok(State::Name),
            octet if octets::is_control(octet) => Err(Violation::ControlInName),
            _ => Err(Violation::BadName),
        }
    }

    fn field(&mut self, input: &[u8], value: (usize, usize)) -> Result<(), Violation> {
        let value = (
            value.0,
            value.0 + octets::trim_end(part(input, value)).len(),
        );
        let (name, text) = (part(input, self.name), part(input, value));
        self.fields.add(name, text, value, self.version)?;
        if self.fields.count > self.limits.fields {
            return Err(Violation::ManyFields);
        }
        Ok(())
    }

    /// How much of a version `rest` goes on with: `HTTP/1.1`, where digits may be others.
    fn version_run(&self, rest: &[u8]) -> usize {
        let begun = self.at - self.from;
        let wanted = VERSION.get(begun..).unwrap_or_default();
        let fits = |(octet, wanted): &(&u8, &u8)| {
            octet == wanted || (wanted.is_ascii_digit() && octet.is_ascii_digit())
        };
        rest.iter().zip(wanted).take_while(fits).count()
    }

    fn version_octet(&mut self, written: &[u8], octet: u8) -> Result<State, Violation> {
        if written.len() < VERSION.len() {
            return Err(match octet {
                // The target had a space.
                _ if written.is_empty() && octet != b'h' => Violation::BadRequestLine,
                b'\n' if written.is_empty() => Violation::BadRequestLine,
                _ => Violation::BadVersion,
            });
        }
        self.version = match written {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            _ if matches!(octet, b'\r' | b'\n') => return Err(Violation::UnsupportedVersion),
            _ => return Err(Violation::BadVersion),
        };
        match octet {
            b'\r' => Ok(State::LineFeed),
            b'\n' => Err(Violation::BareLf),
            b' ' | b'\t' => Err(Violation::BadRequestLine),
            _ => Err(Violation::BadVersion),
        }
    }

    /// The bound that lies nearest decides when more than one is passed.
    fn check_bounds(&self) -> Result<(), Violation> {
        let head = (self.skip + self.limits.head_bytes, Violation::LongHead);
        let own = match self.state {
            State::Method => (self.from + METHOD_BYTES_MAX, Violation::LongMethod),
            State::Target => (self.from + self.limits.target_bytes, Violation::LongTarget),
            State::Name if NAME_BYTES_MAX < self.limits.field_bytes => {
                (self.line + NAME_BYTES_MAX, Violation::LongField)
            }
            State::Name | State::NameBlank | State::ValueStart | State::Value => {
                (self.line + self.limits.field_bytes, Violation::LongField)
            }
            _ => head,
        };
        let (bound, violation) = if own.0 < head.0 { own } else { head };
        if self.at > bound {
            Err(violation)
        } else {
            Ok(())
        }
    }

    fn head(&self, input: &[u8]) -> Result<Head, Violation> {
        let host = self.fields.host;
        match (self.form, host) {
            (
                Target::Absolute {
                    https,
                    authority,
                    rest,
                },
                Some(host),
            ) => {
                let start = self.target.0;
                let named = Authority::read(part(input, (start + authority, start + rest)))?;
                let port = if https { 443 } else { 80 };
                if !named.is_same(Authority::read(part(input, host))?, Some(port)) {
                    return Err(Violation::HostMismatch);
                }
            }
            (_, None) if self.version == Version::Http11 => return Err(Violation::MissingHost),
            _ => {}
        }
        Ok(Head {
            skip: self.skip,
            end: self.at,
            method: self.method,
            target: self.target,
            form: self.form,
            version: self.version,
            host,
            framing: self.fields.framing(),
            upgrade: self.fields.upgrade && self.fields.connection_upgrade,
            expects_continue: self.fields.expects_continue && self.version == Version::Http11,
            fields: self.fields.count,
        })
    }
}

fn part(input: &[u8], (from, to): (usize, usize)) -> &[u8] {
    input.get(from..to).unwrap_or_default()
}
