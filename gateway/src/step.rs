//! A step of a decision, as records tell it: `site:shop`, `admit:granted`.

use std::sync::Arc;

/// One step. Those of every request are made with the policy, so that telling them costs nothing.
#[derive(Debug, Clone)]
pub enum Step {
    /// The same in every policy.
    Fixed(&'static str),
    /// Made with the policy.
    Ready(Arc<str>),
    /// Made for this request.
    Told(String),
}

impl Step {
    /// The step.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Fixed(step) => step,
            Self::Ready(step) => step,
            Self::Told(step) => step,
        }
    }
}

impl From<&'static str> for Step {
    fn from(step: &'static str) -> Self {
        Self::Fixed(step)
    }
}

impl From<Arc<str>> for Step {
    fn from(step: Arc<str>) -> Self {
        Self::Ready(step)
    }
}

impl From<String> for Step {
    fn from(step: String) -> Self {
        Self::Told(step)
    }
}
