//! How the edges of the roster stand towards this replica, counted.

use super::Fleet;
use crate::rollout;

/// How one edge process stands. Every process of the roster stands in exactly one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has a stream to this replica.
    Connected,
    /// It has none, and may serve what it has stored: its lease runs, or it serves whatever happens. Receipts call it missing.
    CutOff,
    /// It serves nothing stored before it has caught up.
    Fenced,
    /// It knows of more than this replica's log has.
    Ahead,
}

impl Standing {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Connected, Self::CutOff, Self::Fenced, Self::Ahead];

    /// How a process of the roster stands of which this is known.
    pub fn of(is_ahead: bool, is_fenced: bool, is_connected: bool) -> Self {
        if is_ahead {
            Self::Ahead
        } else if is_fenced {
            Self::Fenced
        } else if is_connected {
            Self::Connected
        } else {
            Self::CutOff
        }
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::CutOff => "cut_off",
            Self::Fenced => "fenced",
            Self::Ahead => "ahead",
        }
    }
}

impl Fleet {
    /// How many edge processes of the roster run something else than their target, and have not said why.
    pub fn drifted(&self) -> usize {
        let state = self.fold.state();
        let has_drifted = |(process, member): (&_, &crate::fold::Member)| {
            let target = rollout::target(&state, &member.edge, &member.about);
            rollout::has_drifted(target, &self.said.get(*process).report)
        };
        state
            .roster
            .iter()
            .filter(|each| has_drifted(*each))
            .count()
    }

    /// How many edge processes of the roster stand in each way.
    pub fn census(&self) -> [(Standing, usize); 4] {
        let (state, now) = self.judges_at();
        let standings: Vec<_> = (state.roster.keys())
            .map(|process| {
                let contact = self.contacts.get(*process);
                let acked = self.said.acked_by(*process);
                let is_fenced = contact.is_some_and(|contact| contact.is_fenced(now, acked));
                let is_ahead = self.ahead.get(*process).is_some();
                Standing::of(is_ahead, is_fenced, self.connections.is_open(*process))
            })
            .collect();
        Standing::ALL.map(|standing| {
            let count = standings.iter().filter(|&&other| other == standing).count();
            (standing, count)
        })
    }
}
