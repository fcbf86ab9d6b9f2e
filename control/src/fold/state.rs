//! What the next entry is judged by.

use super::{
    Effect, Folded, Outcome, Trust,
    certificates::{self, RevokedCertificates},
    replicas::{Absent, Replicas},
};
use crate::rollout::Rollout;
use latencify_conf::{
    change::{Epoch, LogId, Position, ProcessId, Revision, SiteId},
    digest::Digest,
    link::chain,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The state after the entries so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The newest folded entry, whatever became of it.
    pub applied: Epoch,
    /// The newest accepted entry and the chain up to it.
    pub position: Position,
    /// The policy that the fleet should run; while one is rolled out, the candidate.
    pub head: Option<Head>,
    /// The greatest number that was given to a revision. Above the head's where a rollout was returned.
    pub newest: Revision,
    /// What is rolled out.
    pub rollout: Option<Rollout>,
    /// The greatest id that was given to a site.
    pub last_site: SiteId,
    /// The processes that have joined and not left.
    pub roster: BTreeMap<ProcessId, Member>,
    /// The replicas that have announced themselves and not left.
    pub replicas: Replicas,
    /// Those that were replaced or taken out, and may live. No entry is judged by it.
    pub absent: Absent,
    /// The longest lease that a run has announced, of those that are gone, too; zero: none has. No entry is judged by it.
    pub longest_lease: Duration,
    /// Certificates of edges that count no more. No entry is judged by it.
    pub revoked_certificates: RevokedCertificates,
    /// Whom the fleet believes.
    pub trust: Arc<Trust>,
    /// The secrets that there are, and the number of the value of each.
    pub secrets: Arc<BTreeMap<String, u64>>,
}

/// The head policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub revision: Revision,
    /// Its bundle's digest.
    pub digest: Digest,
    /// Its sites and their ids.
    pub sites: BTreeMap<String, SiteId>,
}

/// A process of the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The edge's name.
    pub edge: String,
    /// The entry by which it joined.
    pub joined: Epoch,
    /// What it said of itself.
    pub about: BTreeMap<String, String>,
}

impl State {
    /// The state before the first entry of a log.
    pub fn before(log: LogId) -> Self {
        Self {
            applied: Epoch(0),
            position: chain::genesis(log),
            head: None,
            newest: Revision(0),
            rollout: None,
            last_site: SiteId(0),
            roster: BTreeMap::new(),
            replicas: Replicas::new(),
            absent: Absent::default(),
            longest_lease: Duration::ZERO,
            revoked_certificates: RevokedCertificates::new(),
            trust: Arc::default(),
            secrets: Arc::default(),
        }
    }

    /// The number of the next revision.
    pub fn next_revision(&self) -> Revision {
        Revision(self.newest.0 + 1)
    }

    /// Takes over what the fold made of the next entry.
    pub fn apply(&mut self, epoch: Epoch, bytes: &[u8], folded: &Folded) {
        self.applied = epoch;
        if folded.outcome == Outcome::Accepted {
            self.position = chain::extend(&self.position, epoch, bytes);
        }
        for effect in &folded.effects {
            self.take(epoch, effect);
        }
    }

    fn take(&mut self, epoch: Epoch, effect: &Effect) {
        match effect {
            Effect::Policy(head) => {
                self.last_site = head
                    .sites
                    .values()
                    .copied()
                    .fold(self.last_site, SiteId::max);
                self.newest = head.revision;
                self.head = Some(head.clone());
            }
            Effect::RolloutMoved(rollout) => self.rollout = Some(rollout.clone()),
            Effect::RolloutEnded { why, .. } => {
                if let Some(rollout) = self.rollout.take()
                    && !why.keeps()
                {
                    self.head = rollout.stable;
                }
            }
            Effect::Joined {
                process,
                edge,
                about,
            } => {
                let member = Member {
                    edge: edge.clone(),
                    joined: epoch,
                    about: about.clone(),
                };
                self.roster.insert(*process, member);
            }
            Effect::Left { process, .. } => {
                self.roster.remove(process);
            }
            Effect::ReplicaJoined {
                replica,
                announced,
                lease,
            } => {
                self.replicas.insert(*replica, announced.clone());
                self.longest_lease = self.longest_lease.max(lease.unwrap_or_default());
            }
            Effect::ReplicaLeft { replica, why } => {
                if let Some(announced) = self.replicas.remove(replica) {
                    self.absent.has(&announced, *why);
                }
            }
            Effect::CertificatesRevoked {
                certificates,
                forgotten_before_ms,
            } => certificates::take(
                &mut self.revoked_certificates,
                certificates,
                *forgotten_before_ms,
            ),
            Effect::ReplicaAlone => self.absent = Absent::none_since(epoch),
            Effect::SecretSet { name, version } => {
                Arc::make_mut(&mut self.secrets).insert(name.clone(), *version);
            }
            Effect::SecretRemoved { name, .. } => {
                Arc::make_mut(&mut self.secrets).remove(name);
            }
            Effect::KeyAdded { .. }
            | Effect::KeyRetired { .. }
            | Effect::Revoked { .. }
            | Effect::RevocationsForgotten(_) => Arc::make_mut(&mut self.trust).take(effect),
            Effect::Purge | Effect::Remember { .. } => {}
        }
    }
}
