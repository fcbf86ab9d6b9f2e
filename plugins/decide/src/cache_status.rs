//! `Cache-Status` (RFC 9211): how a request was answered.

use http::HeaderValue;
use serde::Serialize;

/// What is told besides the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told<'a> {
    /// The cache key (§2.7), as [`key::text`](crate::key::text) has it.
    pub key: Option<&'a str>,
    /// Whether details are (§2.8).
    pub detail: bool,
}

/// How a request was answered, as far as the cache goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// From the cache.
    Hit {
        /// Seconds of freshness left; negative when stale (§2.4).
        ttl: i64,
        /// More, for people (§2.8).
        detail: Option<&'static str>,
    },
    /// From an origin.
    Forward(Forward),
    /// By the edge itself: a refusal, a redirect, an error, or `only-if-cached` without a stored response.
    Local {
        /// More, for people (§2.8).
        detail: &'static str,
    },
}

/// A request that went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// Why (§2.2).
    pub reason: ForwardReason,
    /// The origin's status, if it differs from what the client got or was a validation (§2.3).
    pub status: Option<u16>,
    /// Whether the response was stored (§2.5).
    pub stored: bool,
    /// Whether another request's fetch answered this one (§2.6).
    pub collapsed: bool,
    /// Seconds of freshness of what was stored (§2.4).
    pub ttl: Option<i64>,
    /// More, for people (§2.8): why it was not stored, for instance.
    pub detail: Option<&'static str>,
}

/// Why a request went on (RFC 9211 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardReason {
    /// The route does not cache.
    Bypass,
    /// The method is not answered from the cache.
    Method,
    /// Nothing is stored for the URL.
    UriMiss,
    /// Something is stored for the URL, but not for these request fields.
    VaryMiss,
    /// Nothing that could be used was stored; which of the two is not known.
    Miss,
    /// The client demanded it.
    Request,
    /// What is stored is stale.
    Stale,
    /// Only part of it is stored.
    Partial,
}

impl ForwardReason {
    /// The token of RFC 9211 §2.2.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

impl CacheStatus {
    /// The member that this cache appends to `Cache-Status`, under its name.
    pub fn value(&self, cache: &str, told: Told<'_>) -> Option<HeaderValue> {
        let mut text = String::with_capacity(64);
        push_name(&mut text, cache);
        let detail = match self {
            Self::Hit { ttl, detail } => {
                push_number(&mut text, "; hit; ttl=", *ttl);
                *detail
            }
            Self::Forward(forward) => {
                forward.push(&mut text);
                forward.detail
            }
            Self::Local { detail } => Some(*detail),
        };
        if let Some(key) = told.key {
            text.push_str("; key=");
            push_string(&mut text, key);
        }
        if let Some(detail) = detail.filter(|_| told.detail) {
            text.push_str("; detail=");
            push_name(&mut text, detail);
        }
        HeaderValue::try_from(text).ok()
    }
}

impl Forward {
    /// A request that went on for a reason; nothing stored, nothing collapsed.
    pub fn because(reason: ForwardReason) -> Self {
        Self {
            reason,
            status: None,
            stored: false,
            collapsed: false,
            ttl: None,
            detail: None,
        }
    }

    fn push(&self, text: &mut String) {
        text.push_str("; fwd=");
        text.push_str(self.reason.as_str());
        if let Some(status) = self.status {
            push_number(text, "; fwd-status=", status);
        }
        if let Some(ttl) = self.ttl {
            push_number(text, "; ttl=", ttl);
        }
        if self.stored {
            text.push_str("; stored");
        }
        if self.collapsed {
            text.push_str("; collapsed");
        }
    }
}

/// The cache's name as a token, or as a string where it is none (RFC 9211 §2).
fn push_name(text: &mut String, name: &str) {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '*');
    let in_token = |octet: u8| {
        octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.') || is_mark(octet)
    };
    if begins && name.bytes().all(in_token) {
        text.push_str(name);
        return;
    }
    push_string(text, name);
}

/// What a token may have besides (RFC 9651 §3.3.4).
fn is_mark(octet: u8) -> bool {
    b"!#$%&'*+-.^_`|~:/".contains(&octet)
}

fn push_number(text: &mut String, before: &str, number: impl itoa::Integer) {
    text.push_str(before);
    text.push_str(itoa::Buffer::new().format(number));
}

/// A string (RFC 9651 §3.3.3); what it can't hold is left out.
fn push_string(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars().filter(|c| (' '..='~').contains(c)) {
        if c == '"' || c == '\\' {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_rfc_9211() {
        let check = |status: CacheStatus, expected: &str| {
            let told = Told {
                key: None,
                detail: true,
            };
            assert_eq!(status.value("paris-1", told).unwrap(), expected);
        };
        check(
            CacheStatus::Hit {
                ttl: 30,
                detail: None,
            },
            "paris-1; hit; ttl=30",
        );
        check(
            CacheStatus::Hit {
                ttl: -3,
                detail: Some("stale_while_revalidate"),
            },
            "paris-1; hit; ttl=-3; detail=stale_while_revalidate",
        );
        let miss = Forward::because(ForwardReason::UriMiss);
        check(CacheStatus::Forward(miss), "paris-1; fwd=uri-miss");
        check(
            CacheStatus::Forward(Forward {
                stored: true,
                ttl: Some(60),
                ..miss
            }),
            "paris-1; fwd=uri-miss; ttl=60; stored",
        );
        check(
            CacheStatus::Forward(Forward {
                reason: ForwardReason::Stale,
                status: Some(304),
                collapsed: true,
                ..Forward::because(ForwardReason::Stale)
            }),
            "paris-1; fwd=stale; fwd-status=304; collapsed",
        );
        check(
            CacheStatus::Forward(Forward {
                detail: Some("set_cookie"),
                ..miss
            }),
            "paris-1; fwd=uri-miss; detail=set_cookie",
        );
        check(
            CacheStatus::Local {
                detail: "only_if_cached",
            },
            "paris-1; detail=only_if_cached",
        );
        let told = |key, detail| {
            let status = CacheStatus::Local { detail: "x" };
            status.value("new york", Told { key, detail }).unwrap()
        };
        assert_eq!(told(None, true), "\"new york\"; detail=x");
        assert_eq!(told(None, false), "\"new york\"");
        assert_eq!(
            told(Some("host=h path=/\"a\\"), true),
            "\"new york\"; key=\"host=h path=/\\\"a\\\\\"; detail=x"
        );
    }
}
