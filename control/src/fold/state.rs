//! What the next entry is judged by.

use super::{
    Effect, Folded, Outcome,
    replicas::{Absent, Replicas},
};
use latencify_conf::{
    change::{Epoch, LogId, Position, ProcessId, Revision, SiteId},
    digest::Digest,
    link::chain,
};
use std::collections::BTreeMap;

/// The state after the entries so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The newest folded entry, whatever became of it.
    pub applied: Epoch,
    /// The newest accepted entry and the chain up to it.
    pub position: Position,
    /// The policy that the fleet should run.
    pub head: Option<Head>,
    /// The greatest id that was given to a site.
    pub last_site: SiteId,
    /// The processes that have joined and not left.
    pub roster: BTreeMap<ProcessId, Member>,
    /// The replicas that have announced themselves and not left.
    pub replicas: Replicas,
    /// Those that were replaced or taken out, and may live. No entry is judged by it.
    pub absent: Absent,
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
            last_site: SiteId(0),
            roster: BTreeMap::new(),
            replicas: Replicas::new(),
            absent: Absent::default(),
        }
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
                self.head = Some(head.clone());
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
            Effect::ReplicaJoined { replica, announced } => {
                self.replicas.insert(*replica, announced.clone());
            }
            Effect::ReplicaLeft { replica, why } => {
                if let Some(announced) = self.replicas.remove(replica) {
                    self.absent.has(&announced, *why);
                }
            }
            Effect::ReplicaAlone => self.absent = Absent::none_since(epoch),
            Effect::Purge | Effect::Remember { .. } => {}
        }
    }
}
