//! Edits of headers and paths, and redirects.

use super::{
    Map, OneOrMany,
    text::{AbsolutePath, HeaderName, HeaderValue, RedirectTarget},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Edits of headers: first `remove`, then `set`, then `add`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderEdits {
    /// All lines of these go.
    pub remove: Vec<HeaderName>,
    /// One line instead of all.
    pub set: Map<HeaderName, HeaderValue>,
    /// More lines.
    pub add: Map<HeaderName, OneOrMany<HeaderValue>>,
}

/// A change of the path on the way to the origin. Cache key and purges see the path that the client sent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rewrite {
    /// A leading run of whole segments is replaced.
    Prefix(PrefixRewrite),
    /// The whole path is replaced; the query stays.
    Path(AbsolutePath),
}

/// A leading run of whole segments is replaced.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrefixRewrite {
    /// What goes.
    pub from: AbsolutePath,
    /// What comes instead.
    pub to: AbsolutePath,
}

/// A redirect.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Redirect {
    /// `https`: the same URL over HTTPS, by 308.
    Https(HttpsWord),
    /// The same URL over HTTPS, on a port of its own.
    ToHttps(HttpsRedirect),
    /// Another URL.
    To(RedirectTo),
}

/// The word `https`.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpsWord {
    /// The same URL over HTTPS. The route takes only requests over HTTP.
    Https,
}

/// The same URL over HTTPS. The route takes only requests over HTTP.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpsRedirect {
    /// Details.
    pub https: HttpsTarget,
}

/// Details of a redirect to HTTPS.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpsTarget {
    /// The port that clients see. Default 443.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<u16>,
    /// 301, 302, 303, 307 or 308. Default 308: for good, method kept.
    pub status: Option<RedirectStatus>,
}

/// A redirect to another URL.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedirectTo {
    /// Where to.
    pub to: RedirectTarget,
    /// 301, 302, 303, 307 or 308. Default 307: for now, method kept.
    pub status: Option<RedirectStatus>,
}

/// The status of a redirect.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RedirectStatus(#[schemars(extend("enum" = [301, 302, 303, 307, 308]))] pub u16);
