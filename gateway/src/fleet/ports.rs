//! What the fleet link asks of the edge around it.

use crate::secrets::SecretStore;
use async_trait::async_trait;
use latencify_cache::{
    History, Marks,
    marks::{LocalMarks, MarksSnapshot},
    rules::Rules,
};
use latencify_conf::{
    bundle::Bundle,
    change::{Epoch, Mode, Position, Revision, Target},
    digest::Digest,
    link::health::Health,
    validate::SiteIds,
};
use std::{sync::Arc, time::SystemTime};

/// The edge, as the link sees it.
#[derive(Clone)]
pub struct EdgePorts {
    /// Puts policies in force.
    pub policies: Arc<dyn PolicyPort>,
    /// Obeys purges, and is saved.
    pub marks: Arc<dyn KeptMarks>,
    /// The values of secrets that policies are built with.
    pub secrets: Arc<SecretStore>,
}

/// Puts policies in force.
#[async_trait]
pub trait PolicyPort: Send + Sync {
    /// Builds the policy, whose ids of sites are of that history, and puts it in force, whole, or says why it can't be built here; then the former one stays.
    /// Returns the digest of what is in force now. May take its time: purges do not wait for it.
    async fn install(
        &self,
        bundle: Arc<Bundle>,
        sites: SiteIds,
        revision: Revision,
        history: History,
    ) -> Result<Digest, String>;

    /// What the policy in force has answered since; none: none is, or it is of no revision.
    fn health(&self) -> Option<Health> {
        None
    }
}

/// Obeys purges. Called in the order of the log, from one task; returns when every worker obeys.
pub trait MarksPort: Send + Sync {
    /// Marks may have been missed: everything stored before this position is suspect, and another history begins.
    fn reset(&self, start: &Position);
    /// The history that is obeyed.
    fn history(&self) -> History;
    /// A purge entry.
    fn purge(&self, targets: &[Target], mode: Mode, epoch: Epoch);
    /// Everything up to here was applied: fetches that begin from now on may be stamped with it.
    fn obey(&self, position: &Position);
}

/// Marks that can be written down, and taken over from an earlier run.
pub trait KeptMarks: MarksPort {
    /// The time at which a soft purge that is applied now is made.
    fn now(&self) -> SystemTime;
    /// A purge entry that was obeyed at that time.
    fn purge_at(&self, targets: &[Target], mode: Mode, epoch: Epoch, at: SystemTime);
    /// All marks and what is obeyed, at one moment.
    fn snapshot(&self) -> MarksSnapshot;
    /// Takes over what an earlier run saved, before anything is fetched or stored.
    fn restore(&self, snapshot: MarksSnapshot, locals: LocalMarks);
    /// All that an earlier run saved is obeyed again: where the marks stand now is what was known of it.
    fn resumed(&self);
}

impl<R: Rules> KeptMarks for Marks<R> {
    fn now(&self) -> SystemTime {
        Marks::now(self)
    }

    fn purge_at(&self, targets: &[Target], mode: Mode, epoch: Epoch, at: SystemTime) {
        self.apply_at(targets, mode, epoch, at);
    }

    fn snapshot(&self) -> MarksSnapshot {
        Marks::snapshot(self)
    }

    fn restore(&self, snapshot: MarksSnapshot, locals: LocalMarks) {
        Marks::restore(self, snapshot, locals);
    }

    fn resumed(&self) {
        Marks::begin_run(self);
    }
}

impl<R: Rules> MarksPort for Marks<R> {
    fn reset(&self, start: &Position) {
        self.raise_floor(start);
    }

    fn history(&self) -> History {
        Marks::history(self)
    }

    fn purge(&self, targets: &[Target], mode: Mode, epoch: Epoch) {
        self.apply_all(targets, mode, epoch);
    }

    fn obey(&self, position: &Position) {
        Marks::obey(self, position);
    }
}
