//! Whether an answer is as new as it has to be.

use super::{Given, Oracle, Purge, Source, Violation};
use crate::origin::{Object, Origin};

impl Oracle {
    /// Whether an answer is as new as it has to be; if not, why.
    pub fn judge_answer(
        &self,
        origin: &Origin,
        run: u64,
        obeys: &[usize],
        (object, version): (Object, u64),
        given: &Given,
    ) -> Option<Violation> {
        let tags = origin.tags(object, version);
        let is_older = |purge: &Purge| {
            purge.is_hard
                && purge.named.iter().any(|named| named.covers(object, tags))
                && version < origin.at(object, purge.accepted)
        };
        let told = |invariant, purge: &Purge| {
            let text = format!(
                "object {object}: version {version} ({:?}) to a request of {:?} at {:?}; purged at epoch {} when {} was the version ({:?}), receipt complete at {:?}",
                given.source,
                given.sent,
                given.decided,
                purge.epoch,
                origin.at(object, purge.accepted),
                purge.accepted,
                purge.complete,
            );
            Some(Violation { invariant, text })
        };
        let receipt = self.purges.iter().find(|purge| {
            let counts = match purge.only {
                Some(only) => only == run,
                None => given.is_bound && !purge.lost,
            };
            counts
                && purge.complete.is_some_and(|complete| complete < given.sent)
                && is_older(purge)
        });
        if let Some(purge) = receipt {
            return told("receipt", purge);
        }
        if matches!(given.source, Source::Fetched | Source::Revalidated) {
            return None;
        }
        let obeyed = obeys
            .iter()
            .take(given.obeys)
            .filter_map(|number| self.purges.get(*number));
        if let Some(purge) = obeyed.into_iter().find(|purge| is_older(purge)) {
            return told("obeyed_purge", purge);
        }
        if version < origin.at(object, given.floor_at) {
            let text = format!(
                "object {object}: version {version} is from before the floor of {:?}",
                given.floor_at
            );
            return Some(Violation {
                invariant: "floor",
                text,
            });
        }
        None
    }
}
