//! What a request that changes something makes unfit for reuse (RFC 9111 §4.4).

use crate::{facts::Request, methods};
use http::{HeaderMap, Method, header};
use latencify_conf::path;
use url::Url;

/// A URI's origin (RFC 9110 §4.3.1), as the client asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Whether the scheme is `https`.
    pub https: bool,
    /// Host and port, as `Host` or `:authority` has them.
    pub authority: &'a str,
}

impl<'a> Origin<'a> {
    /// The origin of a request's target.
    pub fn of(request: &Request<'a>) -> Self {
        Self {
            https: request.https,
            authority: request.authority,
        }
    }

    /// The scheme.
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// The port, unless the scheme implies it.
    pub fn port(&self) -> Option<&'a str> {
        let implied = if self.https { "443" } else { "80" };
        self.split().1.filter(|port| *port != implied)
    }

    /// Host and port in one spelling: lower case, no trailing dot, no port that the scheme implies.
    pub fn authority(&self) -> String {
        let (host, _) = self.split();
        let mut text = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if let Some(port) = self.port() {
            text.push(':');
            text.push_str(port);
        }
        text
    }

    /// Host and port; a port without zeros before it, and none if nothing is behind the colon.
    fn split(&self) -> (&'a str, Option<&'a str>) {
        match self.authority.rsplit_once(':') {
            Some((host, "")) => (host, None),
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                let zeros = port.bytes().take_while(|byte| *byte == b'0').count();
                (host, port.get(zeros.min(port.len() - 1)..))
            }
            _ => (self.authority, None),
        }
    }
}

/// The request whose response may invalidate.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The method.
    pub method: &'a Method,
    /// The origin of its target.
    pub origin: Origin<'a>,
    /// The [normal](path::normalise) path of its target.
    pub path: &'a str,
    /// The query of its target, without `?`.
    pub query: Option<&'a str>,
}

impl<'a> Change<'a> {
    /// A request as a change.
    pub fn of(request: &Request<'a>) -> Self {
        Self {
            method: request.method,
            origin: Origin::of(request),
            path: request.path,
            query: request.query,
        }
    }
}

/// 2xx and 3xx: only they invalidate.
pub fn is_non_error(status: u16) -> bool {
    matches!(status, 200..=399)
}

/// The normal paths, each once, whose stored responses are not used again: of the target, and of `Location` and
/// `Content-Location` where they are of the same origin. All queries and variants of a path go, so none of a URI's
/// spellings is missed. Empty for safe methods and errors.
pub fn paths(change: &Change<'_>, status: u16, response: &HeaderMap) -> Vec<String> {
    if methods::is_safe(change.method) || !is_non_error(status) {
        return Vec::new();
    }
    let mut found = vec![change.path.to_owned()];
    let named = [header::LOCATION, header::CONTENT_LOCATION];
    let lines = named.iter().flat_map(|name| response.get_all(name));
    for path in lines.filter_map(|line| same_origin_path(change, line.to_str().ok()?)) {
        if !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// The path that a URI reference names, if its origin is the target's: else anybody could empty another's cache.
fn same_origin_path(change: &Change<'_>, reference: &str) -> Option<String> {
    let origin = change.origin;
    let mut base = Url::parse(&format!("{}://{}", origin.scheme(), origin.authority())).ok()?;
    base.set_path(change.path);
    base.set_query(change.query);
    let url = base.join(reference).ok()?;
    let host = |url: &Url| {
        let host = url.host_str()?;
        Some(host.strip_suffix('.').unwrap_or(host).to_owned())
    };
    let is_same = url.scheme() == base.scheme()
        && host(&url) == host(&base)
        && url.port_or_known_default() == base.port_or_known_default();
    is_same.then(|| path::normalise(url.path()).into_owned())
}
