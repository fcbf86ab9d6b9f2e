//! How a peer gets in: into the roster, through the log and folded, and promised a lease, before it is welcomed.

use crate::{
    fault::Fault,
    fleet::{
        Fleet,
        admission::{self, Step},
    },
    fold::State,
    store::{StoreError, folding::Settled},
    writer::WriteError,
};
use latencify_conf::{
    change::Change,
    link::replica::{Admission, Peer},
};
use std::sync::Arc;
use tokio::sync::watch;

/// Why a peer is not welcomed. It may come again.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAdmitted {
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the process is being taken out of the fleet, or was as often as it joined")]
    TakenOut,
    #[error("the process is edge {0}'s: an edge may not speak for another")]
    OtherEdge(String),
    #[error("{0}")]
    Withheld(Fault),
}

/// The way in.
pub(super) struct Door<'s> {
    pub(super) fleet: &'s Fleet,
    pub(super) state: &'s mut watch::Receiver<Arc<State>>,
}

impl Door<'_> {
    /// Lets a peer in. What was promised is kept before it is promised.
    pub(super) async fn admit(mut self, peer: &Peer) -> Result<Admission, NotAdmitted> {
        let admission = self.join_and_look(peer).await?;
        let Fleet {
            contacts,
            store,
            lease,
            ..
        } = self.fleet;
        let greeted = contacts.greet(store, peer.process, peer.when_isolated, *lease);
        if !greeted.await? {
            return Err(NotAdmitted::TakenOut);
        }
        match self.fleet.withholds() {
            None => Ok(admission),
            Some(fault) => Err(NotAdmitted::Withheld(fault)),
        }
    }

    /// Takes the steps of an [admission]. The operator may take the peer out in between; then it joins again.
    async fn join_and_look(&mut self, peer: &Peer) -> Result<Admission, NotAdmitted> {
        for _ in 0..=admission::JOINS_MAX {
            let state = self.state.borrow_and_update().clone();
            // Every edge hears the ids of all processes; the name alone is certified.
            if let Some(member) = state.roster.get(&peer.process)
                && member.edge != peer.edge
            {
                return Err(NotAdmitted::OtherEdge(member.edge.clone()));
            }
            match admission::next(peer, &state, self.fleet.run) {
                Step::Join(change) => self.join(peer, change).await?,
                Step::LookUp(epoch) => {
                    let log = state.position.log;
                    let known = self.fleet.store.position_at(log, epoch).await?;
                    return Ok(admission::admission(&state, peer.process, known));
                }
                Step::Admit(admission) => return Ok(admission),
            }
        }
        Err(NotAdmitted::TakenOut)
    }

    async fn join(&self, peer: &Peer, change: Change) -> Result<(), WriteError> {
        // A conflict says that it is in the roster already: two streams of one process raced.
        let _: Settled = self
            .fleet
            .writer
            .write(&format!("edge:{}", peer.edge), None, change)
            .await?;
        Ok(())
    }
}
