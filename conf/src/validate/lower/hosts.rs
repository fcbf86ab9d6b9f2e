//! Which site answers for which host: each at most once in the whole policy.

use super::{At, Flaw, Lowering};
use crate::{document, policy::HostPattern};
use std::collections::HashMap;

/// The hosts of all sites so far, with the site and the place of each.
#[derive(Default)]
pub(super) struct Hosts<'t>(HashMap<HostPattern, (&'t str, At<'t>)>);

impl Hosts<'_> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Lowering<'_, '_, '_> {
    pub(super) fn hosts<'t>(
        &mut self,
        site: &'t str,
        written: &document::Site,
        at: At<'t>,
        taken: &mut Hosts<'t>,
    ) -> Vec<HostPattern> {
        for (host, at) in written.hosts.iter().zip(at.items()) {
            let Some((other, first)) = taken.0.insert(host.0.clone(), (site, at)) else {
                continue;
            };
            let place = self.report.name_place(first.place());
            let flaw = if other == site {
                Flaw::new("this host is there twice").help(format!("the first one is at {place}"))
            } else {
                Flaw::new(format!("the site `{other}` already answers for this host"))
                    .help(format!("it is at {place}; a host belongs to one site"))
            };
            self.refuse(at, flaw);
        }
        written.hosts.iter().map(|host| host.0.clone()).collect()
    }
}
