//! Verifying a body before an answer begins: once for all who wait for it.

use crate::{
    hash::KeyHash,
    index::Entry,
    outcome::{Broken, Miss},
    pool::Lane,
    shared::{BodyPermit, Shared},
    stored::Body,
    ticket::{Outcome, Promise, Ticket, promise},
};
use parking_lot::Mutex;
use std::{collections::HashMap, ops::Range, sync::Arc};

/// Proofs under way, and who waits for each. There are no more than bodies that are read: each holds a place among those.
#[derive(Debug, Default)]
pub(crate) struct Proofs(Mutex<HashMap<Of, Waiting>>);

type Waiting = Vec<Promise<Result<(), Miss>>>;

/// What is proven: which chunks of which version, at which place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Of {
    hash: KeyHash,
    order: u64,
    segment: u32,
    offset: u32,
    chunks: Range<usize>,
}

/// A body that is being verified, one chunk a job. Dropped before its end, whoever waits is told.
struct Proof {
    shared: Arc<Shared>,
    of: Of,
    entry: Entry,
    body: Arc<Body>,
    next: usize,
    is_ended: bool,
    _permit: Arc<BodyPermit>,
}

/// Verifies these chunks of a body, unless somebody does already.
pub(crate) fn begin(
    shared: &Arc<Shared>,
    entry: &Entry,
    body: &Arc<Body>,
    permit: &Arc<BodyPermit>,
    chunks: Range<usize>,
) -> Ticket<Result<(), Miss>> {
    let (promise, ticket) = promise();
    let of = Of {
        hash: entry.hash,
        order: entry.order,
        segment: entry.segment,
        offset: entry.offset,
        chunks,
    };
    if !shared.proofs.join(&of, promise) {
        let proof = Proof {
            shared: Arc::clone(shared),
            next: of.chunks.start,
            of,
            is_ended: false,
            entry: *entry,
            body: Arc::clone(body),
            _permit: Arc::clone(permit),
        };
        proof.go_on();
    }
    ticket
}

impl Proofs {
    /// One more waits for a proof. False: it is the first, who is to begin it.
    fn join(&self, of: &Of, promise: Promise<Result<(), Miss>>) -> bool {
        let mut proofs = self.0.lock();
        if let Some(waiting) = proofs.get_mut(of) {
            waiting.retain(Promise::is_wanted);
            waiting.push(promise);
            return true;
        }
        proofs.insert(of.clone(), vec![promise]);
        false
    }

    fn is_wanted(&self, of: &Of) -> bool {
        let proofs = self.0.lock();
        let waiting = proofs.get(of);
        waiting.is_some_and(|waiting| waiting.iter().any(Promise::is_wanted))
    }

    fn end(&self, of: &Of, outcome: Result<(), Miss>) {
        let waiting = self.0.lock().remove(of).unwrap_or_default();
        for promise in waiting {
            promise.keep(outcome);
        }
    }

    /// How many are under way.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl Proof {
    fn go_on(self) {
        let shared = Arc::clone(&self.shared);
        // Bounded as bodies are: each has a permit.
        shared
            .pool
            .push(Lane::Bodies, Box::new(move || self.step()));
    }

    fn step(mut self) {
        if !self.shared.proofs.is_wanted(&self.of) && !self.is_of_use() {
            return;
        }
        let chunk = match &*self.body {
            Body::Inline(_) => None,
            Body::Chunks { chunks, .. } => {
                let chunk = chunks.get(self.next);
                chunk.filter(|_| self.next < self.of.chunks.end)
            }
        };
        let Some((segment, extent)) = chunk else {
            if self.is_whole() {
                self.shared.index.prove(&self.entry);
            }
            return self.end(Ok(()));
        };
        match self.shared.chunk(&self.entry, segment, extent) {
            Ok(_) => {
                self.next += 1;
                self.go_on();
            }
            Err(broken) => {
                let miss = match broken {
                    Broken::ReadFailed => Miss::ReadFailed,
                    _ => Miss::Damaged,
                };
                self.shared.counters.add(miss);
                self.end(Err(miss));
            }
        }
    }

    fn end(&mut self, outcome: Result<(), Miss>) {
        self.is_ended = true;
        self.shared.proofs.end(&self.of, outcome);
    }

    /// Whether it will be remembered although nobody waits: not that of a part, nor of what has been replaced or evicted.
    fn is_of_use(&self) -> bool {
        let there = self.shared.index.get(self.entry.hash);
        self.is_whole() && there.is_some_and(|there| there.is_at(&self.entry))
    }

    fn is_whole(&self) -> bool {
        match &*self.body {
            Body::Inline(_) => true,
            Body::Chunks { chunks, .. } => self.of.chunks == (0..chunks.len()),
        }
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        if !self.is_ended {
            self.end(Outcome::abandoned());
        }
    }
}
