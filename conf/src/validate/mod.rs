//! From a policy as it is written to the policy as it is obeyed.
//!
//! The stages, each over all files, each reporting all it finds:
//! 1. [`tree`]: YAML text → nodes that know their place (syntax, duplicate keys, bounds);
//! 2. [`check`]: structure against the published schema (unknown and missing keys, types, words, forms, bounds); what is
//!    wrong is cut out, so that the rest is still checked and no error is told twice;
//! 3. [`merge`]: the sections of all files → one document (duplicates across files);
//! 4. [`lower`]: document → [`Policy`](crate::policy::Policy): names are resolved, defaults filled in, and what must hold between values is checked.
//!
//! Rejected: typed deserialization alone (it stops at the first error and untagged choices lose their place), and a
//! hand-written decoder (a second truth beside the schema that editors use).

mod at;
mod check;
mod ids;
mod lower;
mod merge;
mod nearest;
mod report;
mod tree;

pub use ids::SiteIds;
pub use report::render;

use crate::{
    api::PolicyError,
    bundle::{BUNDLE_BYTES_MAX, Bundle},
    document::{self, text::Flaw},
    policy::Policy,
};
use report::Report;
use std::{collections::BTreeSet, sync::LazyLock};
use tree::{Place, Read, Tree};

static SCHEMA: LazyLock<serde_json::Value> = LazyLock::new(document::schema);

/// The policy that a bundle means, or every error in it at once, in the order of files and lines.
///
/// Pure: no file is opened and no name is looked up, so a policy may still fail on an edge, for want of a certificate's
/// file for example.
pub fn validate(bundle: &Bundle, ids: &SiteIds) -> Result<Policy, Vec<PolicyError>> {
    validate_knowing(bundle, ids, None)
}

/// As [`validate`]; and a secret that the policy names must be one of these, where that is known.
pub fn validate_knowing(
    bundle: &Bundle,
    ids: &SiteIds,
    secrets: Option<&BTreeSet<String>>,
) -> Result<Policy, Vec<PolicyError>> {
    let mut report = Report::new(bundle.files());
    let bytes: usize = bundle.files().iter().map(|file| file.text.len()).sum();
    let nowhere = Place {
        file: 0,
        line: 0,
        column: 0,
    };
    if bytes > BUNDLE_BYTES_MAX {
        let flaw = Flaw::new(format!("the policy has {bytes} bytes"))
            .help(format!("at most {BUNDLE_BYTES_MAX}"));
        report.add(nowhere, String::new(), flaw);
        return Err(report.finish());
    }
    let mut tree = Tree::default();
    let mut roots = Vec::new();
    let mut broken = false;
    for (index, file) in bundle.files().iter().enumerate() {
        match tree::read(&mut tree, index, &file.text, &mut report) {
            Read::Root(root) => {
                check::check(&mut tree, root, &SCHEMA, &mut report);
                broken |= !tree.is_sound(root);
                roots.push(root);
            }
            Read::Empty => {}
            Read::Broken => broken = true,
        }
    }
    // What a file that is not understood would have given can't be missed by the others.
    if broken {
        return Err(report.finish());
    }
    let (document, root) = match merge::merge(&mut tree, &roots, &mut report) {
        Ok(merged) => merged,
        Err(error) => {
            let flaw = Flaw::new(format!("not understood: {error}"));
            report.add(
                nowhere,
                String::new(),
                flaw.help("this is a defect of latencify: please report the file"),
            );
            return Err(report.finish());
        }
    };
    let policy = lower::lower(
        &document,
        at::At::new(&tree, root),
        ids,
        secrets,
        bundle.digest(),
        &mut report,
    );
    if report.is_empty() {
        Ok(policy)
    } else {
        Err(report.finish())
    }
}
