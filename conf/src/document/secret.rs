//! Secrets, by name.

use super::text::Name;
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;

/// A secret by its name. Its value is never in a policy: control keeps it sealed (`latencify secret set NAME`) and gives it to
/// edges whose policy names it; an edge that stands alone reads it from its folder of secrets (`--secrets`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRef {
    /// The secret's name.
    #[serde(rename = "ref")]
    pub name: Name,
}

/// A secret that may also be written out: `{ref: NAME}`, or the value itself, which whoever reads the policy then knows.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Secret {
    /// By its name.
    Ref(SecretRef),
    /// As it is.
    Text(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ref(reference) => reference.fmt(f),
            Self::Text(_) => f.write_str("Text(…)"),
        }
    }
}
