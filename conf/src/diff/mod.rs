//! What differs between two policies as obeyed: sites, routes, origins, keys, limits; not lines of text. Pure.
//!
//! # Characters
//! - [`part`]: a policy as a tree of named parts, each with its facts in words. The `describe` modules make it; each takes
//!   its type apart field by field, so that a field which nobody describes does not compile.
//! - [`compare`]: two trees → [`PolicyChange`]s. A part that is on one side alone is one change, with what it is in short.
//!
//! # What must hold
//! - No secret is shown, nor anything that may be one: that it differs is all that is told ([`part::Fact::hidden`]).
//! - Two policies that are obeyed alike have no difference, however they are written; two that are obeyed otherwise have
//!   one.
//!
//! # Rejected
//! - *Text*: `ttl: 60s` and `ttl: 1m` are one thing, and a moved block is none.
//! - *Routes by their place*: one that is inserted in front would change every one behind it. A route without a name of its own is
//!   known by what it matches.

mod compare;
mod edge;
mod origin;
mod part;
mod route;
mod site;
mod words;

use crate::policy::Policy;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most changes that are told one by one; of more, only how many there are.
pub const CHANGES_MAX: usize = 1_000;

/// What differs from one policy to another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyDiff {
    /// In the order of the parts: the edge, origins, certificates, sites; at most 1,000.
    pub changes: Vec<PolicyChange>,
    /// Changes beyond those.
    #[serde(default)]
    pub more: usize,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyChange {
    /// Where, from the outside in: `site shop`, `route images`, `cache ttl default`.
    pub path: Vec<String>,
    /// What happened to it.
    pub kind: ChangeKind,
    /// What it was; none: it was not there. Secrets are never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it is; none: it is not there any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What happened to a part or a fact of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
}

impl PolicyDiff {
    /// From one policy (none: nothing) to another.
    pub fn between(from: Option<&Policy>, to: &Policy) -> Self {
        let before = from.map_or_else(part::Part::nothing, describe);
        let mut changes = compare::parts(&before, &describe(to));
        let more = changes.len().saturating_sub(CHANGES_MAX);
        changes.truncate(CHANGES_MAX);
        Self { changes, more }
    }

    /// Whether both are obeyed alike.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

fn describe(policy: &Policy) -> part::Part {
    // The digest is of the files as written, which may differ where nothing that is obeyed does.
    let Policy {
        digest: _,
        edge,
        sites,
        origins,
        certificates,
    } = policy;
    let mut parts = vec![edge::describe(edge)];
    parts.extend(origins.iter().map(|origin| origin::describe(origin)));
    parts.extend(certificates.iter().map(site::certificate));
    parts.extend(sites.iter().map(|site| site::describe(policy, site)));
    part::Part {
        parts,
        ..part::Part::nothing()
    }
}

/// Lines like those of `diff`: `+` is new, `-` is gone, `~` is another.
impl fmt::Display for PolicyDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        match self.more {
            0 => Ok(()),
            more => writeln!(f, "… and {more} more"),
        }
    }
}

impl fmt::Display for PolicyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.join(" / ");
        let text = |side: &Option<String>| side.clone().unwrap_or_default();
        match self.kind {
            ChangeKind::Added => write!(f, "+ {path}: {}", text(&self.to)),
            ChangeKind::Removed => write!(f, "- {path}: {}", text(&self.from)),
            ChangeKind::Changed => {
                write!(f, "~ {path}: {} -> {}", text(&self.from), text(&self.to))
            }
        }
    }
}

#[cfg(test)]
mod tests;
