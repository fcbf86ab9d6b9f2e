//! Errors on the wire (RFC 9457, `application/problem+json`).

use serde::{Deserialize, Serialize};

/// What went wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// A stable name of the kind of problem, as a URI reference: `/problems/policy-invalid`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words; the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence: the place and the remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The request's id, as in the logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whether the same request may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// Every error of a refused policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<PolicyError>,
}

/// One error in a policy file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyError {
    /// The file's name.
    pub file: String,
    /// Line, from 1; 0 when the error belongs to no line.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Where in the document: `sites.shop.routes[2].cache.ttl`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do: the nearest known name, the bounds, an example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The line, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
}
