//! Edits of headers and paths, and redirects.

/// Edits of headers: first removed, then set, then added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderEdits {
    /// All lines of these go.
    pub remove: Vec<http::HeaderName>,
    /// One line instead of all.
    pub set: Vec<(http::HeaderName, http::HeaderValue)>,
    /// One more line.
    pub add: Vec<(http::HeaderName, http::HeaderValue)>,
}

/// Changes of the path on its way to the origin. Key and marks see the path that the client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// A leading run of whole segments is replaced.
    Prefix {
        /// What goes; `/` is nothing.
        from: String,
        /// What comes instead.
        to: String,
    },
    /// The whole path is replaced; the query stays.
    Path(String),
}

/// A redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Where to.
    pub to: RedirectTo,
}

/// Where a redirect points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedirectTo {
    /// The same URL over HTTPS, on this port (443 is left out).
    Https {
        /// The port.
        port: u16,
    },
    /// A URL or an absolute path, where `{host}`, `{path}` and `{query}` stand for the request's; `{query}` brings its `?`.
    Url(String),
}
