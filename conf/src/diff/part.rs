//! A policy as a tree of named parts.

use crate::digest::Digest;

/// A part with a name among its neighbours: a site, a route, an origin.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// As the path of a change shows it; one name once among neighbours.
    pub name: String,
    /// What it is, in short: shown when it is new or gone as a whole.
    pub short: String,
    /// What is true of it.
    pub facts: Vec<Fact>,
    /// What it holds.
    pub parts: Vec<Part>,
    /// What the order of its parts is called, if it decides something.
    pub order: Option<&'static str>,
}

/// One thing that is true of a part, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    /// What it is about; one name once among a part's facts.
    pub name: String,
    /// In words.
    pub shown: String,
    /// Of what is not shown, enough to see that it differs.
    hidden: Option<Digest>,
}

impl Fact {
    /// A fact that may be shown.
    pub(super) fn new(name: impl Into<String>, shown: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            shown: shown.into(),
            hidden: None,
        }
    }

    /// A fact of which only `shown` is told: `secret` may be one.
    pub(super) fn hidden(name: impl Into<String>, shown: impl Into<String>, secret: &[u8]) -> Self {
        Self {
            hidden: Some(Digest::of_parts([secret])),
            ..Self::new(name, shown)
        }
    }
}

impl Part {
    /// The root of no policy.
    pub(super) fn nothing() -> Self {
        Self::new(String::new(), String::new(), Vec::new())
    }

    /// A part that holds no others.
    pub(super) fn new(name: impl Into<String>, short: impl Into<String>, facts: Vec<Fact>) -> Self {
        Self {
            name: name.into(),
            short: short.into(),
            facts,
            parts: Vec::new(),
            order: None,
        }
    }
}
