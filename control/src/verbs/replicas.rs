//! The replicas, as people see them.

use super::Control;
use latencify_conf::api::ReplicaInLog;

impl Control {
    /// Every replica that has announced itself and not left, in the order of their announcements.
    pub fn replicas(&self) -> Vec<ReplicaInLog> {
        let state = self.fleet.fold.state();
        let mut replicas: Vec<_> = state
            .replicas
            .iter()
            .map(|(replica, announced)| ReplicaInLog {
                replica: *replica,
                name: announced.name.clone(),
                store: announced.store,
                version: announced.version.clone(),
                joined: announced.joined,
                answers: self.fleet.run == Some(*replica),
            })
            .collect();
        replicas.sort_by_key(|replica| replica.joined);
        replicas
    }
}
