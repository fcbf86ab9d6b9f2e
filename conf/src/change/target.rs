//! What a purge names.

use super::SiteId;
use serde::{Deserialize, Serialize};

/// Whether purged objects may still be served as stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// No body from before it is ever served again, stale or not.
    Hard,
    /// The object is stale from now on: revalidated, and served under the policy's stale rules meanwhile.
    Soft,
}

/// What a purge names, resolved to sites. Paths are in the [normal form](crate::path::normalise) of what the client
/// sent, before any rewrite.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// One path of a site, over all its hosts, queries and variants.
    Url {
        /// The site.
        site: SiteId,
        /// The path.
        path: String,
    },
    /// A path and everything below it, in whole segments.
    Prefix {
        /// The site.
        site: SiteId,
        /// The path; `/` is the whole site.
        path: String,
    },
    /// Every object of a site that carries a tag (surrogate key).
    Tag {
        /// The site.
        site: SiteId,
        /// The tag, compared octet by octet.
        tag: String,
    },
    /// Every object of a site.
    Site {
        /// The site.
        site: SiteId,
    },
    /// Everything.
    All,
}
