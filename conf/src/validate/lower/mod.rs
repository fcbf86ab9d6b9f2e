//! From the sound part of a document to the policy as it is obeyed: names become indices, defaults are filled in, and
//! what must hold between values is checked. Every function follows the document with a cursor over the tree.

mod access;
mod auth;
mod cache;
mod edge;
mod edit;
mod hosts;
mod key;
mod keyed;
mod limit;
mod origin;
mod reach;
mod route;
mod site;
mod steering;

use super::{at::At, ids::SiteIds, nearest::suggest, report::Report, tree::Place};
use crate::{
    digest::Digest,
    document::{Document, SecretRef, text::Flaw},
    policy::{Policy, SecretName},
};
use std::collections::{BTreeSet, HashMap};

/// The most sites of a policy.
pub(super) const SITES_MAX: usize = 10_000;
/// The most origins of a policy.
pub(super) const ORIGINS_MAX: usize = 10_000;
/// The most certificates of a policy.
pub(super) const CERTIFICATES_MAX: usize = 10_000;
/// The most hosts of all sites together.
pub(super) const HOSTS_MAX: usize = 100_000;
/// The most routes of all sites together.
pub(super) const ROUTES_MAX: usize = 100_000;

/// What lowering needs everywhere.
struct Lowering<'l, 't, 'b> {
    report: &'l mut Report<'b>,
    ids: &'l SiteIds,
    origins: Names<'t>,
    certificates: Names<'t>,
    /// The weight of each origin, by index.
    weights: Vec<u32>,
    /// The secrets that there are; none: nobody knows here.
    secrets: Option<&'l BTreeSet<String>>,
}

/// The names of a section with the index of each; none for one that was refused.
struct Names<'t>(HashMap<&'t str, Option<usize>>);

/// The policy of a document. It holds only if nothing was reported.
pub(super) fn lower(
    document: &Document,
    root: At<'_>,
    ids: &SiteIds,
    secrets: Option<&BTreeSet<String>>,
    digest: Digest,
    report: &mut Report<'_>,
) -> Policy {
    let mut lowering = Lowering {
        report,
        ids,
        origins: Names::of(root.section("origins")),
        certificates: Names::of(root.section("certificates")),
        weights: Vec::new(),
        secrets,
    };
    lowering.bounded(root, "certificates", CERTIFICATES_MAX);
    lowering.bounded(root, "origins", ORIGINS_MAX);
    lowering.bounded(root, "sites", SITES_MAX);
    let certificates = origin::certificates(document, root);
    let origins = lowering.origins(document, root);
    let sites = lowering.sites(document, root);
    let edge = lowering.edge(document.edge.as_ref(), root);
    Policy {
        digest,
        edge,
        sites,
        origins,
        certificates,
    }
}

impl Lowering<'_, '_, '_> {
    /// Reports what is wrong with a value.
    fn refuse(&mut self, at: At<'_>, flaw: Flaw) {
        self.report.add(at.place(), at.path(), flaw);
    }

    /// Reports what is wrong with a key, or with a whole entry.
    fn refuse_key(&mut self, at: At<'_>, flaw: Flaw) {
        self.report.add(at.key_place(), at.path(), flaw);
    }

    /// A secret by its name, which must be one that there is, where that is known.
    fn secret(&mut self, written: &SecretRef, at: At<'_>) -> SecretName {
        let name = &written.name.0;
        if let Some(known) = self.secrets.filter(|known| !known.contains(name)) {
            let flaw = Flaw::new(format!("there is no secret `{name}`"));
            let nearest = suggest(name, known.iter().map(String::as_str), "known secrets");
            let make = format!("make it with `latencify secret set {name}`");
            let help = if known.is_empty() {
                make
            } else {
                format!("{nearest}; or {make}")
            };
            self.refuse(at.key("ref"), flaw.help(help));
        }
        SecretName(name.as_str().into())
    }

    fn bounded(&mut self, root: At<'_>, section: &str, max: usize) {
        let count = root
            .section(section)
            .map_or(0, |section| section.all_entries().len());
        if count > max {
            self.refuse_key(
                root.key(section),
                Flaw::new(format!("{count} {section} are too many")).help(format!("at most {max}")),
            );
        }
    }
}

impl<'t> Names<'t> {
    fn of(section: Option<At<'t>>) -> Self {
        let Some(section) = section else {
            return Self(HashMap::new());
        };
        let mut names: HashMap<&str, Option<usize>> = section
            .all_entries()
            .iter()
            .map(|entry| (entry.key.as_str(), None))
            .collect();
        for (index, (name, _)) in section.entries().enumerate() {
            names.insert(name, Some(index));
        }
        Self(names)
    }

    /// The index of a name, if there is one; an unknown name is reported as a `what`.
    fn find(&self, name: &str, what: &str, at: At<'_>, report: &mut Report<'_>) -> Option<usize> {
        if let Some(index) = self.0.get(name) {
            return *index;
        }
        let help = suggest(name, self.0.keys().copied(), &format!("{what}s"));
        report.add(
            at.place(),
            at.path(),
            Flaw::new(format!("there is no {what} `{name}`")).help(help),
        );
        None
    }
}

/// A second thing where one is allowed, and where the first is.
fn twice(what: &str, first: Place, report: &Report<'_>) -> Flaw {
    Flaw::new(format!("{what} is there twice"))
        .help(format!("the first one is at {}", report.name_place(first)))
}
