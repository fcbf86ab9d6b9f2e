//! What the fleet link asks of the edge around it.

use async_trait::async_trait;
use latencify_cache::Marks;
use latencify_conf::{
    bundle::Bundle,
    change::{Epoch, Mode, Position, Revision, Target},
    digest::Digest,
    validate::SiteIds,
};
use std::sync::Arc;

/// The edge, as the link sees it.
#[derive(Clone)]
pub struct EdgePorts {
    /// Puts policies in force.
    pub policies: Arc<dyn PolicyPort>,
    /// Obeys purges.
    pub marks: Arc<dyn MarksPort>,
}

/// Puts policies in force.
#[async_trait]
pub trait PolicyPort: Send + Sync {
    /// Builds the policy and puts it in force, whole, or says why it can't be built here; then the former one stays.
    /// Returns the digest of what is in force now. May take its time: purges do not wait for it.
    async fn install(
        &self,
        bundle: Arc<Bundle>,
        sites: SiteIds,
        revision: Revision,
    ) -> Result<Digest, String>;
}

/// Obeys purges. Called in the order of the log, from one task; returns when every worker obeys.
pub trait MarksPort: Send + Sync {
    /// Marks may have been missed: everything stored before this position is suspect.
    fn reset(&self, start: &Position);
    /// A purge entry.
    fn purge(&self, targets: &[Target], mode: Mode, epoch: Epoch);
    /// Everything up to here was applied: fetches that begin from now on may be stamped with it.
    fn obey(&self, position: &Position);
}

impl MarksPort for Marks {
    fn reset(&self, start: &Position) {
        self.raise_floor(start);
    }

    fn purge(&self, targets: &[Target], mode: Mode, epoch: Epoch) {
        self.apply_all(targets, mode, epoch);
    }

    fn obey(&self, position: &Position) {
        Marks::obey(self, position);
    }
}
