//! Sites.

use super::{
    At, Flaw, HOSTS_MAX, Lowering, ROUTES_MAX, hosts::Hosts, limit::SiteLimits, reach::Reach, twice,
};
use crate::{
    change::SiteId,
    document::{self, Document},
    policy::{CertificateId, PurgeAccess, Route, Site},
};
use std::{collections::HashMap, sync::Arc};

impl Lowering<'_, '_, '_> {
    pub(super) fn sites(&mut self, document: &Document, root: At<'_>) -> Vec<Arc<Site>> {
        let mut sites = Vec::new();
        let mut hosts = Hosts::default();
        let mut ids: HashMap<SiteId, &str> = HashMap::new();
        let mut routes = 0;
        for (name, at) in root.section("sites").into_iter().flat_map(At::entries) {
            let Some(written) = document.sites.get(name) else {
                continue;
            };
            let site = self.site(name, written, at, &mut hosts);
            routes += site.routes.len();
            if let Some(other) = ids.insert(site.id, name) {
                let flaw = Flaw::new(format!(
                    "the names `{name}` and `{other}` have the same id {}",
                    site.id
                ));
                self.refuse_key(at, flaw.help("rename one of them"));
            }
            sites.push(Arc::new(site));
        }
        if !root.has("sites")
            || root
                .section("sites")
                .is_some_and(|sites| sites.all_entries().is_empty())
        {
            let flaw = Flaw::new("there are no sites");
            self.refuse_key(
                root.key("sites"),
                flaw.help(
                    "add `sites:` with at least one, like `main: { hosts: [\"*\"], routes: […] }`",
                ),
            );
        }
        for (count, max, what) in [
            (routes, ROUTES_MAX, "routes"),
            (hosts.len(), HOSTS_MAX, "hosts"),
        ] {
            if count > max {
                let flaw = Flaw::new(format!("{count} {what} are too many"))
                    .help(format!("at most {max}"));
                self.refuse_key(root.key("sites"), flaw);
            }
        }
        sites
    }

    fn site<'t>(
        &mut self,
        name: &'t str,
        written: &document::Site,
        at: At<'t>,
        hosts: &mut Hosts<'t>,
    ) -> Site {
        let id = self.ids.get(name).unwrap_or_else(|| {
            let flaw = Flaw::new(format!("the site `{name}` has no id in the change log"));
            self.refuse_key(
                at,
                flaw.help("apply the policy through the control service, which gives one"),
            );
            SiteId(0)
        });
        let certificate = written.certificate.as_ref().and_then(|certificate| {
            self.certificates.find(
                &certificate.0,
                "certificate",
                at.key("certificate"),
                self.report,
            )
        });
        let purge = written
            .purge
            .as_ref()
            .map_or_else(PurgeAccess::default, |purge| PurgeAccess {
                from: purge.from.as_slice().iter().map(|block| block.0).collect(),
            });
        Site {
            id,
            name: name.into(),
            hosts: self.hosts(name, written, at.key("hosts"), hosts),
            certificate: certificate.map(CertificateId),
            purge,
            routes: self.routes(name, written, at.key("routes")),
        }
    }

    fn routes(&mut self, site: &str, written: &document::Site, at: At<'_>) -> Vec<Arc<Route>> {
        let mut routes: Vec<Arc<Route>> = Vec::with_capacity(written.routes.len());
        let mut names = HashMap::new();
        let mut limits = SiteLimits::default();
        let mut reach = Reach::default();
        let mut clear = Vec::new();
        for (written, at) in written.routes.iter().zip(at.items()) {
            let number = at.index().unwrap_or(routes.len()) + 1;
            let route = self.route(site, number, written, at, &mut limits);
            if let Some(first) = names.insert(Arc::clone(&route.name), at.key("name").place()) {
                let flaw = twice(
                    &format!("the route name `{}`", route.name),
                    first,
                    self.report,
                );
                self.refuse(at.key("name"), flaw);
            }
            // Without a condition that was refused, a route would seem to match more than its author meant.
            let is_clear = !at.has("match") || at.key("match").is_wholly_sound();
            if let Some(earlier) = reach.add(&route.matches, is_clear, &routes) {
                let flaw = Flaw::new(format!(
                    "no request reaches this route: `{earlier}` takes them all"
                ));
                self.refuse(
                    at,
                    flaw.help("the first route that matches decides: put the narrower one first"),
                );
            }
            let route = Arc::new(route);
            if at.is_wholly_sound() {
                clear.push((Arc::clone(&route), at));
            }
            routes.push(route);
        }
        self.keyed(&clear);
        routes
    }
}
