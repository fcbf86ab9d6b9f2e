//! Which replicas serve, and which stores they fold into.
//!
//! A SQLite store belongs to one replica, and what edges say to that replica is in no other store. Two such replicas beside
//! each other would give receipts that know half of the fleet each. So the log takes a second one only after the first
//! has left. A run on the same store is the same replica, started again: it replaces the run before it, which stops
//! when it reads that, should it still live (a copy of its folder was started somewhere). It names the run that it found
//! announced: an announcement that a broker held up, of a run that is dead by now, replaces nobody that came later.

use super::{Conflict, Effect};
use latencify_conf::change::{Epoch, Moved, Replaces, ReplicaId, StoreKind, StoreRef};
use std::{collections::BTreeMap, time::Duration};

/// A replica that has announced itself and not left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Its name, for people.
    pub name: String,
    /// Where it folds the log to.
    pub store: StoreRef,
    /// Its version.
    pub version: String,
    /// The entry by which it announced itself.
    pub joined: Epoch,
    /// For so long after it has read the log to its end it may answer edges; none: it did not say.
    pub unread_max: Option<Duration>,
}

/// Replicas by their runs.
pub type Replicas = BTreeMap<ReplicaId, Announced>;

/// The replica beside which a store can't be folded into; none: there is none.
pub fn in_the_way(replicas: &Replicas, store: StoreRef) -> Option<(ReplicaId, &Announced)> {
    let is_private = |store: StoreRef| match store.kind {
        StoreKind::Sqlite => true,
    };
    let stands_in_the_way =
        |other: &Announced| other.store != store && (is_private(other.store) || is_private(store));
    replicas
        .iter()
        .find(|(_, other)| stands_in_the_way(other))
        .map(|(replica, other)| (*replica, other))
}

/// The run on a store that is announced; none: nobody is.
pub fn on_store(replicas: &Replicas, store: StoreRef) -> Option<ReplicaId> {
    let mut on_it = replicas.iter().filter(|(_, other)| other.store == store);
    on_it.next().map(|(replica, _)| *replica)
}

/// A replica announces itself.
pub(super) fn joined(
    replicas: &Replicas,
    replica: ReplicaId,
    replaces: Option<Replaces>,
    announced: Announced,
    lease: Option<Duration>,
) -> Result<Vec<Effect>, Conflict> {
    if replicas.contains_key(&replica) {
        return Err(Conflict::AlreadyJoined);
    }
    let store = announced.store;
    if let Some((other, _)) = in_the_way(replicas, store) {
        return Err(Conflict::OtherStore(other));
    }
    let present = on_store(replicas, store);
    if replaces.is_some_and(|replaces| replaces != Replaces::of(present)) {
        return Err(Conflict::OtherRun { present });
    }
    let replaced = replicas.iter().filter(|(_, other)| other.store == store);
    let mut effects: Vec<_> = replaced
        .map(|(replaced, _)| Effect::ReplicaLeft {
            replica: *replaced,
            why: ReplicaLeft::Replaced,
        })
        .collect();
    effects.push(Effect::ReplicaJoined {
        replica,
        announced,
        lease,
    });
    Ok(effects)
}

/// Why a replica is no longer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaLeft {
    /// A clean stop.
    Stopped,
    /// The operator took it out.
    Removed,
    /// A newer run on the same store has announced itself.
    Replaced,
}

impl ReplicaLeft {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Removed => "removed",
            Self::Replaced => "replaced",
        }
    }
}

/// Runs that are announced no more, and may answer edges until they read that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Absent {
    /// The longest that one of them goes by what it has read last; none: there is no such run.
    pub longest: Option<Duration>,
    /// The newest entry that said that there is none; 0: the log begins without.
    pub none_since: Epoch,
}

impl Absent {
    pub(super) fn none_since(epoch: Epoch) -> Self {
        Self {
            longest: None,
            none_since: epoch,
        }
    }

    /// A run is announced no more. One that has left by itself had ended its sessions before it said so.
    pub(super) fn has(&mut self, announced: &Announced, why: ReplicaLeft) {
        match why {
            ReplicaLeft::Stopped => {}
            ReplicaLeft::Removed | ReplicaLeft::Replaced => {
                let bound = announced.unread_max.unwrap_or_default();
                self.longest = self.longest.max(Some(bound));
            }
        }
    }

    /// For how long after its announcement a run has to reckon with others that answer edges; none: there are no others.
    pub fn may_answer_for(&self, own_max: Duration, moved: Option<Moved>) -> Option<Duration> {
        if self.longest.is_none() && self.knows_all(moved) {
            return None;
        }
        self.longest.max(Some(own_max))
    }

    /// The same of a run that has the log in its folder. Whoever had it there before is dead; but it may have been in Kafka
    /// before, and be followed there still by those that are announced.
    pub fn may_answer_elsewhere_for(
        &self,
        replicas: &Replicas,
        run: Option<ReplicaId>,
        own_max: Duration,
        moved: Option<Moved>,
    ) -> Option<Duration> {
        let there = replicas.iter().filter(|(other, _)| Some(**other) != run);
        let bounds = there.filter_map(|(_, other)| other.unread_max);
        let not_known = (!self.knows_all(moved)).then_some(own_max);
        let longest = bounds.chain(self.longest).chain(not_known).max();
        longest.filter(|longest| !longest.is_zero())
    }

    /// Whether the log tells of every run that may answer edges. What stands in one that was moved says nothing of who
    /// followed the former one behind the copy that it was made from, until a run behind that has waited for them.
    pub fn knows_all(&self, moved: Option<Moved>) -> bool {
        // The first entry names the log; as many as were moved stand behind it.
        moved.is_none_or(|moved| self.none_since.0 > moved.entries.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_conf::change::{LogId, StoreId};
    use uuid::Uuid;

    fn run(number: u128) -> ReplicaId {
        ReplicaId(Uuid::from_u128(number))
    }

    fn on(store: u128) -> Announced {
        Announced {
            name: "control".to_owned(),
            store: StoreRef {
                kind: StoreKind::Sqlite,
                id: StoreId(Uuid::from_u128(store)),
            },
            version: "1".to_owned(),
            joined: Epoch(1),
            unread_max: None,
        }
    }

    fn joined(
        replicas: &Replicas,
        replica: ReplicaId,
        announced: Announced,
    ) -> Result<Vec<Effect>, Conflict> {
        super::joined(replicas, replica, None, announced, None)
    }

    #[test]
    fn a_store_of_its_own_stands_alone_and_a_newer_run_on_it_replaces_the_older() {
        let mut replicas = Replicas::new();
        let first = joined(&replicas, run(1), on(1)).unwrap();
        assert!(matches!(&first[..], [Effect::ReplicaJoined { .. }]));
        replicas.insert(run(1), on(1));
        assert_eq!(
            joined(&replicas, run(1), on(1)),
            Err(Conflict::AlreadyJoined)
        );
        assert_eq!(
            joined(&replicas, run(2), on(2)),
            Err(Conflict::OtherStore(run(1)))
        );
        let again = joined(&replicas, run(3), on(1)).unwrap();
        let replaced = Effect::ReplicaLeft {
            replica: run(1),
            why: ReplicaLeft::Replaced,
        };
        assert!(
            matches!(&again[..], [left, Effect::ReplicaJoined { replica, .. }] if *left == replaced && *replica == run(3)),
            "{again:?}"
        );
        replicas.clear();
        assert!(joined(&replicas, run(2), on(2)).is_ok());
    }

    #[test]
    fn an_announcement_replaces_whom_it_names_and_nobody_else() {
        let empty = Replicas::new();
        let first = Replicas::from([(run(1), on(1))]);
        let conflict = |present| Err(Conflict::OtherRun { present });
        for (name, replicas, replaces, refused) in [
            (
                "nobody, and nobody is there",
                &empty,
                Replaces::Nobody,
                Ok(()),
            ),
            (
                "nobody, and somebody is there",
                &first,
                Replaces::Nobody,
                conflict(Some(run(1))),
            ),
            ("who is there", &first, Replaces::Run(run(1)), Ok(())),
            (
                "who was there before",
                &first,
                Replaces::Run(run(9)),
                conflict(Some(run(1))),
            ),
            (
                "who has left",
                &empty,
                Replaces::Run(run(1)),
                conflict(None),
            ),
        ] {
            let folded = super::joined(replicas, run(3), Some(replaces), on(1), None);
            assert_eq!(folded.map(|_| ()), refused, "{name}");
        }
    }

    #[test]
    fn who_may_answer_still_is_waited_for_as_long_as_the_longest_of_them() {
        let at = Duration::from_secs;
        let run_of = |seconds: Option<u64>| Announced {
            unread_max: seconds.map(at),
            ..on(1)
        };
        let mut absent = Absent::default();
        let own = at(5);
        assert_eq!(absent.may_answer_for(own, None), None);
        absent.has(&run_of(Some(60)), ReplicaLeft::Stopped);
        assert_eq!(absent.may_answer_for(own, None), None, "it left by itself");
        absent.has(&run_of(None), ReplicaLeft::Replaced);
        assert_eq!(
            absent.may_answer_for(own, None),
            Some(own),
            "it did not say"
        );
        absent.has(&run_of(Some(60)), ReplicaLeft::Removed);
        absent.has(&run_of(Some(9)), ReplicaLeft::Replaced);
        assert_eq!(absent.may_answer_for(own, None), Some(at(60)));
        assert_eq!(absent.may_answer_for(at(90), None), Some(at(90)));
        let absent = Absent::none_since(Epoch(8));
        assert_eq!(absent.may_answer_for(own, None), None);
        let log = LogId(Uuid::nil());
        for (entries, expected) in [(6, None), (7, Some(own))] {
            let moved = Some(Moved { log, entries });
            assert_eq!(absent.may_answer_for(own, moved), expected, "{entries}");
        }
    }

    /// In the data folder nobody else follows it; where it was before, somebody may.
    #[test]
    fn a_log_in_the_folder_waits_for_whoever_followed_it_in_kafka() {
        let at = Duration::from_secs;
        let (own, log) = (at(5), LogId(Uuid::nil()));
        let announced = |seconds: Option<u64>| Announced {
            unread_max: seconds.map(at),
            ..on(1)
        };
        let moved = |entries| Some(Moved { log, entries });
        let waited = Absent::none_since(Epoch(8));
        let mut replaced_here = waited;
        replaced_here.has(&announced(None), ReplicaLeft::Replaced);
        let mut replaced_there = waited;
        replaced_there.has(&announced(Some(60)), ReplicaLeft::Removed);
        let none = Absent::default();
        for (name, absent, other, moved, expected) in [
            ("it was always here", none, None, None, None),
            (
                "it was, and runs died here",
                replaced_here,
                Some(None),
                None,
                None,
            ),
            ("it came from elsewhere", none, None, moved(7), Some(own)),
            ("a run there has waited", waited, None, moved(7), Some(own)),
            ("a run here has waited", waited, None, moved(6), None),
            (
                "so it has, and died",
                replaced_here,
                Some(None),
                moved(6),
                None,
            ),
            (
                "one is announced there",
                waited,
                Some(Some(3)),
                moved(6),
                Some(at(3)),
            ),
            (
                "nobody has waited for it",
                none,
                Some(Some(3)),
                moved(7),
                Some(own),
            ),
            (
                "it was taken out",
                replaced_there,
                None,
                moved(6),
                Some(at(60)),
            ),
        ] {
            let replicas = other.map(|seconds| (run(2), announced(seconds)));
            let mut replicas = Replicas::from_iter(replicas);
            replicas.insert(run(1), announced(Some(90)));
            let of = absent.may_answer_elsewhere_for(&replicas, Some(run(1)), own, moved);
            assert_eq!(of, expected, "{name}");
        }
    }
}
