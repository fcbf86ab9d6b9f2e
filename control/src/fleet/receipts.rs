//! Receipts: who of the roster at a purge's epoch obeys it, or can't serve anything from before it.

use super::{
    Fleet, contacts,
    judgement::{Judgement, Standing, Stay, is_complete, judge},
    word::Word,
};
use crate::{
    fold::State,
    store::{StoreError, roster::Purge},
};
use latencify_conf::{
    api::{EdgeReceipt, PurgeReceipt, ReceiptState},
    change::{Epoch, ProcessId},
};
use std::{collections::HashMap, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

/// The longest that a question for a receipt is held back.
pub const WAIT_MAX: Duration = Duration::from_mins(1);
/// A fence is looked for so long after it fell due, so that it is found.
const AFTER_DUE: Duration = Duration::from_millis(5);

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
        let members: Vec<Stay> = self.store.roster_at(purge.epoch).await?;
        let stored = self
            .store
            .said(members.iter().map(|member| member.process))
            .await?
            .into_iter()
            .map(|(process, said)| (process, said.acked))
            .collect();

        let mut said = self.said.subscribe();
        let mut state = self.fold.subscribe();
        let mut read = self.log_read.subscribe();
        let deadline = tokio::time::Instant::now() + wait.min(WAIT_MAX);
        loop {
            // Marked as seen before looking: what changes while we look wakes us again.
            said.mark_unchanged();
            read.mark_unchanged();
            let word = self.word();
            let here = state.borrow_and_update().clone();
            let judgements = self.judge_all(&purge, &members, &word, &here, &stored);
            let receipt = self.write_receipt(&purge, &members, &judgements);
            if receipt.complete || tokio::time::Instant::now() >= deadline {
                return Ok(Some(receipt));
            }
            let due = judgements.iter().filter_map(|judgement| judgement.due);
            let now = contacts::now();
            let waits_for_log = |due: &Duration| word.as_of.max().is_some() && *due < now;
            let (over, due): (Vec<_>, Vec<_>) = due.partition(waits_for_log);
            if !over.is_empty() {
                // It has to be seen in the log that nobody else has answered them by then.
                self.log_read.wanted();
            }
            let due = due.into_iter().map(|due| due.saturating_sub(now));
            let due = due.chain(self.held(&purge)).min();
            let due = due.map_or(Duration::MAX, |due| due + AFTER_DUE);
            tokio::select! {
                // Looked at once more: what was true before the wait may be so no longer.
                () = tokio::time::sleep_until(deadline) => {}
                () = self.stop.cancelled() => return Ok(Some(receipt)),
                _ = said.changed() => {}
                _ = state.changed() => {}
                _ = read.changed() => {}
                () = tokio::time::sleep(due) => {}
            }
        }
    }

    /// Judges everybody whom the purge counts on, as of one moment: after the state was read, and before the contacts are.
    /// By a clock read after a contact, its lease could be over that was extended in between. `word` was taken before the
    /// state was read.
    fn judge_all(
        &self,
        purge: &Purge,
        members: &[Stay],
        word: &Word,
        state: &State,
        stored: &HashMap<ProcessId, Epoch>,
    ) -> Vec<Judgement> {
        let now = word.judges_at(state, contacts::now());
        let judge_one = |member: &Stay| {
            let process = member.process;
            let in_roster = state.roster.contains_key(&process);
            let acked = self.said.acked_by(process);
            let standing = Standing {
                // Who has left says nothing any more; then what the store remembers is the last word.
                acked: if in_roster {
                    acked
                } else {
                    acked.max(stored.get(&process).copied().unwrap_or_default())
                },
                in_roster,
                connected: self.connections.is_open(process),
                contact: self.contacts.get(process),
            };
            judge(purge.epoch, state.position.epoch, now, &standing)
        };
        members.iter().map(judge_one).collect()
    }

    /// For how much longer the receipt can't be complete, whoever has acked.
    fn held(&self, purge: &Purge) -> Option<Duration> {
        self.hold?.left(purge.epoch, contacts::now())
    }

    fn write_receipt(
        &self,
        purge: &Purge,
        members: &[Stay],
        judgements: &[Judgement],
    ) -> PurgeReceipt {
        let edges = members.iter().zip(judgements).map(|(member, judgement)| {
            let is_acked = judgement.state == ReceiptState::Acked;
            EdgeReceipt {
                edge: member.edge.clone(),
                process: member.process,
                state: judgement.state,
                why: judgement.why,
                since: judgement.since.and_then(wall_clock),
                latency_us: self.latency_us(purge, member).filter(|_| is_acked),
            }
        });
        let held = self.held(purge);
        PurgeReceipt {
            id: purge.id.to_string(),
            epoch: purge.epoch,
            mode: purge.mode,
            complete: is_complete(judgements) && held.is_none(),
            held_ms: held.map(|held| u64::try_from(held.as_millis()).unwrap_or(u64::MAX)),
            edges: edges.collect(),
        }
    }

    fn latency_us(&self, purge: &Purge, member: &Stay) -> Option<u64> {
        let accepted = self.tail.accepted_at(purge.epoch)?;
        let acked = self.said.acked_at(member.process, purge.epoch)?;
        Some(acked.saturating_duration_since(accepted).as_micros() as u64)
    }
}

/// A moment of the leases' clock as people say it.
pub fn wall_clock(moment: Duration) -> Option<String> {
    let ago = contacts::now().saturating_sub(moment);
    let at = OffsetDateTime::now_utc() - ago;
    at.replace_nanosecond(0).ok()?.format(&Rfc3339).ok()
}
