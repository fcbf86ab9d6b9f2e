//! One field of a block, and what it means in a request.

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method,
    uri::{Authority, PathAndQuery},
};

/// A field as it came, read once however often a table gives it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Bytes,
    /// Its value.
    pub value: Bytes,
    /// It is to stand in no table (RFC 7541 §7.1.3).
    pub is_secret: bool,
    /// What it means.
    pub meaning: Meaning,
}

/// What a field means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// GET or HEAD.
    Method(Method),
    /// The scheme `https`.
    Https,
    /// The authority.
    Authority(Authority),
    /// The target.
    Path(PathAndQuery),
    /// A field that is none of the request line's.
    Regular(HeaderName, HeaderValue),
    /// Something else, which is for the library to judge.
    Other,
}

impl Field {
    /// A field of any octets.
    pub fn new(name: Bytes, value: Bytes, is_secret: bool) -> Self {
        let meaning = Meaning::of(&name, &value);
        Self {
            name,
            value,
            is_secret,
            meaning,
        }
    }

    /// Another value of the same name.
    pub(super) fn with(&self, value: Bytes, is_secret: bool) -> Self {
        if let Meaning::Regular(name, _) = &self.meaning {
            let meaning = Meaning::regular(name.clone(), &value);
            return Self {
                name: self.name.clone(),
                value,
                is_secret,
                meaning,
            };
        }
        Self::new(self.name.clone(), value, is_secret)
    }

    /// How much of a table or of a list it is (RFC 7541 §4.1).
    pub fn bytes(&self) -> usize {
        const OVERHEAD: usize = 32;
        self.name.len() + self.value.len() + OVERHEAD
    }
}

impl Meaning {
    fn of(name: &[u8], value: &Bytes) -> Self {
        match name {
            b":method" if **value == *b"GET" => Self::Method(Method::GET),
            b":method" if **value == *b"HEAD" => Self::Method(Method::HEAD),
            b":scheme" if **value == *b"https" => Self::Https,
            b":authority" => {
                Authority::from_maybe_shared(value.clone()).map_or(Self::Other, Self::Authority)
            }
            b":path" => {
                PathAndQuery::from_maybe_shared(value.clone()).map_or(Self::Other, Self::Path)
            }
            _ => HeaderName::from_lowercase(name)
                .map_or(Self::Other, |name| Self::regular(name, value)),
        }
    }

    fn regular(name: HeaderName, value: &Bytes) -> Self {
        HeaderValue::from_maybe_shared(value.clone())
            .map_or(Self::Other, |value| Self::Regular(name, value))
    }
}
