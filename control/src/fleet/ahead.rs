//! Edges that obey more of the log than this replica has, or were told of more. Their marks and policies are of entries that
//! are not here, or they wait for such: the replica lags, or its log was put back to an older copy.

use crate::{fold::State, store::forks::Fork};
use latencify_conf::{
    change::{Epoch, Position, ProcessId},
    link::replica::Peer,
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// Who they are. A clone sees the same.
#[derive(Clone, Default)]
pub struct Ahead {
    of: Arc<Mutex<BTreeMap<ProcessId, EdgeAhead>>>,
    /// The first that obeyed what is not in the log. Nothing makes the log whole again, so it is told for as long as the
    /// store follows it.
    forked: Arc<Mutex<Option<EdgeAhead>>>,
}

/// An edge process that knows of more than there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeAhead {
    /// The operator's name for the edge.
    pub edge: String,
    /// What it knows of.
    pub lead: Lead,
}

/// What an edge knows of that this replica does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// It obeys this, and was turned away.
    Obeys(Epoch),
    /// It was told of this head and obeys less: it was welcomed, and if its lease had run out it stays isolated until it obeys
    /// as much.
    WasTold(Epoch),
    /// It obeyed this, where the log has another entry or none: it was welcomed, and starts over. Its next hello shows
    /// nothing of that any more, and an edge that was told no more than the log had written again by then never shows it.
    Forked(Epoch),
}

impl Ahead {
    /// What an earlier run has found of the log.
    pub fn remembered(fork: Option<Fork>) -> Self {
        let forked = fork.map(|Fork { edge, epoch }| EdgeAhead {
            edge,
            lead: Lead::Forked(epoch),
        });
        Self {
            of: Arc::default(),
            forked: Arc::new(Mutex::new(forked)),
        }
    }

    /// A process has a lead. The operator is told once, and again when it is another one.
    pub fn found(&self, process: ProcessId, edge: EdgeAhead, state: &State) {
        if let Lead::Forked(_) = edge.lead {
            self.none(process);
            let why = edge.warning(state);
            tracing::error!(edge = edge.edge, %process, lead = ?edge.lead, head = %state.position.epoch, "{why}");
            self.forked.lock().get_or_insert(edge);
            return;
        }
        let mut of = self.of.lock();
        if of.get(&process) != Some(&edge) {
            let why = edge.warning(state);
            tracing::error!(edge = edge.edge, %process, lead = ?edge.lead, head = %state.position.epoch, "{why}");
            of.insert(process, edge);
        }
    }

    /// A process has no lead (any more).
    pub fn none(&self, process: ProcessId) {
        let mut of = self.of.lock();
        of.remove(&process);
    }

    /// Only who is in the roster is still in the fleet.
    pub fn forget_all_but(&self, state: impl FnOnce() -> Arc<State>) {
        let mut of = self.of.lock();
        let state = state();
        of.retain(|process, _| state.roster.contains_key(process));
    }

    /// What a process obeys that was turned away.
    pub fn get(&self, process: ProcessId) -> Option<Epoch> {
        match self.of.lock().get(&process)?.lead {
            Lead::Obeys(epoch) => Some(epoch),
            Lead::WasTold(_) | Lead::Forked(_) => None,
        }
    }

    /// What an operator has to be told, one line an edge.
    pub fn warnings(&self, state: &State) -> Vec<String> {
        let (of, forked) = (self.of.lock(), self.forked.lock());
        let holds = |edge: &&EdgeAhead| edge.lead.is_before(&state.position);
        let ahead = of.values().chain(forked.iter()).filter(holds);
        ahead.map(|edge| edge.warning(state)).collect()
    }
}

impl Lead {
    /// The lead of a peer to which a replica that stands here has just answered.
    pub fn of(peer: &Peer, was_turned_away: bool, here: &Position) -> Option<Self> {
        let obeys = peer.position?;
        if was_turned_away {
            return Some(Self::Obeys(obeys.epoch));
        }
        let told = Self::WasTold(peer.told);
        (obeys.log == here.log && told.is_before(here)).then_some(told)
    }

    /// What a peer obeys that the log does not have, although it goes as far. `known` is what stands in the log there.
    pub fn forked(peer: &Peer, known: Option<Position>, here: &Position) -> Option<Self> {
        let obeys = peer.position?;
        let goes_as_far = obeys.log == here.log && obeys.epoch <= here.epoch;
        (goes_as_far && known != Some(obeys)).then_some(Self::Forked(obeys.epoch))
    }

    /// Whether a replica that stands here lacks it. One that obeyed more is told when it comes again that the log has gone on
    /// to there, perhaps otherwise.
    fn is_before(self, here: &Position) -> bool {
        match self {
            Self::Obeys(_) | Self::Forked(_) => true,
            Self::WasTold(epoch) => epoch > here.epoch,
        }
    }
}

impl EdgeAhead {
    fn warning(&self, state: &State) -> String {
        let Self { edge, lead } = self;
        let head = state.position.epoch;
        let (knows, until) = match lead {
            Lead::Obeys(epoch) => (
                format!("obeys epoch {epoch} of this log"),
                "the edge is welcome once it has caught up",
            ),
            Lead::WasTold(epoch) => (
                format!("was told that this log goes to epoch {epoch}"),
                "the edge, if its lease had run out, is isolated until it obeys as much",
            ),
            Lead::Forked(epoch) => {
                return format!(
                    "the edge {edge} obeyed an entry at epoch {epoch} of this log that is not in it: an older copy of the log was \
                     restored and written to, and entries that the fleet obeyed, purges among them, are lost. The edge has \
                     started over; to make all of them do so: stop this replica and run `latencify-control migrate-log`, which \
                     makes a new log of what is left. Then purge again what was purged since the copy was made"
                );
            }
        };
        format!(
            "the edge {edge} {knows}, but this replica's log ends at {head}: it lags, and {until}; or an older copy of the log \
             was restored, and entries that the fleet obeyed are lost: stop this replica and run `latencify-control \
             migrate-log`, which makes a new log of what is left, so that every edge starts over"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_conf::{change::LogId, digest::Digest};
    use std::collections::BTreeMap;
    use uuid::Uuid;

    fn peer(obeys: Option<Position>, told: u64) -> Peer {
        Peer {
            process: ProcessId(Uuid::nil()),
            edge: "paris".to_owned(),
            position: obeys,
            version: String::new(),
            told: Epoch(told),
            when_isolated: None,
            saves_marks: false,
            about: BTreeMap::new(),
        }
    }

    #[test]
    fn a_lead_is_what_a_replica_lacks_of_the_same_log() {
        let position = |log, epoch| Position {
            log: LogId(Uuid::from_u128(log)),
            epoch: Epoch(epoch),
            hash: Digest([0; 32]),
        };
        let here = position(1, 7);
        for (name, obeys, told, was_turned_away, expected) in [
            ("it has nothing", None, 0, false, None),
            ("as usual", Some(position(1, 5)), 7, false, None),
            (
                "told of more",
                Some(position(1, 5)),
                9,
                false,
                Some(Lead::WasTold(Epoch(9))),
            ),
            ("of another log", Some(position(2, 5)), 9, false, None),
            (
                "obeys more",
                Some(position(1, 8)),
                9,
                true,
                Some(Lead::Obeys(Epoch(8))),
            ),
        ] {
            let peer = peer(obeys, told);
            assert_eq!(Lead::of(&peer, was_turned_away, &here), expected, "{name}");
        }
    }

    #[test]
    fn a_fork_is_told_whatever_the_log_goes_on_with() {
        let position = |log, epoch, hash| Position {
            log: LogId(Uuid::from_u128(log)),
            epoch: Epoch(epoch),
            hash: Digest([hash; 32]),
        };
        let here = position(1, 7, 0);
        let forked = Some(Lead::Forked(Epoch(5)));
        for (name, obeys, known, expected) in [
            ("nothing", None, None, None),
            (
                "what is there",
                Some(position(1, 5, 3)),
                Some(position(1, 5, 3)),
                None,
            ),
            (
                "another entry",
                Some(position(1, 5, 4)),
                Some(position(1, 5, 3)),
                forked,
            ),
            ("no entry", Some(position(1, 5, 4)), None, forked),
            ("more than there is", Some(position(1, 8, 4)), None, None),
            ("another log", Some(position(2, 5, 4)), None, None),
        ] {
            let peer = peer(obeys, 7);
            assert_eq!(Lead::forked(&peer, known, &here), expected, "{name}");
        }
        let mut state = State::before(here.log);
        let (ahead, process) = (Ahead::default(), ProcessId(Uuid::nil()));
        let edge = EdgeAhead {
            edge: "paris".to_owned(),
            lead: Lead::Forked(Epoch(5)),
        };
        ahead.found(process, edge, &state);
        ahead.none(process);
        state.position.epoch = Epoch(90);
        let warnings = ahead.warnings(&state);
        for part in ["paris", "epoch 5", "migrate-log", "purge again"] {
            assert!(warnings[0].contains(part), "{part}: {warnings:?}");
        }
    }

    #[test]
    fn the_operator_is_told_until_the_log_has_gone_on_to_there() {
        let mut state = State::before(LogId(Uuid::nil()));
        state.position.epoch = Epoch(5);
        let (ahead, process) = (Ahead::default(), ProcessId(Uuid::nil()));
        let edge = EdgeAhead {
            edge: "paris".to_owned(),
            lead: Lead::WasTold(Epoch(7)),
        };
        ahead.found(process, edge, &state);
        let warnings = ahead.warnings(&state);
        for part in ["paris", "epoch 7", "ends at 5", "isolated", "migrate-log"] {
            assert!(warnings[0].contains(part), "{part}: {warnings:?}");
        }
        assert_eq!(ahead.get(process), None, "it was welcomed");
        state.position.epoch = Epoch(7);
        assert!(ahead.warnings(&state).is_empty());
        state.position.epoch = Epoch(5);
        ahead.none(process);
        assert!(ahead.warnings(&state).is_empty());
    }
}
