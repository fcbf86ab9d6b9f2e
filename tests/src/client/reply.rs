//! An answer that was read to its end.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use serde::de::DeserializeOwned;

/// An answer that was read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its version.
    pub version: Version,
    /// Its header.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// What followed the body.
    pub trailers: HeaderMap,
    /// The interim answers (1xx) before it: status and header.
    pub informational: Vec<(StatusCode, HeaderMap)>,
}

impl Reply {
    /// A header's value; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body)
            .unwrap_or_else(|_| panic!("a body that is no text: {self:?}"))
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Whether `Cache-Status` says that it came from the cache (RFC 9211 §2.1).
    pub fn is_hit(&self) -> bool {
        self.header("cache-status")
            .split(';')
            .any(|part| part.trim() == "hit")
    }

    /// Seconds in `Age`.
    pub fn age(&self) -> Option<u64> {
        self.headers.get("age")?.to_str().ok()?.parse().ok()
    }
}
