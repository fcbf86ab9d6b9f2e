//! From a bundle to what requests are decided by.

use crate::{
    listen::tls::Certificates,
    observe::{RouteCounts, Tally},
    origin::Origins,
    secrets::Secrets,
};
use latencify_cache::History;
use latencify_conf::{
    bundle::Bundle,
    change::Revision,
    policy::Policy,
    validate::{self, SiteIds},
};
use latencify_decide::route::{ReadyRoute, Router};
use std::{collections::HashMap, path::Path, sync::Arc};

/// One policy, ready to decide. Requests hold the one that they began with to their end.
pub struct Compiled {
    /// The policy as obeyed.
    pub policy: Arc<Policy>,
    /// Finds site and route of a request.
    pub router: Router,
    /// Its origins at work.
    pub origins: Origins,
    /// Its number in the log; none: from files.
    pub revision: Option<Revision>,
    /// The history that the ids of its sites are of.
    pub history: History,
    /// What it has answered.
    pub tally: Tally,
    /// By where its routes lie: they stay there as long as the router does.
    counts: HashMap<usize, RouteCounts, ahash::RandomState>,
}

impl Compiled {
    /// Where a route of this policy keeps its metrics.
    pub fn counts(&self, route: &Arc<ReadyRoute>) -> Option<&RouteCounts> {
        self.counts.get(&place(route))
    }
}

fn place(route: &Arc<ReadyRoute>) -> usize {
    Arc::as_ptr(route).addr()
}

/// Compiles a bundle with the values of the secrets that it names, and loads the certificates and CAs that it names; relative paths start at `folder`. The error is for people: every mistake with its line,
/// or the file that can't be read.
pub fn compile(
    bundle: &Bundle,
    sites: &SiteIds,
    (revision, history): (Option<Revision>, History),
    folder: &Path,
    secrets: &Secrets,
    previous: Option<&Compiled>,
) -> Result<(Compiled, Certificates), String> {
    let policy = validate::validate(bundle, sites).map_err(|errors| validate::render(&errors))?;
    let policy = policy
        .with_token_secrets(|name| secrets.get(name))
        .map_err(|flaws| lines(&flaws))?;
    let certificates = Certificates::load(&policy, folder).map_err(|error| format!("{error:#}"))?;
    let former = previous.map(|previous| &previous.origins);
    let origins =
        Origins::build(&policy, folder, secrets, former).map_err(|errors| lines(&errors))?;
    let policy = Arc::new(policy);
    let router = Router::new(policy.clone()).map_err(|error| error.to_string())?;
    let routes = router.sites().iter().flat_map(|site| &site.routes);
    let counts = routes
        .map(|route| (place(route), RouteCounts::default()))
        .collect();
    Ok((
        Compiled {
            policy,
            router,
            origins,
            revision,
            history,
            tally: Tally::default(),
            counts,
        },
        certificates,
    ))
}

fn lines<T: ToString>(errors: &[T]) -> String {
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
