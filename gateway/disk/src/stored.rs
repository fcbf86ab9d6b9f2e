//! What a look-up found on disk: its head, verified, and its body, chunk by chunk.

use crate::{
    format::Extent,
    head::{Head, Version},
    index::Entry,
    outcome::{Broken, Fault, Miss},
    pool::Lane,
    segments::Segment,
    shared::{BodyPermit, Shared},
    ticket::{Promise, Ticket, promise},
};
use bytes::Bytes;
use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

/// An object on disk. Its segments stay readable as long as this lives, evicted or not.
pub struct Stored {
    shared: Arc<Shared>,
    entry: Entry,
    head: Head,
    version: Version,
    body: Arc<Body>,
    _permit: BodyPermit,
}

enum Body {
    Inline(Bytes),
    Chunks {
        chunks: Vec<(Arc<Segment>, Extent)>,
        /// Where each chunk ends in the body.
        ends: Vec<u64>,
    },
}

impl Stored {
    /// None: a segment that it needs is not there.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        entry: Entry,
        record: crate::record::Record,
        permit: BodyPermit,
    ) -> Option<Self> {
        let crate::record::Record { head, body } = record;
        let version = Version(head.order());
        let body = match body {
            Some(body) => Body::Inline(body),
            None => Body::pin(shared, &head.extents)?,
        };
        let mut head = head.head;
        head.fetch.generation = shared.generation(version.0);
        Some(Self {
            shared: Arc::clone(shared),
            entry,
            head,
            version,
            body: Arc::new(body),
            _permit: permit,
        })
    }

    /// What is known of it.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Which version it is.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The length of its body.
    pub fn body_bytes(&self) -> u64 {
        match &*self.body {
            Body::Inline(body) => body.len() as u64,
            Body::Chunks { ends, .. } => ends.last().copied().unwrap_or_default(),
        }
    }

    /// The whole body, if it is small enough to have been read with the head.
    pub fn inline(&self) -> Option<&Bytes> {
        match &*self.body {
            Body::Inline(body) => Some(body),
            Body::Chunks { .. } => None,
        }
    }

    /// Whether every byte of it has been verified, or was written, in this run. Only then is it sure that an answer that is
    /// begun can be ended, whatever happened to the disk while nobody looked.
    pub fn is_proven(&self) -> bool {
        self.inline().is_some() || self.entry.is_proven
    }

    /// Reads and verifies all of it, chunk after chunk, other look-ups in between. Damaged: the object is forgotten, and
    /// the answer a miss.
    pub fn prove(&self) -> Ticket<Result<(), Miss>> {
        self.prove_part(0, u64::MAX)
    }

    /// The same for a part of it: from one byte to another (exclusive).
    pub fn prove_part(&self, start: u64, end: u64) -> Ticket<Result<(), Miss>> {
        let Body::Chunks { ends, .. } = &*self.body else {
            return Ticket::kept(Ok(()));
        };
        if self.is_proven() || start >= end {
            return Ticket::kept(Ok(()));
        }
        let (promise, ticket) = promise();
        let proof = Proof {
            shared: Arc::clone(&self.shared),
            entry: self.entry,
            body: Arc::clone(&self.body),
            next: ends.partition_point(|&chunk_end| chunk_end <= start),
            stop: ends.partition_point(|&chunk_end| chunk_end < end) + 1,
            is_whole: start == 0 && end >= self.body_bytes(),
            promise,
        };
        proof.go_on();
        ticket
    }

    /// The piece of the body that holds the byte at `at`: to the end of its chunk, or to `end` (exclusive). Empty: the body
    /// ends there.
    pub fn read(&self, at: u64, end: u64) -> Ticket<Result<Bytes, Broken>> {
        let end = end.min(self.body_bytes());
        if at >= end {
            return Ticket::kept(Ok(Bytes::new()));
        }
        match &*self.body {
            Body::Inline(body) => Ticket::kept(Ok(body.slice(at as usize..end as usize))),
            Body::Chunks { chunks, ends } => {
                let number = ends.partition_point(|&chunk_end| chunk_end <= at);
                let (Some((segment, extent)), Some(&chunk_end)) =
                    (chunks.get(number), ends.get(number))
                else {
                    return Ticket::kept(Ok(Bytes::new()));
                };
                let (segment, extent) = (Arc::clone(segment), *extent);
                let start = at - (chunk_end - u64::from(extent.bytes));
                let stop = u64::from(extent.bytes) - chunk_end.saturating_sub(end);
                let (shared, entry) = (Arc::clone(&self.shared), self.entry);
                let (promise, ticket) = promise();
                let job = Box::new(move || {
                    if promise.is_wanted() {
                        let read = shared.chunk(&entry, &segment, &extent);
                        promise.keep(read.map(|chunk| chunk.slice(start as usize..stop as usize)));
                    }
                });
                self.shared.pool.push(Lane::Bodies, job);
                ticket
            }
        }
    }
}

impl Body {
    fn pin(shared: &Shared, extents: &[Extent]) -> Option<Self> {
        let mut pins: HashMap<u32, Arc<Segment>> = HashMap::new();
        let mut chunks = Vec::with_capacity(extents.len());
        for extent in extents {
            let segment = match pins.entry(extent.segment) {
                hash_map::Entry::Occupied(pinned) => Arc::clone(pinned.get()),
                hash_map::Entry::Vacant(vacant) => {
                    let segment = shared.segments.get(extent.segment)?;
                    Arc::clone(vacant.insert(segment))
                }
            };
            chunks.push((segment, *extent));
        }
        let ends = extents
            .iter()
            .scan(0, |end, extent| {
                *end += u64::from(extent.bytes);
                Some(*end)
            })
            .collect();
        Some(Self::Chunks { chunks, ends })
    }
}

/// A body that is being verified, one chunk a job.
struct Proof {
    shared: Arc<Shared>,
    entry: Entry,
    body: Arc<Body>,
    next: usize,
    stop: usize,
    is_whole: bool,
    promise: Promise<Result<(), Miss>>,
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
        if !self.promise.is_wanted() {
            return;
        }
        let chunk = match &*self.body {
            Body::Inline(_) => None,
            Body::Chunks { chunks, .. } => chunks.get(self.next).filter(|_| self.next < self.stop),
        };
        let Some((segment, extent)) = chunk else {
            if self.is_whole {
                self.shared.index.prove(&self.entry);
            }
            return self.promise.keep(Ok(()));
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
                self.promise.keep(Err(miss));
            }
        }
    }
}

impl Shared {
    /// Reads a chunk; an object with one that can't be had is forgotten.
    fn chunk(&self, entry: &Entry, segment: &Segment, extent: &Extent) -> Result<Bytes, Broken> {
        let read = segment.chunk(extent);
        if let Err(broken) = &read {
            self.counters.add(*broken);
            self.counters.add(match broken {
                Broken::ReadFailed => Fault::ReadFailed,
                _ => Fault::DamagedRecord,
            });
            self.forget(entry);
        }
        read
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored")
            .field("head", &self.head)
            .field("entry", &self.entry)
            .finish_non_exhaustive()
    }
}
