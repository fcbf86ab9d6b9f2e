//! What the gateway's session owns: the shipped driver, what has arrived and is not read, and where requests read how far the
//! marks may be trusted.

use latencify_conf::link::message::{ToEdge, to_edge::Message as To};
use latencify_gateway::fleet::{
    Isolated, Standing,
    obey::{Obedience, Outcome},
};
use std::{sync::Arc, time::Duration};

/// A session.
pub struct Session {
    /// What the edge makes of control's words.
    pub obedience: Obedience,
    /// Has arrived, and is not read.
    pub inbox: Vec<ToEdge>,
    standing: Arc<Standing>,
    last_answer: Option<Duration>,
    /// Broken on purpose: a lease of this length counts from when the answer was read.
    pub lease_from_answer: Option<Duration>,
}

impl Session {
    /// Before it has connected.
    pub fn new(obedience: Obedience, standing: Arc<Standing>) -> Self {
        Self {
            obedience,
            inbox: Vec::new(),
            standing,
            last_answer: None,
            lease_from_answer: None,
        }
    }

    /// A turn: what has arrived is read, then the clock, and then requests may know.
    pub fn turn(&mut self, now: Duration) -> Vec<Outcome> {
        let messages = std::mem::take(&mut self.inbox);
        let answered = messages
            .iter()
            .any(|message| matches!(message.message, Some(To::Heartbeat(_))));
        if answered {
            self.last_answer = Some(now);
        }
        let mut outcomes = self.obedience.receive(messages, now);
        outcomes.extend(self.obedience.tick(now));
        self.follow(now);
        outcomes
    }

    /// Requests see where the link stands.
    pub fn follow(&self, now: Duration) {
        self.standing.follow(self.obedience.link(), now);
    }

    /// Whether purges may be missing, as requests ask it.
    pub fn isolated(&self, now: Duration) -> Option<Isolated> {
        let isolated = self.standing.isolated_by(|| now);
        isolated.filter(|_| {
            self.lease_from_answer
                .is_none_or(|lease| self.last_answer.is_none_or(|answer| now >= answer + lease))
        })
    }
}
