//! The fields that say whom a request is for and how long it is. All others pass unread.

use super::{Framing, Version};
use crate::{Violation, authority::Authority, octets};

/// What the fields have said so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fields {
    /// How many there were.
    pub count: usize,
    /// Where the value of `Host` stands.
    pub host: Option<(usize, usize)>,
    /// Whether there was an `Upgrade`.
    pub upgrade: bool,
    /// Whether `Connection` named it.
    pub connection_upgrade: bool,
    /// Whether the body waits for `100 Continue`.
    pub expects_continue: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Fields {
    /// One more field; `place` is where its value stands.
    pub fn add(
        &mut self,
        name: &[u8],
        value: &[u8],
        place: (usize, usize),
        version: Version,
    ) -> Result<(), Violation> {
        self.count += 1;
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        // Lengths first: hardly any other field is as long as one of these.
        match name.len() {
            4 if is("host") => self.host(value, place),
            6 if is("expect") => self.expect(value),
            7 if is("upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            10 if is("connection") => {
                self.connection_upgrade |=
                    members(value).any(|member| member.eq_ignore_ascii_case(b"upgrade"));
                Ok(())
            }
            14 if is("content-length") => self.length(value),
            17 if is("transfer-encoding") => self.coding(value, version),
            _ => Ok(()),
        }
    }

    /// How the body is framed.
    pub fn framing(&self) -> Framing {
        match (self.chunked, self.length) {
            (true, _) => Framing::Chunked,
            (false, None | Some(0)) => Framing::Empty,
            (false, Some(length)) => Framing::Length(length),
        }
    }

    fn host(&mut self, value: &[u8], place: (usize, usize)) -> Result<(), Violation> {
        if self.host.is_some() {
            return Err(Violation::DuplicateHost);
        }
        Authority::read(value)?;
        self.host = Some(place);
        Ok(())
    }

    fn expect(&mut self, value: &[u8]) -> Result<(), Violation> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Violation::UnknownExpectation);
        }
        self.expects_continue = true;
        Ok(())
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Violation> {
        if self.length.is_some() {
            return Err(Violation::DuplicateLength);
        }
        if self.chunked {
            return Err(Violation::BothLengths);
        }
        self.length = Some(read_length(value)?);
        Ok(())
    }

    fn coding(&mut self, value: &[u8], version: Version) -> Result<(), Violation> {
        if version == Version::Http10 {
            return Err(Violation::CodingInOldVersion);
        }
        if self.chunked {
            return Err(Violation::DuplicateCoding);
        }
        if self.length.is_some() {
            return Err(Violation::BothLengths);
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(coding_flaw(value));
        }
        self.chunked = true;
        Ok(())
    }
}

/// `1*DIGIT` (RFC 9110 §8.6) of at most 63 bits.
fn read_length(value: &[u8]) -> Result<u64, Violation> {
    const LENGTH_MAX: u64 = i64::MAX as u64;
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(if is_list_of_numbers(value) {
            Violation::DuplicateLength
        } else {
            Violation::BadLength
        });
    }
    value
        .iter()
        .try_fold(0u64, |length, digit| {
            length.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
        .filter(|length| *length <= LENGTH_MAX)
        .ok_or(Violation::LargeLength)
}

fn is_list_of_numbers(value: &[u8]) -> bool {
    value.contains(&b',')
        && members(value).all(|member| !member.is_empty() && member.iter().all(u8::is_ascii_digit))
}

/// Other codings before one final `chunked` are well-formed, and nobody here knows them (RFC 9112 §6.1: 501).
fn coding_flaw(value: &[u8]) -> Violation {
    let is_chunked = |member: &[u8]| member.eq_ignore_ascii_case(b"chunked");
    let tokens = members(value)
        .all(|member| !member.is_empty() && octets::token_run(member) == member.len());
    let last = members(value).last().is_some_and(is_chunked);
    let once = members(value).filter(|member| is_chunked(member)).count() == 1;
    if tokens && last && once {
        Violation::UnknownCoding
    } else {
        Violation::BadCoding
    }
}

fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|octet| *octet == b',').map(|member| {
        let blanks = octets::run(member, octets::is_blank);
        octets::trim_end(member.get(blanks..).unwrap_or_default())
    })
}
