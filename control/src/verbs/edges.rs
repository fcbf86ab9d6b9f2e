//! The roster, as people see it.

use super::{Control, Refused};
use crate::{
    fleet::{Fleet, contacts, contacts::Closed},
    rollout,
    writer::{Key, WriteError},
};
use latencify_conf::{
    api::{Edge, EdgeState, PolicyOnEdge},
    change::{Change, LeaveReason, ProcessId},
    digest::Digest,
};
use std::time::Duration;
use tokio::sync::oneshot;
use uuid::Uuid;

/// A removal waits so long for a lease; of a longer one it says when to come back.
const LEASE_WAIT_MAX: Duration = Duration::from_secs(15);
/// A lease is looked at so long after it ended, so that it has.
const AFTER_LEASE: Duration = Duration::from_millis(5);
/// Between two attempts of a removal of which nobody knows whether it is written.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Processes that were taken out of the roster.
#[derive(Debug, Clone)]
pub struct Removed {
    /// As they were.
    pub edges: Vec<Edge>,
}

impl Control {
    /// Every edge process of the roster, by name.
    pub fn edges(&self) -> Vec<Edge> {
        let (state, judges_at) = self.fleet.judges_at();
        let now = contacts::now();
        let mut edges: Vec<_> = state
            .roster
            .iter()
            .map(|(process, member)| {
                let said = self.fleet.said.get(*process);
                let connected = self.fleet.connections.is_open(*process);
                let contact = self.fleet.contacts.get(*process);
                let answered = contact.and_then(|contact| contact.answered_at());
                let report = said.report;
                let target = rollout::target(&state, &member.edge, &member.about);
                let drifted = rollout::has_drifted(target, &report);
                Edge {
                    edge: member.edge.clone(),
                    process: *process,
                    state: if connected {
                        EdgeState::Connected
                    } else {
                        EdgeState::Disconnected
                    },
                    when_isolated: contact
                        .and_then(|contact| contact.when_isolated())
                        .map(Into::into),
                    fenced: contact.is_some_and(|contact| contact.is_fenced(judges_at, said.acked)),
                    unheard_ms: answered.map(|at| now.saturating_sub(at).as_millis() as u64),
                    ahead: self.fleet.ahead.get(*process),
                    acked: said.acked,
                    joined: member.joined,
                    about: member.about.clone(),
                    version: said.version,
                    policy: PolicyOnEdge {
                        revision: report.running.map(|(revision, _)| revision),
                        digest: report.running.map(|(_, digest)| digest.to_string()),
                        failed: report.failed.map(|(revision, _)| revision),
                        reason: report.failed.map(|_| report.reason),
                        target: target.map(|head| head.revision),
                        drifted,
                    },
                }
            })
            .collect();
        edges.sort_by(|a, b| (&a.edge, a.joined).cmp(&(&b.edge, b.joined)));
        edges
    }

    /// Takes the dead out of the roster: one process by its id, or those of a name that are not connected. Waits until
    /// the leases of those that may live have run out. One that connects in the same moment is out all the same, and
    /// joins again.
    pub async fn remove_edge(&self, by: &str, name_or_process: &str) -> Result<Removed, Refused> {
        let edges = self.edges();
        let chosen = choose(&edges, name_or_process)?;
        for edge in &chosen {
            let closed = self.outlive_lease(edge).await?;
            self.take_out(by, edge.process, closed).await?;
        }
        Ok(Removed { edges: chosen })
    }

    /// Takes a process out of the roster through the log. An entry of which nobody knows whether it is written, or that is
    /// written and not folded, takes the process out whenever it is folded: until then nothing may be promised to it,
    /// whether or not somebody still waits for the answer.
    async fn take_out(&self, by: &str, process: ProcessId, closed: Closed) -> Result<(), Refused> {
        let (tell, told) = oneshot::channel();
        let (control, by) = (self.clone(), by.to_owned());
        self.fleet.sessions.spawn(async move {
            let stop = control.fleet.stop.clone();
            let removal = control.write_until_out(&by, process, tell);
            match stop.run_until_cancelled(removal).await {
                Some(()) => drop(closed),
                None => closed.until_exit(),
            }
        });
        told.await
            .unwrap_or_else(|_| Err(WriteError::Stopping.into()))
    }

    /// Tells what became of the first attempt, and goes on until it is certain that none of them takes effect later.
    async fn write_until_out(
        &self,
        by: &str,
        process: ProcessId,
        tell: oneshot::Sender<Result<(), Refused>>,
    ) {
        let mut tell = Some(tell);
        let mut is_in_doubt = false;
        // All attempts are one: of two that come to the log, the later takes out nobody who has joined again in between.
        let key = Key {
            name: format!("removal/{}", Uuid::now_v7()),
            request: Digest::of_parts([process.0.as_bytes().as_slice()]),
        };
        loop {
            let change = Change::EdgeLeft {
                process,
                why: LeaveReason::Removed,
                replica: self.fleet.run,
            };
            let outcome = match self.write(by, Some(key.clone()), change).await {
                // Somebody else was quicker; it is out all the same.
                Ok(_) | Err(Refused::NotFound(_)) => Ok(()),
                Err(refused) => Err(refused),
            };
            is_in_doubt |=
                matches!(&outcome, Err(Refused::Write(error)) if error.may_take_effect());
            let is_certain = outcome.is_ok() || !is_in_doubt;
            if let Some(tell) = tell.take() {
                if !is_certain {
                    tracing::warn!(%process, "it is not known whether the process is out of the roster: until it is, it is kept out, and the entry is written again");
                }
                // Whoever asked may be gone.
                let _ = tell.send(outcome);
            }
            if is_certain {
                return;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// No receipt counts on a process that was taken out. Until its lease has run out, one that only seems dead serves
    /// what it has stored.
    async fn outlive_lease(&self, edge: &Edge) -> Result<Closed, Refused> {
        let Fleet {
            contacts,
            connections,
            lease,
            edges_wait_for,
            ..
        } = &self.fleet;
        loop {
            let left = match contacts.close(edge.process, *lease) {
                Ok(closed) => return Ok(closed),
                Err(left) => left,
            };
            if let Some(why) = edges_wait_for {
                // No lease ends here: another run may serve the process.
                return Err(WriteError::Stopped((*why).to_owned()).into());
            }
            if left > LEASE_WAIT_MAX {
                return Err(Refused::Conflict(format!(
                    "the process {} may serve what it has stored for another {} s: try again then",
                    edge.process,
                    left.as_secs() + 1
                )));
            }
            tokio::time::sleep(left + AFTER_LEASE).await;
            if connections.is_open(edge.process) {
                return Err(Refused::Conflict(format!(
                    "the process {} is connected again: stop it, and it leaves by itself",
                    edge.process
                )));
            }
        }
    }
}

fn choose(edges: &[Edge], name_or_process: &str) -> Result<Vec<Edge>, Refused> {
    if let Ok(process) = Uuid::parse_str(name_or_process) {
        let found = edges.iter().find(|edge| edge.process == ProcessId(process));
        return match found {
            None => Err(Refused::NotFound(format!(
                "no process {process} is in the fleet: `latencify edge list` shows who is"
            ))),
            Some(edge) if edge.state == EdgeState::Connected => Err(Refused::Conflict(format!(
                "the process {process} is connected: stop it, and it leaves by itself"
            ))),
            Some(edge) => Ok(vec![edge.clone()]),
        };
    }
    let named: Vec<_> = edges
        .iter()
        .filter(|edge| edge.edge == name_or_process)
        .collect();
    if named.is_empty() {
        let nearest =
            super::resolve::nearest(name_or_process, edges.iter().map(|edge| edge.edge.as_str()));
        let hint = nearest.map_or(String::new(), |name| format!("; did you mean {name:?}?"));
        return Err(Refused::NotFound(format!(
            "no edge {name_or_process:?} is in the fleet{hint}"
        )));
    }
    let gone: Vec<_> = named
        .into_iter()
        .filter(|edge| edge.state == EdgeState::Disconnected)
        .cloned()
        .collect();
    if gone.is_empty() {
        return Err(Refused::Conflict(format!(
            "the edge {name_or_process:?} is connected: stop it, and it leaves by itself"
        )));
    }
    Ok(gone)
}
