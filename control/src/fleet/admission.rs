//! What a peer that says hello needs before it is welcomed. Pure: the session and the simulation take the same steps.
//!
//! A peer is admitted from a state whose roster has it, so that whatever is accepted later either counts on the peer or
//! is delivered to it. Where it stands is believed only if the log says the same of that epoch.

use crate::{fold::State, rollout};
use latencify_conf::{
    change::{Change, Epoch, Position, ProcessId, ReplicaId},
    link::replica::{Admission, Peer, Target},
};

/// Joins of one hello: each but the first follows a removal in the same moment.
pub const JOINS_MAX: usize = 3;

/// What is to be done next for a peer.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Append this, wait until it is folded, and [ask](next) again with the state of then; at most [`JOINS_MAX`] times.
    Join(Change),
    /// Look up which position the log has at this epoch, then [`admission`] says the rest.
    LookUp(Epoch),
    /// Nothing is to be looked up.
    Admit(Admission),
}

/// The next step for a peer, by the newest state, at this run of control, if that is announced.
pub fn next(peer: &Peer, state: &State, run: Option<ReplicaId>) -> Step {
    if !state.roster.contains_key(&peer.process) {
        return Step::Join(Change::EdgeJoined {
            process: peer.process,
            edge: peer.edge.clone(),
            about: peer.about.clone(),
            replica: run,
        });
    }
    match peer.position {
        Some(position)
            if position.log == state.position.log && position.epoch <= state.position.epoch =>
        {
            Step::LookUp(position.epoch)
        }
        _ => Step::Admit(admission(state, peer.process, None)),
    }
}

/// The admission by a state and what the log has at the peer's epoch; none: no accepted entry stands there.
pub fn admission(state: &State, process: ProcessId, known: Option<Position>) -> Admission {
    Admission {
        head: state.position,
        known,
        target: target(state, process),
    }
}

/// The policy that a member of the roster is to run.
pub fn target(state: &State, process: ProcessId) -> Option<Target> {
    let member = state.roster.get(&process)?;
    let head = rollout::target(state, &member.edge, &member.about)?;
    Some(Target {
        revision: head.revision,
        digest: head.digest,
        sites: head.sites.clone(),
        signed: None,
    })
}
