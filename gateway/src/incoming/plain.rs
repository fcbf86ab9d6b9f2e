//! A response as it came over the wire, with what has been changed of it: its lines stay where they are, and no map is made of
//! them.

use super::Incoming;
use crate::spelling::{bit, titled, write_line};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use latencify_decide::{edit::Fields, hops};
use memchr::memchr3;
use pingora::{Result, http::header_value_from_raw};
use std::{borrow::Cow, ops::Range};

/// Lines that are added on the way to the client, about.
const LINES_ADDED: usize = 12;

/// The head of a response. Lines of one field stand together, where the first of them stood.
#[derive(Debug)]
pub struct Plain {
    /// The status.
    pub status: StatusCode,
    /// The version.
    pub version: Version,
    /// As it came; the lines are parts of it.
    octets: Bytes,
    /// What stands behind the status; none: what is usual.
    reason: Option<Range<usize>>,
    lines: Vec<Line>,
    /// Which lengths names have or had, a bit for each: most names that are asked for are not there.
    lengths: u64,
}

#[derive(Debug)]
struct Line {
    name: Name,
    value: Value,
}

#[derive(Debug)]
enum Name {
    Came(Range<usize>),
    Made(HeaderName),
}

#[derive(Debug)]
enum Value {
    Came(Range<usize>),
    Made(HeaderValue),
}

impl Plain {
    /// Of a head that was parsed: where in its octets the reason stands, if it is not the usual one, and the name and the value
    /// of each line.
    pub fn new(
        (version, status): (Version, StatusCode),
        octets: Bytes,
        reason: Option<Range<usize>>,
        parsed: &[[Range<usize>; 2]],
    ) -> Self {
        let mut plain = Self {
            status,
            version,
            octets,
            reason,
            lines: Vec::with_capacity(parsed.len() + LINES_ADDED),
            lengths: 0,
        };
        for [name, value] in parsed {
            let octets = plain.octets.get(value.clone()).unwrap_or_default();
            let value = if memchr3(b'\r', b'\n', 0, octets).is_some() {
                // Folded, or worse: in the form that Pingora gives it.
                Value::Made(header_value_from_raw(plain.octets.slice(value.clone())))
            } else {
                Value::Came(value.clone())
            };
            let spelt = plain.octets.get(name.clone()).unwrap_or_default();
            let place = plain.places(spelt).map(|places| places.end);
            let name = Name::Came(name.clone());
            plain.put(place, Line { name, value });
        }
        plain
    }

    /// What goes behind the status: what came, or what is usual.
    pub fn reason(&self) -> &[u8] {
        match &self.reason {
            Some(reason) => self.octets.get(reason.clone()).unwrap_or_default(),
            None => self
                .status
                .canonical_reason()
                .unwrap_or_default()
                .as_bytes(),
        }
    }

    /// Writes the lines. What came keeps its spelling; what was made has the usual one.
    pub fn write(&self, out: &mut BytesMut) {
        for line in &self.lines {
            let name = match &line.name {
                Name::Made(name) => titled(name).unwrap_or(name.as_str().as_bytes()),
                Name::Came(_) => self.name(line),
            };
            write_line(name, self.value(line), out);
        }
    }

    fn name<'a>(&'a self, line: &'a Line) -> &'a [u8] {
        match &line.name {
            Name::Came(place) => self.octets.get(place.clone()).unwrap_or_default(),
            Name::Made(name) => name.as_str().as_bytes(),
        }
    }

    fn value<'a>(&'a self, line: &'a Line) -> &'a [u8] {
        match &line.value {
            Value::Came(place) => self.octets.get(place.clone()).unwrap_or_default(),
            Value::Made(value) => value.as_bytes(),
        }
    }

    #[inline]
    fn is(&self, line: &Line, name: &[u8]) -> bool {
        let length = match &line.name {
            Name::Came(place) => place.len(),
            Name::Made(name) => name.as_str().len(),
        };
        length == name.len() && self.name(line).eq_ignore_ascii_case(name)
    }

    #[inline]
    fn may_have(&self, name: &[u8]) -> bool {
        self.lengths & bit(name.len()) != 0
    }

    /// Where the lines of that name stand; none: there are none.
    fn places(&self, name: &[u8]) -> Option<Range<usize>> {
        if !self.may_have(name) {
            return None;
        }
        let first = self.lines.iter().position(|line| self.is(line, name))?;
        let rest = self.lines.iter().skip(first);
        Some(first..first + rest.take_while(|line| self.is(line, name)).count())
    }

    fn put(&mut self, place: Option<usize>, line: Line) {
        let length = self.name(&line).len();
        self.lengths |= bit(length);
        match place {
            Some(place) => self.lines.insert(place, line),
            None => self.lines.push(line),
        }
    }

    fn put_one(&mut self, name: &HeaderName, value: HeaderValue) {
        let value = Value::Made(value);
        let Some(Range { start, end }) = self.places(name.as_str().as_bytes()) else {
            let name = Name::Made(name.clone());
            return self.put(None, Line { name, value });
        };
        self.lines.drain(start + 1..end);
        if let Some(line) = self.lines.get_mut(start) {
            line.value = value;
        }
    }

    fn put_more(&mut self, name: &HeaderName, value: HeaderValue) {
        let places = self.places(name.as_str().as_bytes());
        let (name, value) = (Name::Made(name.clone()), Value::Made(value));
        self.put(places.map(|places| places.end), Line { name, value });
    }

    fn take_all(&mut self, name: &[u8]) -> bool {
        let Some(places) = self.places(name) else {
            return false;
        };
        self.lines.drain(places);
        true
    }
}

impl Incoming for Plain {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn version(&self) -> Version {
        self.version
    }

    fn lines(&self, name: &HeaderName) -> impl Iterator<Item = &[u8]> {
        let name = name.as_str().as_bytes();
        let lines: &[Line] = if self.may_have(name) {
            &self.lines
        } else {
            &[]
        };
        (lines.iter())
            .filter(move |line| self.is(line, name))
            .map(|line| self.value(line))
    }

    fn to_map(&self) -> Cow<'_, HeaderMap> {
        let mut map = HeaderMap::with_capacity(self.lines.len());
        for line in &self.lines {
            let name = HeaderName::from_bytes(self.name(line));
            let value = HeaderValue::from_bytes(self.value(line));
            if let (Ok(name), Ok(value)) = (name, value) {
                map.append(name, value);
            }
        }
        Cow::Owned(map)
    }

    fn edit(&mut self) -> impl Fields + '_ {
        Edited(self)
    }

    fn take(&mut self, name: &HeaderName) -> bool {
        self.take_all(name.as_str().as_bytes())
    }

    fn end_hop(&mut self, keeps_upgrade: bool) {
        let options: Vec<_> = hops::options(self.lines(&header::CONNECTION)).collect();
        let stays = |name: &[u8]| {
            name.eq_ignore_ascii_case(b"transfer-encoding")
                || keeps_upgrade && name.eq_ignore_ascii_case(b"upgrade")
        };
        let ends = |line: &Line| {
            let name = self.name(line);
            hops::stops(name, &options) && !stays(name)
        };
        let Some(first) = self.lines.iter().position(ends) else {
            return;
        };
        let mut left: Vec<_> = self
            .lines
            .iter()
            .skip(first)
            .map(|line| !ends(line))
            .collect();
        left.reverse();
        let mut number = 0;
        self.lines.retain(|_| {
            number += 1;
            number <= first || left.pop().unwrap_or(true)
        });
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
        self.put_one(&name, value);
        Ok(())
    }

    fn add(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
        self.put_more(&name, value);
        Ok(())
    }
}

struct Edited<'a>(&'a mut Plain);

impl Fields for Edited<'_> {
    fn remove(&mut self, name: &HeaderName) {
        self.0.take(name);
    }

    fn set(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.0.put_one(name, value.clone());
    }

    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.0.put_more(name, value.clone());
    }
}
