//! Receipts: who of the roster at a purge's epoch obeys it.

use super::Fleet;
use crate::store::{StoreError, roster::Purge};
use latencify_conf::{
    api::{EdgeReceipt, PurgeReceipt, ReceiptState},
    change::{Epoch, ProcessId},
};
use std::time::Duration;
use uuid::Uuid;

/// The longest that a question for a receipt is held back.
pub const WAIT_MAX: Duration = Duration::from_mins(1);

struct Member {
    edge: String,
    process: ProcessId,
}

impl Fleet {
    /// The receipt of a purge; none when there is no such purge. With `wait`, as soon as it is complete, or when the
    /// time is over.
    pub async fn receipt(
        &self,
        id: Uuid,
        wait: Duration,
    ) -> Result<Option<PurgeReceipt>, StoreError> {
        let Some(purge) = self.store.purge(id).await? else {
            return Ok(None);
        };
        let members: Vec<_> = self
            .store
            .roster_at(purge.epoch)
            .await?
            .into_iter()
            .map(|stay| Member {
                edge: stay.edge,
                process: ProcessId(stay.process),
            })
            .collect();
        let stored: std::collections::HashMap<_, _> = self
            .store
            .said(members.iter().map(|member| member.process))
            .await?
            .into_iter()
            .collect();
        let stored = |process: &ProcessId| stored.get(process).map_or(Epoch(0), |said| said.acked);

        let mut said = self.said.subscribe();
        let mut state = self.fold.subscribe();
        let deadline = tokio::time::Instant::now() + wait.min(WAIT_MAX);
        loop {
            // Marked as seen before looking: what changes while we look wakes us again.
            said.mark_unchanged();
            let here = state.borrow_and_update().clone();
            let edges: Vec<_> = members
                .iter()
                .map(|member| {
                    // A process that was taken out and is back serves what it had stored: it has to obey.
                    let has_left = !here.roster.contains_key(&member.process);
                    self.edge_receipt(&purge, member, has_left, stored(&member.process))
                })
                .collect();
            let complete = edges.iter().all(|edge| edge.state != ReceiptState::Missing);
            let receipt = PurgeReceipt {
                id: id.to_string(),
                epoch: purge.epoch,
                mode: purge.mode,
                complete,
                edges,
            };
            if receipt.complete {
                return Ok(Some(receipt));
            }
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return Ok(Some(receipt)),
                () = self.stop.cancelled() => return Ok(Some(receipt)),
                _ = said.changed() => {}
                _ = state.changed() => {}
            }
        }
    }

    fn edge_receipt(
        &self,
        purge: &Purge,
        member: &Member,
        has_left: bool,
        stored: Epoch,
    ) -> EdgeReceipt {
        let process = member.process;
        // Who has left says nothing any more; then what the store remembers is the last word.
        let acked = if has_left {
            self.said.acked_by(process).max(stored)
        } else {
            self.said.acked_by(process)
        };
        let state = match (acked >= purge.epoch, has_left) {
            (true, _) => ReceiptState::Acked,
            (false, true) => ReceiptState::Left,
            (false, false) => ReceiptState::Missing,
        };
        let latency = || {
            let accepted = self.tail.accepted_at(purge.epoch)?;
            let acked = self.said.acked_at(process, purge.epoch)?;
            Some(acked.saturating_duration_since(accepted).as_micros() as u64)
        };
        let latency_us = if state == ReceiptState::Acked {
            latency()
        } else {
            None
        };
        EdgeReceipt {
            edge: member.edge.clone(),
            process,
            state,
            why: None,
            since: None,
            latency_us,
        }
    }
}
