//! Which replicas serve, and which stores they fold into.
//!
//! A SQLite store belongs to one replica, and what edges say to that replica is in no other store. Two such replicas beside
//! each other would give receipts that know half of the fleet each. So the log takes a second one only after the first
//! has left. A run on the same store is the same replica, started again: it replaces the run before it, which stops
//! when it reads that, should it still live (a copy of its folder was started somewhere).

use super::{Conflict, Effect};
use latencify_conf::change::{Epoch, ReplicaId, StoreKind, StoreRef};
use std::collections::BTreeMap;

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

/// A replica announces itself.
pub(super) fn joined(
    replicas: &Replicas,
    replica: ReplicaId,
    announced: Announced,
) -> Result<Vec<Effect>, Conflict> {
    if replicas.contains_key(&replica) {
        return Err(Conflict::AlreadyJoined);
    }
    let store = announced.store;
    if let Some((other, _)) = in_the_way(replicas, store) {
        return Err(Conflict::OtherStore(other));
    }
    let replaced = replicas.iter().filter(|(_, other)| other.store == store);
    let mut effects: Vec<_> = replaced
        .map(|(replaced, _)| Effect::ReplicaLeft {
            replica: *replaced,
            why: ReplicaLeft::Replaced,
        })
        .collect();
    effects.push(Effect::ReplicaJoined { replica, announced });
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

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_conf::change::StoreId;
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
        }
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
}
