//! Access lists.

use super::{OneOrMany, text::Client};
use schemars::JsonSchema;
use serde::Deserialize;

/// An access list by addresses and countries.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Access {
    /// Rules in order; the first that matches decides. A client that none matches is let in if all rules are `deny`.
    Rules(#[schemars(length(min = 1))] Vec<AccessRule>),
    /// Rules in order, with a word on clients that none matches.
    Ordered(OrderedAccess),
    /// First `deny`, then `allow`.
    ByKind(AccessByKind),
}

/// Rules in order.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderedAccess {
    /// The first that matches decides.
    #[schemars(length(min = 1))]
    pub rules: Vec<AccessRule>,
    /// What becomes of a client that no rule matches. Default `allow` if all rules are `deny`, else `deny`.
    pub otherwise: Option<Verdict>,
}

/// Denied and allowed clients; `deny` is looked at first.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessByKind {
    /// These are let in, unless they are denied.
    pub allow: Option<OneOrMany<Client>>,
    /// These are refused.
    pub deny: Option<OneOrMany<Client>>,
    /// What becomes of all others. Default `deny` if `allow` is there, else `allow`.
    pub otherwise: Option<Verdict>,
}

/// One rule.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessRule {
    /// These are let in.
    Allow(OneOrMany<Client>),
    /// These are refused.
    Deny(OneOrMany<Client>),
}

/// Whether a client is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is.
    Allow,
    /// It is not: 403.
    Deny,
}
