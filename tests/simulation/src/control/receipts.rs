//! Receipts, judged by the shipped judgement over what this replica knows, and held as the shipped ones are.

use crate::world::World;
use latencify_cache::rules::Rules;
use latencify_conf::{
    api::ReceiptState,
    change::{Epoch, ProcessId},
};
use latencify_control::fleet::judgement::{Judgement, Standing, is_complete, judge};
use uuid::Uuid;

/// A receipt.
#[derive(Debug)]
pub struct Receipt {
    /// The purge's epoch.
    pub epoch: Epoch,
    /// Whether nobody is missing, and nothing holds it.
    pub complete: bool,
    /// Nobody is missing whom the replica knows, and it may not know everybody.
    pub is_held: bool,
    /// Everybody whom the purge counts on.
    pub edges: Vec<(ProcessId, Judgement)>,
}

impl Receipt {
    /// Who is in that state.
    pub fn those(&self, state: ReceiptState) -> impl Iterator<Item = ProcessId> {
        let those = self
            .edges
            .iter()
            .filter(move |(_, judged)| judged.state == state);
        those.map(|(process, _)| *process)
    }
}

impl<R: Rules> World<R> {
    /// The receipt of a purge, as the replica would answer it now.
    pub fn receipt(&self, purge: Uuid) -> Option<Receipt> {
        let running = (self.replica.running.as_ref()).filter(|running| running.serves_edges())?;
        let store = &self.replica.store;
        let purge = store.purges.get(&purge)?;
        let judges_at = self.judges_at();
        let judge_one = |process: ProcessId| {
            let in_roster = store.state.roster.contains_key(&process);
            let acked = running.said.get(&process).copied().unwrap_or_default();
            let saved = store.said.get(&process).copied().unwrap_or_default();
            let standing = Standing {
                acked: if in_roster { acked } else { acked.max(saved) },
                in_roster,
                connected: running.connected.contains_key(&process),
                contact: running.leases.get(process),
            };
            judge(
                purge.epoch,
                store.state.position.epoch,
                judges_at,
                &standing,
            )
        };
        let members = store
            .stays
            .iter()
            .filter(|stay| stay.counts_at(purge.epoch));
        let edges: Vec<_> = members
            .map(|stay| (stay.process, judge_one(stay.process)))
            .collect();
        let held = running
            .hold
            .and_then(|hold| hold.left(purge.epoch, self.now));
        let is_complete = is_complete(edges.iter().map(|(_, judged)| judged));
        Some(Receipt {
            epoch: purge.epoch,
            is_held: is_complete && held.is_some(),
            complete: is_complete && held.is_none(),
            edges,
        })
    }
}
