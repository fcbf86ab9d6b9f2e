//! The `Date` of a response. Pingora writes the time of sending into every head; a response keeps the one that it has
//! (RFC 9110 §6.6.1), which takes the place of Pingora's on the way out: in their one form all dates are as long.

use http::{HeaderMap, HeaderValue, header};
use latencify_decide::dates;
use std::time::SystemTime;

/// `Sun, 06 Nov 1994 08:49:37 GMT`
const LENGTH: usize = 29;
/// What stands before it in a head.
const NAME: &[u8] = b"\r\ndate: ";

type Text = [u8; LENGTH];

/// The date that a response has, if it is one in the form of today.
pub(in crate::listen) fn of(fields: &HeaderMap) -> Option<&HeaderValue> {
    let lines = fields.get_all(header::DATE);
    let date = lines.iter().next()?;
    is_one(lines.iter().map(HeaderValue::as_bytes)).then_some(date)
}

/// Whether the lines of `Date` are one date in the form of today.
pub(super) fn is_one<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> bool {
    let (Some(date), None) = (lines.next(), lines.next()) else {
        return false;
    };
    // Of this length none has a year of two digits, for which it would matter when it is read.
    date.len() == LENGTH && dates::parse(date, SystemTime::UNIX_EPOCH).is_some()
}

/// Puts a date into the next head that is written.
#[derive(Debug, Default)]
pub(super) struct Redate(State);

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// The next octets are a head's.
    Wanted(Text),
    /// The date begins so many octets behind what has been written, or before it.
    At(Text, i64),
}

impl Redate {
    /// That of the response whose head is written next.
    pub(super) fn with(fields: &HeaderMap) -> Self {
        let text = of(fields).and_then(|date| date.as_bytes().try_into().ok());
        Self(text.map_or(State::Idle, State::Wanted))
    }

    /// Whether nothing is to be changed.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.0, State::Idle)
    }

    /// What is to be written instead of these octets, as many as they are; none: they themselves.
    pub(super) fn change(&mut self, octets: &[u8]) -> Option<Vec<u8>> {
        if let State::Wanted(text) = self.0 {
            self.0 = match find(octets) {
                Some(at) => State::At(text, at),
                None => State::Idle,
            };
        }
        let State::At(text, at) = &self.0 else {
            return None;
        };
        let mut changed = octets.to_vec();
        for (place, octet) in (*at..).zip(text) {
            let place = usize::try_from(place).ok();
            if let Some(old) = place.and_then(|place| changed.get_mut(place)) {
                *old = *octet;
            }
        }
        Some(changed)
    }

    /// So many octets have been written.
    pub(super) fn wrote(&mut self, octets: usize) {
        if let State::At(_, at) = &mut self.0 {
            *at -= octets as i64;
            if *at + LENGTH as i64 <= 0 {
                self.0 = State::Idle;
            }
        }
    }
}

/// Where the date begins in a head.
fn find(head: &[u8]) -> Option<i64> {
    let mut places = head.windows(NAME.len());
    let at = places.position(|octets| octets.eq_ignore_ascii_case(NAME))? + NAME.len();
    // What is not as long stays as it is.
    let line = head.get(at..at + LENGTH + 2)?;
    line.ends_with(b"\r\n")
        .then(|| i64::try_from(at).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] =
        b"HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nX: y\r\n\r\nbody";
    const KEPT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn redate(date: &str) -> Redate {
        let fields = [(header::DATE, date.parse().unwrap())];
        Redate::with(&fields.into_iter().collect())
    }

    #[test]
    fn a_head_gets_its_date_however_it_is_cut() {
        let whole = String::from_utf8_lossy(HEAD).replace("Mon, 23 Nov 2026 00:00:00 GMT", KEPT);
        for step in 1..=HEAD.len() {
            let mut redate = redate(KEPT);
            let (mut written, mut rest) = (Vec::new(), HEAD);
            while !rest.is_empty() {
                let octets = redate.change(rest).unwrap_or_else(|| rest.to_vec());
                let taken = step.min(rest.len());
                written.extend(&octets[..taken]);
                redate.wrote(taken);
                rest = &rest[taken..];
            }
            assert_eq!(String::from_utf8_lossy(&written), whole, "by {step}");
            assert!(redate.is_idle());
        }
    }

    #[test]
    fn only_a_date_of_todays_form_is_kept() {
        for other in [
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 AST",
            "0",
        ] {
            assert!(redate(other).is_idle(), "{other}");
        }
        let mut redate = redate(KEPT);
        assert_eq!(redate.change(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n"), None);
        assert!(redate.is_idle());
    }
}
