//! `Vary`: which request fields a stored response depends on (RFC 9110 §12.5.5, RFC 9111 §4.1).

use crate::fields;
use http::{HeaderMap, HeaderName, header};

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

/// The fields of a request that a variant is chosen by, length-prefixed with their names. Lines of one field are joined
/// and white space around list members is dropped, as RFC 9111 §4.1 allows. Two requests with equal bytes get one variant.
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
        for (index, member) in fields::list(request, name).enumerate() {
            if index > 0 {
                bytes.push(b',');
            }
            bytes.extend_from_slice(member);
        }
        let length = (bytes.len() - at - 4) as u32;
        if let Some(prefix) = bytes.get_mut(at..at + 4) {
            prefix.copy_from_slice(&length.to_be_bytes());
        }
    }
    bytes
}

fn push(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u32).to_be_bytes());
    bytes.extend_from_slice(part);
}
