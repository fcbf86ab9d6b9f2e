//! Which fields of a request reach the origin on a route that caches. What an origin makes of a field that is no part of
//! the key is stored for everybody: a client that may set it can poison the cache. So only fields go on that every HTTP
//! origin knows to be the client's word, that are part of the key, or that the policy names.

use crate::{device::Device, edit::Fields, facts::Request, fields, freshness, hops, key, tags};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use latencify_conf::policy::{CacheRule, CdnCacheControl};
use std::borrow::Cow;

/// Tells the origin the kind of the client's device, where it is part of the key.
pub const X_DEVICE: HeaderName = HeaderName::from_static("x-device");

/// Tells the origin what `Surrogate-Control` may ask of this edge.
pub const SURROGATE_CAPABILITY: HeaderName = HeaderName::from_static("surrogate-capability");

/// Tells the origin the client's country, where it is part of the key.
pub const X_COUNTRY: HeaderName = HeaderName::from_static("x-country");

/// Fields that go on without being named; `Sec-…` and `Cookie` have rules of their own. What negotiates is answered with `Vary`,
/// what says who asks with `private` or under RFC 9111 §3.5; the rest frames, validates, routes or traces the request, or is
/// written by the edge.
const PASSING: [&str; 35] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "baggage",
    "cache-control",
    "cdn-loop",
    "content-length",
    "dnt",
    "early-data",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "save-data",
    "te",
    "traceparent",
    "tracestate",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// What becomes of a request's fields on the way to an origin whose answer may be stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Fields that don't go on.
    pub remove: Vec<HeaderName>,
    /// The `Cookie` lines that do, where they are not all that there are.
    pub cookies: Option<Vec<HeaderValue>>,
    /// One line instead of all.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// One more line.
    pub add: Vec<(HeaderName, HeaderValue)>,
}

impl Changes {
    /// The changes of a request under a rule, at the edge of that name.
    pub fn of(rule: &CacheRule, request: &Request<'_>, edge: &str) -> Self {
        let narrowed =
            cookies(rule) != Cookies::All && request.headers.contains_key(header::COOKIE);
        let capability = surrogate_capability(rule, edge);
        Self {
            remove: dropped(request.headers, rule),
            cookies: narrowed.then(|| cookie_lines(request.headers, rule)),
            set: facets(rule, request),
            add: capability
                .map(|value| (SURROGATE_CAPABILITY, value))
                .into_iter()
                .collect(),
        }
    }

    /// Makes them. What the policy edits comes after: it may set what a client may not.
    pub fn apply(&self, fields: &mut impl Fields) {
        for name in &self.remove {
            fields.remove(name);
        }
        if let Some(lines) = &self.cookies {
            fields.remove(&header::COOKIE);
            for line in lines {
                fields.add(&header::COOKIE, line);
            }
        }
        for (name, value) in &self.set {
            fields.set(name, value);
        }
        for (name, value) in &self.add {
            fields.add(name, value);
        }
    }
}

/// Which cookies go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cookies<'r> {
    /// All of them.
    All,
    /// Those of the key.
    Named(&'r [String]),
}

/// Whether a field of a request goes on under a caching rule.
pub fn passes(name: &HeaderName, rule: &CacheRule) -> bool {
    let known =
        || PASSING.binary_search(&name.as_str()).is_ok() || name.as_str().starts_with("sec-");
    *name == header::COOKIE
        || known()
        || rule.key.headers.contains(name)
        || rule.forward_headers.contains(name)
}

/// The fields of a request that don't go on. `Cookie` is not one of them: see [`cookies`].
pub fn dropped(request: &HeaderMap, rule: &CacheRule) -> Vec<HeaderName> {
    request
        .keys()
        .filter(|name| !passes(name, rule))
        .cloned()
        .collect()
}

/// Which cookies go on. Where only the origin says what is stored, all of them: it knows which of its answers are by cookie,
/// and says `private`. Where the policy gives lifetimes to what the origin gave none, nobody would say it.
pub fn cookies(rule: &CacheRule) -> Cookies<'_> {
    let named = [&rule.forward_headers, &rule.key.headers]
        .iter()
        .any(|names| names.contains(&header::COOKIE));
    if named || !rule.ttl.gives_lifetimes() {
        Cookies::All
    } else {
        Cookies::Named(&rule.key.cookies)
    }
}

/// The `Cookie` lines that go on, each with what is left of it.
pub fn cookie_lines(request: &HeaderMap, rule: &CacheRule) -> Vec<HeaderValue> {
    let lines = request.get_all(header::COOKIE);
    let names = match cookies(rule) {
        Cookies::All => return lines.iter().cloned().collect(),
        Cookies::Named(names) => names,
    };
    let left = |line: &HeaderValue| {
        let kept: Vec<_> = line
            .as_bytes()
            .split(|&byte| byte == b';')
            .map(<[u8]>::trim_ascii)
            .filter(|pair| {
                let (name, value) = fields::pair(pair);
                value.is_some() && names.iter().any(|known| known.as_bytes() == name)
            })
            .collect();
        // Parts of a valid value between "; " are a valid value.
        (!kept.is_empty())
            .then(|| HeaderValue::from_bytes(&kept.join(&b"; "[..])).ok())
            .flatten()
    };
    lines.iter().filter_map(left).collect()
}

/// The query that the origin is asked with: the parameters that count, as the key has them.
pub fn query<'a>(rule: &CacheRule, query: Option<&'a str>) -> Option<Cow<'a, str>> {
    key::chosen_query(&rule.key, query)
}

/// Tells the origin that this edge reads `Surrogate-Control`, and by which name it may be addressed (Edge Architecture
/// Specification 1.0 §2.1): appended to the request where the policy says that it does.
pub fn surrogate_capability(rule: &CacheRule, edge: &str) -> Option<HeaderValue> {
    if !rule.surrogate_control {
        return None;
    }
    HeaderValue::try_from(format!("{}=\"Surrogate/1.0\"", hops::token(edge))).ok()
}

/// Fields of a response that are for this CDN alone and don't reach clients: tags, and directives that another CDN can't use or
/// is not to see. `Cache-Groups` goes on (RFC 9875 §2): it is for every cache.
pub fn withheld(rule: &CacheRule) -> Vec<HeaderName> {
    let mut names = vec![tags::SURROGATE_KEY, tags::CACHE_TAG];
    names.extend(rule.tag_headers.iter().cloned());
    if rule.cdn_cache_control == CdnCacheControl::Strip {
        names.push(freshness::CDN_CACHE_CONTROL);
    }
    if rule.surrogate_control {
        names.push(freshness::SURROGATE_CONTROL);
    }
    names
}

/// What the origin is told of the key's facets, so that it can answer by them: one line instead of whatever the client sent.
pub fn facets(rule: &CacheRule, request: &Request<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields = Vec::new();
    if rule.key.device {
        let device = Device::of(request.headers).as_str();
        fields.push((X_DEVICE, HeaderValue::from_static(device)));
    }
    if rule.key.country {
        let country = request.place.and_then(|place| place.country);
        let value = country.and_then(|country| HeaderValue::from_str(country.as_str()).ok());
        fields.push((
            X_COUNTRY,
            value.unwrap_or(HeaderValue::from_static("unknown")),
        ));
    }
    fields
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_names_can_be_searched() {
        assert!(super::PASSING.is_sorted());
    }
}
