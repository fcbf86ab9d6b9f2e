//! What a look-up found on disk: its head, verified, and its body, chunk by chunk.

use crate::{
    format::Extent,
    head::{Head, Version},
    index::Entry,
    outcome::{Broken, Fault, Miss},
    pool::Lane,
    proof,
    segments::Segment,
    shared::{BodyPermit, Shared},
    ticket::{Ticket, promise},
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
    permit: Arc<BodyPermit>,
}

pub(crate) enum Body {
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
            permit: Arc::new(permit),
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
    /// the answer a miss. It goes on when nobody waits any more, for the next who asks; whoever asks meanwhile waits for the same.
    pub fn prove(&self) -> Ticket<Result<(), Miss>> {
        self.prove_part(0, u64::MAX)
    }

    /// The same for a part of it, from one byte to another (exclusive); that is not remembered, and ends when nobody waits.
    pub fn prove_part(&self, start: u64, end: u64) -> Ticket<Result<(), Miss>> {
        let Body::Chunks { chunks, ends } = &*self.body else {
            return Ticket::kept(Ok(()));
        };
        if self.is_proven() || start >= end {
            return Ticket::kept(Ok(()));
        }
        let first = ends.partition_point(|&chunk_end| chunk_end <= start);
        let last = ends.partition_point(|&chunk_end| chunk_end < end) + 1;
        let part = first..last.min(chunks.len());
        proof::begin(&self.shared, &self.entry, &self.body, &self.permit, part)
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

impl Shared {
    /// Reads a chunk; an object with one that can't be had is forgotten.
    pub(crate) fn chunk(
        &self,
        entry: &Entry,
        segment: &Segment,
        extent: &Extent,
    ) -> Result<Bytes, Broken> {
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
