//! A policy as it is written: the sections of its YAML files, key by key, with the words that editors show. The types
//! carry form and bounds of single values; what must hold between them is [`validate`](crate::validate)'s to check.

mod access;
mod auth;
mod cache;
mod door;
mod edge_limits;
mod edit;
mod limit;
mod map;
mod origin;
mod route;
mod schema;
mod secret;
mod site;
pub mod text;

pub use access::{Access, AccessByKind, AccessRule, OrderedAccess, Verdict};
pub use auth::{Auth, Jwt, TokenSource};
pub use cache::{
    Cache, CacheKey, CacheRules, CacheStatus, CdnCacheControl, Disk, Heuristic, Query, SetCookie,
};
pub use door::{EdgeTls, ProxyProtocol, TlsVersion};
pub use edge_limits::EdgeLimits;
pub use edit::{
    HeaderEdits, HttpsRedirect, HttpsTarget, HttpsWord, PrefixRewrite, Redirect, RedirectStatus,
    RedirectTo, Rewrite,
};
pub use limit::{RateKey, RateLimit};
pub use map::{Map, OneOrMany};
pub use origin::{
    AwsV4, ClientCertificate, Health, Origin, Place, SecretHeader, Sign, StatusItem, Tls,
};
pub use route::{
    Exactly, HeaderCondition, Limits, Match, Origins, Route, Steering, Timeouts, Weight,
};
pub use schema::schema;
pub use secret::{Secret, SecretRef};
pub use site::{Certificate, ClientAddressHeader, Edge, Purge, Site};

use schemars::JsonSchema;
use serde::Deserialize;
use text::Name;

/// The version of the policy language.
pub const VERSION: u64 = 1;

/// A latencify policy: the sites that an edge serves, and the origins that their content comes from. A policy may be
/// spread over several files; their sections are merged.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "latencify policy")]
pub struct Document {
    /// The address of this schema, for editors. latencify does not read it.
    #[serde(rename = "$schema")]
    pub schema: Option<String>,
    /// The version of the policy language. Default 1.
    #[schemars(range(min = VERSION, max = VERSION))]
    pub version: Option<u64>,
    /// What holds for every request, whatever the site.
    pub edge: Option<Edge>,
    /// Certificates by name.
    pub certificates: Map<Name, Certificate>,
    /// Origins by name: where content comes from.
    pub origins: Map<Name, Origin>,
    /// Sites by name: which hosts are served, and how.
    pub sites: Map<Name, Site>,
}
