//! The fold: what an entry of the log makes of the state. Pure, so that every replica comes to the same state: no clock,
//! no chance, no I/O, and no validation that a newer version might do otherwise.
//!
//! # Characters
//! - [`State`]: what the next entry is judged by. Small: the head policy, the sites, the roster, the chain.
//! - [`Original`]: the one thing that is too large for it: what the index of repeats says about the entry's
//!   [name](repeat_name). Whoever drives the fold looks it up.
//! - [`fold`]: (state, original, epoch, entry) → [`Folded`]: an [`Outcome`] and its [`Effect`]s.
//! - [`driver`]: reads the log, folds each batch in one transaction of the store, then tells who waits.
//!
//! # What must hold
//! - Compare-and-set is settled here and nowhere else: an entry that saw an older head than there is now is a
//!   conflict, alike everywhere, however late its writer learns of it.
//! - Only accepted entries extend the hash chain, and only they reach edges.
//! - An epoch at or below the applied one is skipped by the driver; an entry that can't be decoded stops it,
//!   and so does the one that ends the log ([`ends`]).
//!
//! # Rejected
//! - *Validating a policy in the fold*: two versions of the code would accept different entries. The writer validates;
//!   the fold believes the log.
//! - *Remembering repeats of refused entries*: a retry after a conflict is a new attempt and may now succeed.
//! - *A fixed idempotency key for joins* (`join:PROCESS`): a process that the operator removed and that is alive joins
//!   again, and that is no repeat. Joining twice in a row is told from the roster.

mod certificates;
pub mod driver;
mod outcome;
pub mod replicas;
mod state;
mod trust;

pub use certificates::RevokedCertificates;
pub use outcome::{Conflict, Effect, Folded, Original, Outcome};
pub use replicas::{Absent, Announced, ReplicaLeft};
pub use state::{Head, Member, State};
pub use trust::{Revocation, Trust, TrustedKey};

use crate::rollout::folding as rollout;
use latencify_conf::{
    change::{
        Change, Entry, Epoch, EventId, LeaveReason, LogId, MovedTo, REPEAT_WINDOW_ENTRIES,
        Revision, SiteId,
    },
    digest::Digest,
};
use std::{collections::BTreeSet, time::Duration};

/// What makes a later entry a repeat of this one: its idempotency key, or the identity of its event.
pub fn repeat_name(entry: &Entry) -> Option<String> {
    match (&entry.key, &entry.change) {
        (Some(key), _) => Some(format!("key:{key}")),
        (
            None,
            Change::Purge {
                event: Some(event), ..
            },
        ) => Some(event_name(event)),
        (None, _) => None,
    }
}

/// The name of an event; the length keeps source and id apart.
pub fn event_name(event: &EventId) -> String {
    format!("event:{}:{}{}", event.source.len(), event.source, event.id)
}

/// Whether an original still counts for an entry at this epoch.
pub fn within_window(original: &Original, epoch: Epoch) -> bool {
    epoch.0.saturating_sub(original.epoch.0) <= REPEAT_WINDOW_ENTRIES
}

/// Judges one entry. `original` is what the index of repeats says of its [`repeat_name`].
pub fn fold(state: &State, original: Option<Original>, epoch: Epoch, entry: &Entry) -> Folded {
    if let Some(original) = original.filter(|original| within_window(original, epoch)) {
        let is_same = original.request == entry.request;
        let reused = Outcome::Conflict(Conflict::KeyReused(original));
        return refused(if is_same {
            Outcome::Repeat(original)
        } else {
            reused
        });
    }
    let judged = match &entry.change {
        Change::CertificateRevoked { certificates, .. } => {
            Ok(vec![certificates::revoked(certificates, entry.at)])
        }
        change => judge(state, epoch, change),
    };
    let mut effects = match judged {
        Ok(effects) => effects,
        Err(conflict) => return refused(Outcome::Conflict(conflict)),
    };
    effects.extend(repeat_name(entry).map(|name| Effect::Remember { name }));
    Folded {
        outcome: Outcome::Accepted,
        effects,
    }
}

/// Where the log goes on, if this entry ends it: it is not folded then.
pub fn ends<'e>(state: &State, entry: &'e Entry) -> Option<&'e MovedTo> {
    match &entry.change {
        Change::LogMoved { log, after, to }
            if (*log, *after) == (state.position.log, state.applied) =>
        {
            Some(to)
        }
        _ => None,
    }
}

fn judge(state: &State, epoch: Epoch, change: &Change) -> Result<Vec<Effect>, Conflict> {
    match change {
        Change::LogCreated { log, .. } => created(state, *log),
        Change::Policy {
            digest,
            sites,
            base,
            ..
        } => policy(state, *digest, sites, *base),
        Change::RolloutStarted {
            digest,
            sites,
            base,
            plan,
            ..
        } => {
            let mut effects = policy(state, *digest, sites, *base)?;
            effects.push(rollout::started(state, state.next_revision(), plan));
            Ok(effects)
        }
        Change::RolloutStepped { revision, step, to } => {
            rollout::stepped(state, *revision, *step, *to)
        }
        Change::RolloutEnded {
            revision,
            step,
            why,
        } => rollout::ended(state, *revision, *step, why),
        Change::Purge { seen, .. } => match *seen {
            // What its names were resolved by covers the stable revision as well.
            Some(seen) if seen != state.newest => Err(Conflict::HeadMoved { head: state.newest }),
            _ => Ok(vec![Effect::Purge]),
        },
        Change::EdgeJoined { process, .. } if state.roster.contains_key(process) => {
            Err(Conflict::AlreadyJoined)
        }
        // As with removals: the next run may have seen the process leave.
        Change::EdgeJoined {
            replica: Some(writer),
            ..
        } if !state.replicas.contains_key(writer) => Err(Conflict::WriterGone),
        Change::EdgeJoined {
            process,
            edge,
            about,
            ..
        } => Ok(vec![Effect::Joined {
            process: *process,
            edge: edge.clone(),
            about: about.clone(),
        }]),
        Change::EdgeLeft { process, .. } if !state.roster.contains_key(process) => {
            Err(Conflict::NotInRoster)
        }
        // Written before that run ended, and in the log only now (a broker held it up, or had stopped): the next run may have
        // welcomed the process meanwhile.
        Change::EdgeLeft {
            replica: Some(writer),
            ..
        } if !state.replicas.contains_key(writer) => Err(Conflict::WriterGone),
        Change::EdgeLeft { process, why, .. } => Ok(vec![Effect::Left {
            process: *process,
            why: *why,
        }]),
        Change::ReplicaJoined {
            replica,
            name,
            store,
            version,
            replaces,
            unread_max_ms,
            lease_ms,
        } => {
            let announced = Announced {
                name: name.clone(),
                store: *store,
                version: version.clone(),
                joined: epoch,
                unread_max: unread_max_ms.map(Duration::from_millis),
            };
            let lease = lease_ms.map(Duration::from_millis);
            replicas::joined(&state.replicas, *replica, *replaces, announced, lease)
        }
        Change::ReplicaLeft { replica, .. } | Change::ReplicaAlone { replica }
            if !state.replicas.contains_key(replica) =>
        {
            Err(Conflict::NoSuchReplica)
        }
        Change::ReplicaAlone { .. } => Ok(vec![Effect::ReplicaAlone]),
        Change::KeyAdded {
            kid,
            purpose,
            public_key,
            ..
        } => {
            let key = TrustedKey {
                purpose: *purpose,
                public_key: *public_key,
            };
            state.trust.added(kid, key)
        }
        Change::KeyRetired { kid } => state.trust.retired(kid),
        Change::Revoked {
            what,
            before_ms,
            until_ms,
        } => {
            let revocation = Revocation {
                before_ms: *before_ms,
                until_ms: *until_ms,
            };
            Ok(state.trust.revoke(what, revocation))
        }
        Change::SecretChanged { name, version } => match state.secrets.get(name) {
            Some(in_force) if in_force >= version => Err(Conflict::SecretMoved),
            _ => Ok(vec![Effect::SecretSet {
                name: name.clone(),
                version: *version,
            }]),
        },
        Change::SecretRemoved { name, seen } => {
            let version = *state.secrets.get(name).ok_or(Conflict::NoSuchSecret)?;
            // A policy that was submitted meanwhile may name it.
            let head = state
                .head
                .as_ref()
                .map_or(Revision(0), |head| head.revision);
            if *seen != head {
                return Err(Conflict::HeadMoved { head });
            }
            Ok(vec![Effect::SecretRemoved {
                name: name.clone(),
                version,
            }])
        }
        // Judged with the time of its entry.
        Change::CertificateRevoked { .. } => Ok(Vec::new()),
        // One that holds ends the fold before it is judged.
        Change::LogMoved { .. } => Err(Conflict::NotLast),
        Change::ReplicaLeft { replica, why } => Ok(vec![Effect::ReplicaLeft {
            replica: *replica,
            why: match why {
                LeaveReason::Stopped => ReplicaLeft::Stopped,
                LeaveReason::Removed => ReplicaLeft::Removed,
            },
        }]),
    }
}

/// The first entry is accepted; two replicas that began one log at a time leave a second, which says nothing.
fn created(state: &State, log: LogId) -> Result<Vec<Effect>, Conflict> {
    let first = state.applied == Epoch(0) && state.position.log == log;
    if first {
        Ok(Vec::new())
    } else {
        Err(Conflict::NotFirst)
    }
}

/// A site keeps its id from one revision that all edges run to the next. One that was away gets a new id when it comes back, so
/// that nothing stored or marked before can meet it; so does one that only a candidate has had, which was in use on some edges.
fn policy(
    state: &State,
    digest: Digest,
    sites: &[String],
    base: Option<Revision>,
) -> Result<Vec<Effect>, Conflict> {
    same_head(state, base)?;
    let known = crate::rollout::stable(state).map(|head| &head.sites);
    let names: BTreeSet<&String> = sites.iter().collect();
    let mut last = state.last_site;
    let mut id = |name: &String| {
        known
            .and_then(|sites| sites.get(name).copied())
            .unwrap_or_else(|| {
                last = SiteId(last.0 + 1);
                last
            })
    };
    let sites = names
        .into_iter()
        .map(|name| (name.clone(), id(name)))
        .collect();
    let revision = state.next_revision();
    let mut effects: Vec<_> = rollout::superseded(state, revision).into_iter().collect();
    effects.push(Effect::Policy(Head {
        revision,
        digest,
        sites,
    }));
    Ok(effects)
}

/// A writer that saw another head is late. What is rolled out is replaced by name alone.
fn same_head(state: &State, seen: Option<Revision>) -> Result<(), Conflict> {
    let head = state
        .head
        .as_ref()
        .map_or(Revision(0), |head| head.revision);
    match (seen, &state.rollout) {
        (Some(seen), _) if seen != head => Err(Conflict::HeadMoved { head }),
        (None, Some(rollout)) => Err(Conflict::RolloutMoved {
            at: Some((rollout.revision, rollout.step)),
        }),
        _ => Ok(()),
    }
}

fn refused(outcome: Outcome) -> Folded {
    Folded {
        outcome,
        effects: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
