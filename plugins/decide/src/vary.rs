//! `Vary`: which request fields a stored response depends on (RFC 9110 §12.5.5, RFC 9111 §4.1).

use crate::{
    fields,
    forward::{self, Cookies},
};
use http::{HeaderMap, HeaderName, header};
use latencify_conf::policy::CacheRule;
use std::{borrow::Cow, time::SystemTime};

/// The most field names of one response's `Vary`; a response with more varies on everything.
pub const NAMES_MAX: usize = 16;

/// What a response varies on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Vary {
    /// Nothing: one variant answers all.
    #[default]
    Nothing,
    /// These request fields; lower case, sorted, each once.
    Fields(Vec<HeaderName>),
    /// More than a request shows (`*`), or what can't be read: no stored response answers another request.
    Everything,
}

impl Vary {
    /// Reads all lines of a response's `Vary`.
    pub fn of(response: &HeaderMap) -> Self {
        let mut names = Vec::new();
        for member in fields::list(response, &header::VARY) {
            match HeaderName::from_bytes(member) {
                Ok(name) if member != b"*" => names.push(name),
                _ => return Self::Everything,
            }
        }
        names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        match names.len() {
            0 => Self::Nothing,
            1..=NAMES_MAX => Self::Fields(names),
            _ => Self::Everything,
        }
    }
}

/// The fields of a request that a variant is chosen by, length-prefixed with their names. Two requests with equal bytes get one
/// variant: their values are the same, or known to mean the same (RFC 9111 §4.1):
/// - lines of one field are one list, white space around its members is dropped;
/// - codings of `Accept-Encoding` are in any case and order, `x-gzip` is `gzip` (RFC 9110 §8.4.1.3), `q=1` is nothing, and
///   what has one spelling is one: any response to one of two such requests is acceptable to the other;
/// - tags of `Accept-Language` are in any case; they are ordered by their `q`, but those of one `q` keep their order, in which
///   origins may see a preference (§12.5.4).
pub fn variance(names: &[HeaderName], request: &HeaderMap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(names.len() * 32);
    for name in names {
        push(&mut bytes, name.as_str().as_bytes());
        if !request.contains_key(name) {
            bytes.push(0);
            continue;
        }
        bytes.push(1);
        let at = bytes.len();
        bytes.extend([0; 4]);
        push_normal(&mut bytes, name, request);
        let length = (bytes.len() - at - 4) as u32;
        if let Some(prefix) = bytes.get_mut(at..at + 4) {
            prefix.copy_from_slice(&length.to_be_bytes());
        }
    }
    bytes
}

/// The fields of a request as the origin got to see them: cookies that [don't go on](forward::cookies) make no variants.
/// Every other field counts as the client sent it, whether it goes on or not (RFC 9111 §4.1).
pub fn variance_under(rule: &CacheRule, names: &[HeaderName], request: &HeaderMap) -> Vec<u8> {
    if !names.contains(&header::COOKIE) || forward::cookies(rule) == Cookies::All {
        return variance(names, request);
    }
    let mut seen = request.clone();
    seen.remove(header::COOKIE);
    for line in forward::cookie_lines(request, rule) {
        seen.append(header::COOKIE, line);
    }
    variance(names, &seen)
}

/// What a stored response was chosen by: the names of its `Vary` and the fields of its request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variant {
    names: Vec<HeaderName>,
    variance: Vec<u8>,
}

impl Variant {
    /// Of a response and its request; none if it answers no other request.
    pub fn of(response: &HeaderMap, request: &HeaderMap) -> Option<Self> {
        let names = match Vary::of(response) {
            Vary::Nothing => Vec::new(),
            Vary::Fields(names) => names,
            Vary::Everything => return None,
        };
        let variance = variance(&names, request);
        Some(Self { names, variance })
    }

    /// Whether a request's fields are those of the stored response (RFC 9111 §4.1).
    pub fn matches(&self, request: &HeaderMap) -> bool {
        self.names.is_empty() || variance(&self.names, request) == self.variance
    }
}

/// Which of several stored responses of one key answers a request, by index: of those whose fields match, the most recent by
/// `Date` (RFC 9111 §4.1), of equally recent ones the later. Responses of one key may have named different fields in `Vary`.
pub fn choose<'v>(
    stored: impl IntoIterator<Item = (&'v Variant, SystemTime)>,
    request: &HeaderMap,
) -> Option<usize> {
    stored
        .into_iter()
        .enumerate()
        .filter(|(_, (variant, _))| variant.matches(request))
        .max_by_key(|(_, (_, date))| *date)
        .map(|(index, _)| index)
}

fn push_normal(bytes: &mut Vec<u8>, name: &HeaderName, request: &HeaderMap) {
    let members = fields::list(request, name);
    if *name == header::ACCEPT_ENCODING {
        let mut codings: Vec<_> = members.map(Weighed::of).collect();
        for coding in codings
            .iter_mut()
            .filter(|coding| *coding.name == *b"x-gzip")
        {
            coding.name = Cow::Borrowed(b"gzip");
        }
        codings.sort_unstable();
        codings.dedup();
        join(bytes, codings.iter(), |bytes, coding| coding.push(bytes));
    } else if *name == header::ACCEPT_LANGUAGE {
        let mut tags: Vec<_> = members.map(Weighed::of).collect();
        tags.sort_by_key(|tag| std::cmp::Reverse(tag.weight.unwrap_or(0)));
        join(bytes, tags.iter(), |bytes, tag| tag.push(bytes));
    } else {
        join(bytes, members, |bytes, member| {
            bytes.extend_from_slice(member);
        });
    }
}

fn join<T>(bytes: &mut Vec<u8>, members: impl Iterator<Item = T>, push: impl Fn(&mut Vec<u8>, T)) {
    for (index, member) in members.enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        push(bytes, member);
    }
}

/// A member of a list with a weight (RFC 9110 §12.4.2).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Weighed<'a> {
    /// Lower case. The whole member, as it is, where its parameters can't be read.
    name: Cow<'a, [u8]>,
    /// In thousandths; none where it can't be read.
    weight: Option<u16>,
}

impl<'a> Weighed<'a> {
    fn of(member: &'a [u8]) -> Self {
        let mut parts = fields::split(member, b';');
        let name = parts.next().unwrap_or_default();
        let weight = match (parts.next().map(fields::pair), parts.next()) {
            (None, _) => Some(1_000),
            (Some((b"q" | b"Q", Some(value))), None) => thousandths(value),
            _ => None,
        };
        let name = match weight {
            None => Cow::Borrowed(member),
            Some(_) if name.iter().any(u8::is_ascii_uppercase) => {
                Cow::Owned(name.to_ascii_lowercase())
            }
            Some(_) => Cow::Borrowed(name),
        };
        Self { name, weight }
    }

    fn push(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.name);
        if let Some(weight) = self.weight.filter(|weight| *weight != 1_000) {
            // No field value holds a zero octet, so this is nobody's spelling.
            bytes.push(0);
            bytes.extend_from_slice(&weight.to_be_bytes());
        }
    }
}

/// `0`, `0.5`, `1.000`
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, fraction) = match value {
        [whole] => (whole, &b""[..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut weight = match whole {
        b'0' => 0,
        b'1' => 1_000,
        _ => return None,
    };
    let mut unit = 100;
    for digit in fraction {
        if !digit.is_ascii_digit() {
            return None;
        }
        weight += u16::from(digit - b'0') * unit;
        unit /= 10;
    }
    (weight <= 1_000).then_some(weight)
}

fn push(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u32).to_be_bytes());
    bytes.extend_from_slice(part);
}
