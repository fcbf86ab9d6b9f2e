//! What callers that are limited to sites may change.
//!
//! # Purges and content events
//! Every target, resolved to sites, must be one of theirs: a tag without a site, and everything, are everybody's.
//!
//! # Policies
//! A submission may differ from the newest revision in the routes and purge rules of their sites, and in nothing else: not in
//! which sites there are, whom they answer for and with which certificates, not in origins or what holds for the whole edge, and
//! no other site may differ. Their sites may go to no origin that none of their sites went to before: it is somebody else's.

use super::{Control, Refused, reading, resolve::InUse};
use crate::identity::Caller;
use latencify_conf::{
    bundle::{Bundle, File},
    change::{Revision, Target},
    policy::{Action, OriginId, Policy, Site},
    validate::{SiteIds, validate},
};
use std::{collections::BTreeSet, sync::Arc};

/// Whether the caller may purge these.
pub(super) fn purges(caller: &Caller, targets: &[Target], names: &InUse) -> Result<(), Refused> {
    if caller.sites().is_none() {
        return Ok(());
    }
    for target in targets {
        let site = match target {
            Target::All => {
                caller.everywhere("a purge of everything concerns all sites")?;
                continue;
            }
            Target::Url { site, .. }
            | Target::Prefix { site, .. }
            | Target::Tag { site, .. }
            | Target::Site { site } => *site,
        };
        match names.name_of(site) {
            Some(name) => caller.of_site(name)?,
            None => caller.everywhere("it concerns a site that no policy names any more")?,
        }
    }
    Ok(())
}

impl Control {
    /// Whether a caller that is limited to sites may submit these files: then the revision that they were compared with, which
    /// must still be the newest when they are written. A caller that is not gets back what it said itself.
    pub async fn may_submit(
        &self,
        caller: &Caller,
        files: &[File],
        base: Option<Revision>,
    ) -> Result<Option<Revision>, Refused> {
        let Some(sites) = caller.sites().cloned() else {
            return Ok(base);
        };
        let state = self.fleet.fold.state();
        if state.rollout.is_some() {
            caller
                .everywhere("a policy is being rolled out, and another would replace it at once")?;
        }
        let newest = state
            .head
            .as_ref()
            .map_or(Revision(0), |head| head.revision);
        if base.is_some_and(|base| base != newest) {
            return Err(Refused::HeadMoved { head: newest });
        }
        let Some(row) = self.fleet.store.policy(newest).await? else {
            caller.everywhere("the first policy concerns all sites")?;
            return Ok(base);
        };
        let before = reading::stored_bundle(&self.fleet.store, row.head()?.digest).await?;
        let after = Bundle::new(files.to_vec());
        let read = tokio::task::spawn_blocking(move || {
            [before, after].map(|bundle| validate(&bundle, &SiteIds::standalone()))
        });
        let [before, after] = read
            .await
            .map_err(|error| Refused::Invalid(format!("validation failed: {error}")))?;
        let before = before.map_err(|errors| Refused::PolicyUnreadable {
            revision: newest,
            why: errors
                .into_iter()
                .next()
                .map(|error| error.message)
                .unwrap_or_default(),
        })?;
        let after = after.map_err(Refused::PolicyInvalid)?;
        match reaches_further(&before, &after, &sites) {
            Some(what) => {
                caller.everywhere(&what)?;
                Ok(Some(newest))
            }
            None => Ok(Some(newest)),
        }
    }
}

/// What differs between two policies that is not of these sites alone.
fn reaches_further(before: &Policy, after: &Policy, sites: &BTreeSet<String>) -> Option<String> {
    let shared = [
        (before.edge == after.edge, "the edge's rules"),
        (before.origins == after.origins, "origins"),
        (before.certificates == after.certificates, "certificates"),
    ];
    if let Some((_, what)) = shared.into_iter().find(|(is_same, _)| !is_same) {
        return Some(format!("{what}, which all sites share, would change"));
    }
    let names =
        |policy: &Policy| -> Vec<_> { policy.sites.iter().map(|site| site.name.clone()).collect() };
    if names(before) != names(after) {
        return Some("sites would be added, removed or put in another order".to_owned());
    }
    let own = |site: &&Arc<Site>| sites.contains(&*site.name);
    let known: BTreeSet<_> = before.sites.iter().filter(own).flat_map(origins).collect();
    for (before, after) in before.sites.iter().zip(&after.sites) {
        let name = &after.name;
        if !sites.contains(&**name) {
            if before != after {
                return Some(format!("the site {name} would change"));
            }
            continue;
        }
        if before.hosts != after.hosts || before.certificate != after.certificate {
            return Some(format!(
                "the hosts or the certificate of {name} would change, which takes from other sites or gives to them"
            ));
        }
        if !origins(after).is_subset(&known) {
            return Some(format!(
                "{name} would go to an origin that none of these sites goes to"
            ));
        }
    }
    None
}

fn origins(site: &Arc<Site>) -> BTreeSet<OriginId> {
    let mut origins = BTreeSet::new();
    for route in &site.routes {
        if let Action::Proxy(proxy) = &route.action {
            origins.extend(proxy.steering.origins().iter().map(|origin| origin.origin));
        }
    }
    origins
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        let file = File {
            name: "policy.yaml".into(),
            text: text.into(),
        };
        validate(&Bundle::new(vec![file]), &SiteIds::standalone()).unwrap()
    }

    const HEAD: &str = "version: 1
origins:
  app: { url: \"http://127.0.0.1:9\" }
  theirs: { url: \"http://127.0.0.1:8\" }
sites:
  shop: { hosts: [shop.example], routes: [{ origins: [app], cache: true }] }
  blog: { hosts: [blog.example], routes: [{ origins: [theirs] }] }
";

    #[test]
    fn nothing_but_the_routes_of_their_sites_may_differ() {
        let cases = [
            ("cache: true", "cache: false", None),
            ("version: 1", "version: 1 # a comment", None),
            (
                "origins: [theirs]",
                "origins: [theirs], cache: true",
                Some("the site blog"),
            ),
            ("127.0.0.1:8", "127.0.0.1:7", Some("origins, which")),
            (
                "[shop.example]",
                "[shop.example, cart.blog.example]",
                Some("the hosts"),
            ),
            (
                "[app], cache: true",
                "[theirs]",
                Some("an origin that none"),
            ),
            (
                "  blog:",
                "  news: { hosts: [news.example], routes: [{ origins: [app] }] }\n  blog:",
                Some("sites would be added"),
            ),
            (
                "sites:",
                "edge: { trusted_hops: [10.0.0.0/8] }\nsites:",
                Some("the edge's rules"),
            ),
        ];
        let sites = BTreeSet::from(["shop".to_owned()]);
        for (from, to, expected) in cases {
            let found =
                reaches_further(&policy(HEAD), &policy(&HEAD.replacen(from, to, 1)), &sites);
            match expected {
                None => assert_eq!(found, None, "{to}"),
                Some(expected) => assert!(
                    found.as_ref().is_some_and(|found| found.contains(expected)),
                    "{to}: {found:?}"
                ),
            }
        }
    }
}
