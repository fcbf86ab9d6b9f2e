//! What an edge does with control's words, without I/O, clock or task: the link machine and the marks, in one order.
//!
//! # Characters
//! - [`EdgeLink`] believes or refuses; it knows nothing of marks.
//! - [`MarksPort`] obeys; it knows nothing of streams.
//! - [`Obedience`] holds both, so that nobody else can get their order wrong: **publish, then obey, then ack**. A purge
//!   is published to every look-up before a fetch may be stamped with its epoch, and both are done before control hears
//!   of it.
//! - The driver (the edge's session, the simulation) moves messages and keeps time. It feeds what happens and carries
//!   out the [`Outcome`]s, in their order.
//!
//! Entries that came together are acked together, once.

use super::ports::MarksPort;
use latencify_cache::History;
use latencify_conf::{
    change::{Change, LogId, Position},
    link::{
        edge::{Action, EdgeLink, Fault, Introduction},
        health::Health,
        message::{FromEdge, ToEdge},
        replica::{Report, Target},
    },
};
use std::{sync::Arc, time::Duration};

/// The policy that the fleet should run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The log that its revision is of.
    pub log: LogId,
    /// The history of it that the ids of its sites are of: requests that it decides do nothing to what is stored under another.
    pub history: History,
    /// Which.
    pub target: Target,
}

impl Wanted {
    /// As an earlier run saved it, for marks that are of the history `now`, restored or empty.
    pub fn of_saved(self, now: History) -> Self {
        Self {
            history: self.history.of_saved(now),
            ..self
        }
    }
}

/// What the driver is told, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Send this to control.
    Send(FromEdge),
    /// Bring this policy into force; nothing waits for it.
    Want(Wanted),
    /// The edge starts over here: every floor has been raised.
    Reset(Position),
    /// Secrets have other values, or may have: they are to be fetched anew.
    Secrets,
    /// Every worker obeys everything up to here.
    Obeyed {
        /// The position.
        position: Position,
        /// So many entries, or a reset, since the last one.
        entries: u64,
    },
    /// Close the stream. Nothing of what was wrong was applied.
    Disconnect(Fault),
}

/// One edge process, obeying.
pub struct Obedience {
    link: EdgeLink,
    marks: Arc<dyn MarksPort>,
}

impl Obedience {
    /// An edge that obeys nothing yet.
    pub fn new(introduction: Introduction, marks: Arc<dyn MarksPort>) -> Self {
        Self {
            link: EdgeLink::new(introduction),
            marks,
        }
    }

    /// An edge whose marks obey what an earlier run of it has saved.
    pub fn resuming(
        introduction: Introduction,
        saved: Position,
        marks: Arc<dyn MarksPort>,
    ) -> Self {
        Self {
            link: EdgeLink::resuming(introduction, saved),
            marks,
        }
    }

    /// Where the link stands.
    pub fn link(&self) -> &EdgeLink {
        &self.link
    }

    /// A stream has opened.
    pub fn connected(&mut self, now: Duration) -> Vec<Outcome> {
        let actions = self.link.connected(now);
        self.perform(actions)
    }

    /// The stream is gone.
    pub fn disconnected(&mut self) {
        self.link.disconnected();
    }

    /// Takes messages of control that came together, read before `now`.
    pub fn receive(
        &mut self,
        messages: impl IntoIterator<Item = ToEdge>,
        now: Duration,
    ) -> Vec<Outcome> {
        let actions = messages
            .into_iter()
            .flat_map(|message| self.link.receive(message, now))
            .collect();
        self.perform(actions)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Duration) -> Vec<Outcome> {
        let actions = self.link.tick(now);
        self.perform(actions)
    }

    /// What the edge runs, or why it does not run its target, has changed.
    pub fn report(&mut self, report: Report) -> Vec<Outcome> {
        let actions = self.link.report(report);
        self.perform(actions)
    }

    /// What the edge has answered by what it runs.
    pub fn health(&mut self, health: &Health) -> Vec<Outcome> {
        let actions = self.link.health(health);
        self.perform(actions)
    }

    /// The marks of everything up to here are on disk.
    pub fn saved(&mut self, position: &Position) -> Vec<Outcome> {
        let actions = self.link.saved(position);
        self.perform(actions)
    }

    /// A clean stop: the edge serves nothing any more.
    pub fn leave(&mut self) -> Vec<Outcome> {
        let actions = self.link.leave();
        self.perform(actions)
    }

    /// Carries out actions in their order.
    fn perform(&mut self, actions: Vec<Action>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(actions.len());
        let mut applied = Applied::default();
        for action in actions {
            match action {
                Action::Apply { entry, position } => {
                    match &entry.change {
                        Change::Purge { mode, targets, .. } => {
                            self.marks.purge(targets, *mode, position.epoch);
                        }
                        Change::SecretChanged { .. } | Change::SecretRemoved { .. } => {
                            outcomes.push(Outcome::Secrets);
                        }
                        _ => {}
                    }
                    applied.add(position);
                }
                Action::Reset { start } => {
                    self.settle(&mut applied, &mut outcomes);
                    self.marks.reset(&start);
                    outcomes.push(Outcome::Reset(start));
                    outcomes.push(Outcome::Secrets);
                    applied.add(start);
                }
                Action::Target(target) => {
                    let at = applied.last.or(self.link.obeyed());
                    outcomes.extend(at.map(|position| {
                        Outcome::Want(Wanted {
                            log: position.log,
                            history: self.marks.history(),
                            target,
                        })
                    }));
                }
                Action::Send(message) => outcomes.push(Outcome::Send(message)),
                Action::Disconnect(fault) => {
                    self.settle(&mut applied, &mut outcomes);
                    outcomes.push(Outcome::Disconnect(fault));
                }
            }
        }
        self.settle(&mut applied, &mut outcomes);
        outcomes
    }

    /// Fetches that begin from now on may be stamped with what was applied, and control may know.
    fn settle(&mut self, applied: &mut Applied, outcomes: &mut Vec<Outcome>) {
        let Applied {
            last: Some(position),
            entries,
        } = std::mem::take(applied)
        else {
            return;
        };
        self.marks.obey(&position);
        outcomes.push(Outcome::Obeyed { position, entries });
        for action in self.link.applied(&position) {
            if let Action::Send(message) = action {
                outcomes.push(Outcome::Send(message));
            }
        }
    }
}

#[derive(Default)]
struct Applied {
    last: Option<Position>,
    entries: u64,
}

impl Applied {
    fn add(&mut self, position: Position) {
        self.last = Some(position);
        self.entries += 1;
    }
}
