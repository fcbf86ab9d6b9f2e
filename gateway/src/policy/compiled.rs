//! From a bundle to what requests are decided by.

use crate::{listen::tls::Certificates, origin::Origins};
use latencify_conf::{
    bundle::Bundle,
    change::Revision,
    policy::Policy,
    validate::{self, SiteIds},
};
use latencify_decide::route::Router;
use std::{path::Path, sync::Arc};

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
}

/// Compiles a bundle and loads the certificates and CAs that it names; relative paths start at `folder`. The error is for people: every mistake with its line,
/// or the file that can't be read.
pub fn compile(
    bundle: &Bundle,
    sites: &SiteIds,
    revision: Option<Revision>,
    folder: &Path,
    previous: Option<&Compiled>,
) -> Result<(Compiled, Certificates), String> {
    let policy = validate::validate(bundle, sites).map_err(|errors| validate::render(&errors))?;
    let certificates = Certificates::load(&policy, folder).map_err(|error| format!("{error:#}"))?;
    let origins = Origins::build(&policy, folder, previous.map(|previous| &previous.origins))
        .map_err(|errors| {
            let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
            lines.join("\n")
        })?;
    let policy = Arc::new(policy);
    let router = Router::new(policy.clone()).map_err(|error| error.to_string())?;
    Ok((
        Compiled {
            policy,
            router,
            origins,
            revision,
        },
        certificates,
    ))
}
