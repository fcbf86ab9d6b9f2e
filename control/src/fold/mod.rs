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

pub mod driver;
pub mod replicas;
mod state;

pub use replicas::{Absent, Announced, ReplicaLeft};
pub use state::{Head, Member, State};

use latencify_conf::{
    change::{
        Change, Entry, Epoch, EventId, LeaveReason, LogId, MovedTo, ProcessId,
        REPEAT_WINDOW_ENTRIES, ReplicaId, Revision, SiteId,
    },
    digest::Digest,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use uuid::Uuid;

/// What the index of repeats knows of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original {
    /// The entry that had the name first.
    pub id: Uuid,
    /// Where it stands.
    pub epoch: Epoch,
    /// The digest of the request behind it.
    pub request: Option<Digest>,
}

/// What the fold made of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It holds, and edges receive it.
    Accepted,
    /// The same was folded before; that one stands.
    Repeat(Original),
    /// Nothing changed.
    Conflict(Conflict),
}

/// Why an entry changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// It saw another head revision than there is.
    HeadMoved {
        /// The head, 0 before the first policy.
        head: Revision,
    },
    /// Its idempotency key was used for another request.
    KeyReused(Original),
    /// The process is in the roster already.
    AlreadyJoined,
    /// The process is not in the roster.
    NotInRoster,
    /// The run of control that vouched for it is over: what was true when it was written may be so no longer.
    WriterGone,
    /// Another run on the store is announced than the one that was to be replaced.
    OtherRun {
        /// Which; none: nobody is.
        present: Option<ReplicaId>,
    },
    /// Another replica folds into a store of its own.
    OtherStore(ReplicaId),
    /// The replica has not announced itself, or has left.
    NoSuchReplica,
    /// The log has its identity already.
    NotFirst,
    /// The log went on behind the entry up to which it was to be moved, so it was not moved.
    NotLast,
}

impl Outcome {
    /// Its stable name, in the store and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Repeat(_) => "repeat",
            Self::Conflict(_) => "conflict",
        }
    }
}

/// A change of the state, and of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A revision is the head.
    Policy(Head),
    /// A purge has its receipt.
    Purge,
    /// A process is in the roster.
    Joined {
        /// Which.
        process: ProcessId,
        /// The edge's name.
        edge: String,
        /// What it said of itself.
        about: BTreeMap<String, String>,
    },
    /// A process is out of the roster.
    Left {
        /// Which.
        process: ProcessId,
        /// Why.
        why: LeaveReason,
    },
    /// A replica serves.
    ReplicaJoined {
        /// Which run.
        replica: ReplicaId,
        /// What it said of itself.
        announced: Announced,
    },
    /// A replica serves no more.
    ReplicaLeft {
        /// Which run.
        replica: ReplicaId,
        /// Why.
        why: ReplicaLeft,
    },
    /// Nobody answers edges but those that are announced.
    ReplicaAlone,
    /// A later entry of this name is a repeat of this one.
    Remember {
        /// As [`repeat_name`] gives it.
        name: String,
    },
}

/// An outcome and what it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// What became of the entry.
    pub outcome: Outcome,
    /// What changes; empty unless it was accepted.
    pub effects: Vec<Effect>,
}

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
    let mut effects = match judge(state, epoch, &entry.change) {
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
        Change::Purge { seen, .. } => {
            same_head(state, *seen)?;
            Ok(vec![Effect::Purge])
        }
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
        } => {
            let announced = Announced {
                name: name.clone(),
                store: *store,
                version: version.clone(),
                joined: epoch,
                unread_max: unread_max_ms.map(Duration::from_millis),
            };
            replicas::joined(&state.replicas, *replica, *replaces, announced)
        }
        Change::ReplicaLeft { replica, .. } | Change::ReplicaAlone { replica }
            if !state.replicas.contains_key(replica) =>
        {
            Err(Conflict::NoSuchReplica)
        }
        Change::ReplicaAlone { .. } => Ok(vec![Effect::ReplicaAlone]),
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

/// A site keeps its id from one head to the next. One that was away gets a new id when it comes back, so that nothing
/// stored or marked before can meet it.
fn policy(
    state: &State,
    digest: Digest,
    sites: &[String],
    base: Option<Revision>,
) -> Result<Vec<Effect>, Conflict> {
    let head = same_head(state, base)?;
    let known = state.head.as_ref().map(|head| &head.sites);
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
    Ok(vec![Effect::Policy(Head {
        revision: Revision(head.0 + 1),
        digest,
        sites,
    })])
}

/// The head, 0 before the first policy; a writer that saw another one is late.
fn same_head(state: &State, seen: Option<Revision>) -> Result<Revision, Conflict> {
    let head = state
        .head
        .as_ref()
        .map_or(Revision(0), |head| head.revision);
    match seen {
        Some(seen) if seen != head => Err(Conflict::HeadMoved { head }),
        _ => Ok(head),
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
