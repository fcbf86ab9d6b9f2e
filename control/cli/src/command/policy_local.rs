//! `latencify policy validate|schema`: what needs no server.

use super::count;
use crate::{
    failure::Failure,
    output::Output,
    policy_files::{self, PolicyFiles},
};
use latencify_conf::{
    api::PolicyError,
    document,
    policy::Policy,
    validate::{SiteIds, validate as validate_bundle},
};
use serde::Serialize;
use std::path::Path;

/// What `validate` answers.
#[derive(Serialize)]
struct Verdict {
    valid: bool,
    digest: String,
    sites: usize,
    origins: usize,
    errors: Vec<PolicyError>,
}

/// Checks a policy and says what it holds, or all that is wrong with it.
pub fn validate(path: &Path, output: &Output) -> Result<(), Failure> {
    let files = policy_files::load(path)?;
    let digest = files.bundle.digest().to_string();
    match check(&files) {
        Ok(policy) => {
            let verdict = Verdict {
                valid: true,
                digest,
                sites: policy.sites.len(),
                origins: policy.origins.len(),
                errors: Vec::new(),
            };
            output.answer(&verdict, |verdict| {
                let (sites, origins) = (
                    count(verdict.sites, "site"),
                    count(verdict.origins, "origin"),
                );
                format!(
                    "{} is valid: {sites}, {origins}, {}",
                    path.display(),
                    verdict.digest
                )
            })
        }
        Err(Failure::PolicyInvalid { errors, folder }) if output.is_for_people() => {
            Err(Failure::PolicyInvalid { errors, folder })
        }
        Err(Failure::PolicyInvalid { errors, .. }) => {
            output.answer(
                &Verdict {
                    valid: false,
                    digest,
                    sites: 0,
                    origins: 0,
                    errors,
                },
                |_| String::new(),
            )?;
            Err(Failure::Answered)
        }
        Err(failure) => Err(failure),
    }
}

/// The policy as an edge would obey it, or every error with its place on this disk.
pub fn check(files: &PolicyFiles) -> Result<Policy, Failure> {
    validate_bundle(&files.bundle, &SiteIds::standalone()).map_err(|errors| {
        Failure::PolicyInvalid {
            errors,
            folder: files.folder.clone(),
        }
    })
}

/// The JSON Schema of policy files, which is JSON whatever the format.
pub fn schema(output: &Output) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&document::schema());
    output.text(
        &text.map_err(|error| Failure::failed(format!("the schema can't be written: {error}")))?,
    )
}
