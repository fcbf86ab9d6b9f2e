//! Access records: what an edge says of each request that it answered. One JSON object a line in the access log; the
//! same record travels to stores and streams. Fields are only ever added.

#[cfg(test)]
mod golden;
mod line;

use crate::{
    change::{Epoch, Revision},
    digest::Digest,
};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, net::IpAddr};
use time::OffsetDateTime;

/// One request and what became of it. Whoever writes one borrows its texts; one that is read has its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessRecord<'a> {
    /// When its head had been read, on the edge's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// The id in `X-Request-Id` and in error pages.
    pub request_id: Cow<'a, str>,
    /// The client's address, behind trusted hops.
    pub client: IpAddr,
    /// The client's country by GeoIP, ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Cow<'a, str>>,
    /// The site by its name; none: no site answers for the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Cow<'a, str>>,
    /// The route by its name; none: no route took the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Cow<'a, str>>,
    /// The method.
    pub method: Cow<'a, str>,
    /// `http` or `https`, as the client spoke.
    pub scheme: Cow<'a, str>,
    /// The host asked for, lower case, without port.
    pub host: Cow<'a, str>,
    /// The path in its normal form, without query.
    pub path: Cow<'a, str>,
    /// The query, without its `?`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Cow<'a, str>>,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    pub protocol: Cow<'a, str>,
    /// The status sent; 0: the client was gone before one could be.
    pub status: u16,
    /// Bytes of the request's body that were read.
    pub bytes_in: u64,
    /// Bytes of the response's body that were sent.
    pub bytes_out: u64,
    /// From the request's head to the end of the response, in microseconds.
    pub duration_us: u64,
    /// From the request's head to the first byte of the response's head, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttfb_us: Option<u64>,
    /// What the cache did.
    pub cache: CacheOutcome,
    /// Why the cache did not answer or store, when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_reason: Option<Cow<'a, str>>,
    /// The age of the stored response that was sent, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<u64>,
    /// The origin of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Cow<'a, str>>,
    /// The status that the origin gave in the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_status: Option<u16>,
    /// Attempts at origins.
    pub attempts: u32,
    /// The policy revision that decided; none: a policy from files, which have no revisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// The digest of the policy that decided; none: no policy was there yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
    /// The epoch that the edge obeyed when the answered object's fetch began; none: nothing stored was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The epoch of the marks that the edge obeyed when it decided; none: it stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark_epoch: Option<Epoch>,
    /// The steps of the decision, in order: `site:shop`, `route:static`, `admit:granted`, `origin:paris`.
    pub decisions: Vec<Cow<'a, str>>,
    /// What went wrong, by its stable name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'a, str>>,
    /// What went wrong, in words for operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<Cow<'a, str>>,
    /// `User-Agent`, cut at [`HEADER_CHARACTERS_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Cow<'a, str>>,
    /// `Referer`, cut at [`HEADER_CHARACTERS_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referer: Option<Cow<'a, str>>,
}

/// The most characters of a request header that a record carries.
pub const HEADER_CHARACTERS_MAX: usize = 512;

/// What the cache did for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum CacheOutcome {
    /// It was not asked: no caching on this route, or not for this request.
    #[default]
    None,
    /// It answered with a fresh object.
    Hit,
    /// It answered with a stale object, which the policy or the origin allows.
    Stale,
    /// It answered with an object that the origin had just said is still good (304).
    Revalidated,
    /// It had nothing; the origin answered and the response is stored.
    Miss,
    /// It had something too old or not for this client; the origin answered and the response is stored.
    Expired,
    /// The origin answered and the response is not stored.
    Uncacheable,
    /// It had nothing, and the client wanted nothing else (`only-if-cached`).
    Absent,
}

impl CacheOutcome {
    /// The stable name: in records, metrics and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Revalidated => "revalidated",
            Self::Miss => "miss",
            Self::Expired => "expired",
            Self::Uncacheable => "uncacheable",
            Self::Absent => "absent",
        }
    }

    /// Whether a stored body was sent.
    pub fn is_from_cache(self) -> bool {
        matches!(self, Self::Hit | Self::Stale | Self::Revalidated)
    }
}
