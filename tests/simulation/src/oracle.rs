//! What must be true, and what is known of it from outside: when the origin changed, what was written when, who was told what.

mod answers;

use crate::{
    control::store::Settled,
    origin::{Named, Object, SITES},
    writer::Intent,
};
use latencify_conf::{
    change::{Change, Epoch, LeaveReason, LogId, Mode, Position, ProcessId, Revision},
    digest::Digest,
};
use latencify_control::fold::Outcome;
use latencify_gateway::fleet::obey::Wanted;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// What is not true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// What was seen.
    pub text: String,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The store.
    Stored,
    /// Another's body under way.
    Followed,
    /// The store, stale, while it is refreshed.
    Stale,
    /// The store, stale, because the origin failed.
    StaleOnError,
    /// The store, after the origin said that it holds.
    Revalidated,
    /// The origin.
    Fetched,
}

/// How an answer was given.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    /// Where it came from.
    pub source: Source,
    /// When the client sent its request.
    pub sent: Duration,
    /// When it was decided that this is the answer.
    pub decided: Duration,
    /// Whether the edge was bound by receipts then: on `serve` one that is cut off makes no promise.
    pub is_bound: bool,
    /// When everything that the edge had stored became unusable, as of then.
    pub floor_at: Duration,
    /// How many purges the edge obeyed then.
    pub obeys: usize,
    /// When the fetch or validation of it began.
    pub began: Duration,
    /// When the fetch of the newest thing began that had been found stored before.
    pub newest: Duration,
}

/// A purge.
#[derive(Debug, Clone)]
pub struct Purge {
    id: Uuid,
    epoch: Epoch,
    named: Vec<Named>,
    is_hard: bool,
    /// When the log took it.
    pub accepted: Duration,
    /// When its receipt was complete.
    complete: Option<Duration>,
    /// An unsafe method on one edge process.
    only: Option<u64>,
    /// The log was put back to before it: who had obeyed it is bound by it.
    lost: bool,
}

/// What is known from outside.
#[derive(Debug, Default)]
pub struct Oracle {
    purges: Vec<Purge>,
    by_id: BTreeMap<Uuid, usize>,
    by_epoch: BTreeMap<(u32, Epoch), usize>,
    appended: BTreeMap<(u32, Epoch), Duration>,
    folded: BTreeMap<(u32, Epoch), String>,
    /// Every position that a log ever had, and on which branch first.
    positions: BTreeMap<[u8; 32], u32>,
    policies: BTreeMap<(LogId, Revision, u32), Digest>,
    answered: BTreeMap<String, (u32, Epoch, Uuid)>,
    newest_answered: BTreeMap<u32, Epoch>,
    /// Processes that stopped, by the branch of the log that says so, and where it does.
    stopped: BTreeMap<(u32, ProcessId), Epoch>,
    /// What is not true; the first of it.
    pub violation: Option<Violation>,
    branch: u32,
}

impl Oracle {
    /// Something is not true.
    pub fn violate(&mut self, invariant: &'static str, text: String) {
        self.violation.get_or_insert(Violation { invariant, text });
    }

    /// The log took an entry.
    pub fn appended(&mut self, epoch: Epoch, _bytes: &[u8], now: Duration, branch: u32) {
        self.appended.insert((branch, epoch), now);
    }

    /// A follower of the log folded an entry.
    pub fn folded(&mut self, settled: &Settled, branch: u32) {
        let state = &settled.state;
        let at = (branch, settled.epoch);
        let roster: Vec<_> = state
            .roster
            .keys()
            .map(|process| process.0.as_u128())
            .collect();
        let head = state
            .head
            .as_ref()
            .map(|head| (head.revision, head.digest, &head.sites));
        let became = format!(
            "{:?} {:?} {head:?} {roster:?} {}",
            settled.folded.outcome, settled.position, state.last_site
        );
        if let Some(known) = self.folded.get(&at) {
            if *known != became {
                let text = format!("epoch {}: {known} and {became}", settled.epoch);
                self.violate("equal_folds", text);
            }
            return;
        }
        self.folded.insert(at, became);
        if let Some(position) = settled.position {
            self.positions.entry(position.hash.0).or_insert(branch);
        }
        if settled.folded.outcome != Outcome::Accepted {
            return;
        }
        match &settled.entry.change {
            Change::Purge { mode, targets, .. } => {
                let site_id =
                    |place: usize| state.head.as_ref()?.sites.get(*SITES.get(place)?).copied();
                let named = targets
                    .iter()
                    .map(|target| Named::of(target, site_id))
                    .collect();
                self.purged(settled, *mode, named, branch);
            }
            Change::Policy { digest, .. } => {
                let revision = state
                    .head
                    .as_ref()
                    .map_or(Revision(0), |head| head.revision);
                self.policies
                    .insert((state.position.log, revision, branch), *digest);
            }
            Change::EdgeLeft { process, why, .. } if *why == LeaveReason::Stopped => {
                self.stopped.insert((branch, *process), settled.epoch);
            }
            Change::EdgeJoined { process, .. }
                if (self.stopped.get(&(branch, *process)))
                    .is_some_and(|stopped| *stopped < settled.epoch) =>
            {
                let text = format!("process {} joins at {}", process.0.as_u128(), settled.epoch);
                self.violate("who_stopped_is_gone", text);
            }
            _ => {}
        }
    }

    fn purged(&mut self, settled: &Settled, mode: Mode, named: Vec<Named>, branch: u32) {
        let accepted = self
            .appended
            .get(&(branch, settled.epoch))
            .copied()
            .unwrap_or_default();
        let number = *self
            .by_id
            .entry(settled.entry.id)
            .or_insert(self.purges.len());
        self.by_epoch.insert((branch, settled.epoch), number);
        if let Some(known) = self.purges.get_mut(number) {
            // The same entry in another log.
            known.epoch = settled.epoch;
            known.lost = false;
            return;
        }
        self.purges.push(Purge {
            id: settled.entry.id,
            epoch: settled.epoch,
            named,
            is_hard: mode == Mode::Hard,
            accepted,
            complete: None,
            only: None,
            lost: false,
        });
    }

    /// An unsafe method purged an object on one edge process.
    pub fn local_purge(&mut self, run: u64, object: Object, now: Duration) -> usize {
        let site = crate::origin::site_of(object);
        let target = latencify_conf::change::Target::Url {
            site: latencify_conf::change::SiteId(0),
            path: crate::origin::path_of(object).to_owned(),
        };
        let own = |place: usize| Some(latencify_conf::change::SiteId(u64::from(place != site)));
        self.purges.push(Purge {
            id: Uuid::nil(),
            epoch: Epoch(0),
            named: vec![Named::of(&target, own)],
            is_hard: true,
            accepted: now,
            complete: Some(now),
            only: Some(run),
            lost: false,
        });
        self.purges.len() - 1
    }

    /// The purge that stands at an epoch of the history of a position.
    pub fn purge_at(&self, position: &Position, epoch: Epoch) -> Option<usize> {
        let branch = self.positions.get(&position.hash.0).copied()?;
        (0..=branch)
            .rev()
            .find_map(|branch| self.by_epoch.get(&(branch, epoch)).copied())
    }

    /// The receipt of a purge is complete.
    pub fn completed(&mut self, id: Uuid, now: Duration) {
        let known = self
            .by_id
            .get(&id)
            .and_then(|number| self.purges.get_mut(*number));
        if let Some(purge) = known {
            purge.complete.get_or_insert(now);
        }
    }

    /// Whether the log was put back to before a purge.
    pub fn is_lost(&self, id: Uuid) -> bool {
        let known = self
            .by_id
            .get(&id)
            .and_then(|number| self.purges.get(*number));
        known.is_some_and(|purge| purge.lost)
    }

    /// The log was put back: what came after `kept` is lost.
    pub fn rewound(&mut self, kept: Epoch, branch: u32) {
        self.branch = branch;
        let of_branch = |map: &BTreeMap<(u32, Epoch), Duration>| -> Vec<(Epoch, Duration)> {
            let old = map
                .iter()
                .filter(|((of, epoch), _)| *of + 1 == branch && *epoch <= kept);
            old.map(|((_, epoch), at)| (*epoch, *at)).collect()
        };
        for (epoch, at) in of_branch(&self.appended) {
            self.appended.insert((branch, epoch), at);
        }
        for purge in &mut self.purges {
            purge.lost |= purge.only.is_none() && purge.epoch > kept;
        }
        let is_kept = |(_, epoch, _): &(u32, Epoch, Uuid)| *epoch <= kept;
        self.answered.retain(|_, answered| is_kept(answered));
        let newest = self
            .newest_answered
            .get(&(branch - 1))
            .copied()
            .unwrap_or_default();
        self.newest_answered.insert(branch, newest.min(kept));
    }

    /// The log has moved to a new one, with every entry of it.
    pub fn moved(&mut self, branch: u32, epochs: &[(Epoch, Epoch)]) {
        self.branch = branch;
        for (old, new) in epochs {
            let at = self
                .appended
                .get(&(branch - 1, *old))
                .copied()
                .unwrap_or_default();
            self.appended.insert((branch, *new), at);
        }
        self.answered.clear();
    }

    /// A writer was answered.
    pub fn answered(&mut self, intent: &Intent, id: Uuid, epoch: Epoch, branch: u32) {
        if intent.branch == branch && epoch <= intent.after {
            let text = format!(
                "{} is at {epoch}, and {} had been answered before it was sent",
                intent.key, intent.after
            );
            self.violate("order_of_writes", text);
        }
        if let Some((_, other, _)) = self
            .answered
            .insert(intent.key.clone(), (branch, epoch, id))
            && other != epoch
        {
            let text = format!("{} is at {other} and at {epoch}", intent.key);
            self.violate("exactly_once", text);
        }
        let newest = self.newest_answered.entry(branch).or_default();
        *newest = (*newest).max(epoch);
    }

    /// The newest epoch that anybody was answered.
    pub fn newest_answered(&self, branch: u32) -> Epoch {
        self.newest_answered
            .get(&branch)
            .copied()
            .unwrap_or_default()
    }

    /// Every write that was answered is in the log, accepted, once.
    pub fn judge_writes(&mut self, accepted: &BTreeMap<String, Vec<Epoch>>) {
        let mut wrong = None;
        for (key, (_, epoch, _)) in &self.answered {
            let found = accepted.get(key).map_or(&[][..], Vec::as_slice);
            if found != [*epoch] {
                wrong = Some(format!("{key} was answered at {epoch} and is at {found:?}"));
            }
        }
        if let Some(text) = wrong {
            self.violate("exactly_once", text);
        }
    }

    /// An edge obeys a position.
    pub fn obeyed(&mut self, position: &Position) {
        if !self.positions.contains_key(&position.hash.0) {
            self.violate(
                "true_history",
                format!("an edge obeys {position:?}, which no log ever had"),
            );
        }
    }

    /// An edge runs a policy.
    pub fn installs(&mut self, wanted: &Wanted) {
        let known = (0..=self.branch).any(|branch| {
            let known = self
                .policies
                .get(&(wanted.log, wanted.target.revision, branch));
            known == Some(&wanted.target.digest)
        });
        if !known {
            self.violate(
                "equal_policies",
                format!("an edge runs {wanted:?}, which the log never said"),
            );
        }
    }

    /// How many purges there were.
    pub fn purges(&self) -> usize {
        self.purges.len()
    }
}

impl Purge {
    /// Its entry's name.
    pub fn id(&self) -> Uuid {
        self.id
    }
}
