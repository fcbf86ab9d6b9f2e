//! The cache key: which requests are answered by one stored object. Parts are tagged and length-prefixed, so no two
//! lists of parts have one key; parts that the policy adds carry their names, so that a key means the same under every
//! policy. Every key holds the target URI (RFC 9111 §2), the scheme too: an origin is told it, and may answer HTTP with a redirect
//! to HTTPS. Method and validators are not parts: GET and HEAD share an object.

use crate::{device::Device, facts::Request, fields, invalidation::Origin};
use latencify_conf::{
    change::SiteId,
    policy::{KeyParts, Names},
};
use serde::Serialize;
use std::borrow::Cow;

/// What a part of a key is; the tag is its first octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// The site's id.
    Site,
    /// The scheme.
    Scheme,
    /// The host.
    Host,
    /// The port, where the scheme implies another.
    Port,
    /// The normal path.
    Path,
    /// The query parameters that count.
    Query,
    /// A header: its name, then each of its lines.
    Header,
    /// A cookie: its name, then each of its values.
    Cookie,
    /// The client's country; empty when unknown.
    Country,
    /// The kind of the client's device.
    Device,
}

impl PartKind {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Scheme => "scheme",
            Self::Host => "host",
            Self::Port => "port",
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Country => "country",
            Self::Device => "device",
        }
    }

    fn tag(self) -> u8 {
        match self {
            Self::Site => b's',
            Self::Scheme => b'u',
            Self::Host => b'h',
            Self::Port => b'o',
            Self::Path => b'p',
            Self::Query => b'q',
            Self::Header => b'f',
            Self::Cookie => b'c',
            Self::Country => b'g',
            Self::Device => b'd',
        }
    }
}

/// The key of a request under a caching rule.
pub fn cache_key(site: SiteId, parts: &KeyParts, request: &Request<'_>) -> Vec<u8> {
    let mut key = Vec::with_capacity(
        64 + request.host.len() + request.path.len() + request.query.map_or(0, str::len),
    );
    each_part(site, parts, request, |kind, values| {
        key.push(kind.tag());
        key.extend((values.len() as u32).to_be_bytes());
        for value in values {
            key.extend((value.len() as u32).to_be_bytes());
            key.extend_from_slice(value);
        }
    });
    key
}

/// The parts of a request's key in their order: what [`cache_key`] joins and an explanation shows.
pub fn each_part(
    site: SiteId,
    parts: &KeyParts,
    request: &Request<'_>,
    mut take: impl FnMut(PartKind, &[&[u8]]),
) {
    take(PartKind::Site, &[&site.0.to_be_bytes()]);
    let origin = Origin::of(request);
    take(PartKind::Scheme, &[origin.scheme().as_bytes()]);
    take(PartKind::Host, &[request.host.as_bytes()]);
    if let Some(port) = origin.port() {
        take(PartKind::Port, &[port.as_bytes()]);
    }
    take(PartKind::Path, &[request.path.as_bytes()]);
    if let Some(query) = chosen_query(parts, request.query) {
        take(PartKind::Query, &[query.as_bytes()]);
    }
    for name in &parts.headers {
        let lines = request
            .headers
            .get_all(name)
            .iter()
            .map(http::HeaderValue::as_bytes);
        let values: Vec<_> = std::iter::once(name.as_str().as_bytes())
            .chain(lines)
            .collect();
        take(PartKind::Header, &values);
    }
    for name in &parts.cookies {
        let values: Vec<_> = std::iter::once(name.as_bytes())
            .chain(fields::cookies(request.headers, name))
            .collect();
        take(PartKind::Cookie, &values);
    }
    if parts.country {
        let country = request.place.and_then(|place| place.country);
        take(
            PartKind::Country,
            &[country
                .as_ref()
                .map_or("", |country| country.as_str())
                .as_bytes()],
        );
    }
    if parts.device {
        let device = Device::of(request.headers).as_str();
        take(PartKind::Device, &[device.as_bytes()]);
    }
}

/// The most characters of a key as text.
pub const TEXT_CHARS_MAX: usize = 512;

/// The key of a request as people read it (RFC 9211 §2.7): every part but the site with its kind, separated by spaces; what is
/// not printable is escaped, and what is longer than [`TEXT_CHARS_MAX`] is cut.
pub fn text(site: SiteId, parts: &KeyParts, request: &Request<'_>) -> String {
    let mut text = String::new();
    each_part(site, parts, request, |kind, values| {
        if kind == PartKind::Site {
            return;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(kind.as_str());
        for value in values {
            text.push('=');
            text.extend(value.escape_ascii().map(char::from));
        }
    });
    if text.len() > TEXT_CHARS_MAX {
        text.truncate(TEXT_CHARS_MAX - 3);
        text.push_str("...");
    }
    text
}

/// The query as it counts: the chosen parameters in their spelling, in their order or sorted by name. None: nothing of
/// it counts. Names are compared decoded, because the origin decodes them too.
pub fn chosen_query<'a>(parts: &KeyParts, query: Option<&'a str>) -> Option<Cow<'a, str>> {
    let query = query?;
    if parts.query == Names::All && !parts.sort_query {
        return Some(Cow::Borrowed(query));
    }
    // Each with its name, which is read once.
    let named = query
        .split('&')
        .map(|parameter| (fields::parameter_name(parameter), parameter));
    let mut chosen: Vec<(Cow<'_, str>, &str)> = match &parts.query {
        Names::None => return None,
        Names::All => named.collect(),
        names => named
            .filter(|(name, parameter)| !parameter.is_empty() && names.chooses(name))
            .collect(),
    };
    if chosen.is_empty() {
        return None;
    }
    if parts.sort_query {
        // Stable, by name alone: the order among values of one name means something to the origin.
        chosen.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    let mut text = String::with_capacity(query.len());
    for (number, (_, parameter)) in chosen.iter().enumerate() {
        if number > 0 {
            text.push('&');
        }
        text.push_str(parameter);
    }
    Some(Cow::Owned(text))
}
