//! Streams between edges and the replica, as TCP gives them: in order until they break, each end noticing for itself.
//!
//! A partition holds messages back; when it is over they arrive, unless an end has given the stream up. A stream that broke may
//! have messages under way that still arrive, beside those of the stream that came after it.

use crate::{
    event::{Run, Whom},
    random::Random,
};
use latencify_conf::link::message::{FromEdge, ToEdge};
use std::{collections::BTreeMap, time::Duration};

/// A stream.
pub type StreamId = u64;

/// One direction of a stream.
#[derive(Debug)]
pub struct Pipe<M> {
    /// When the last message put in arrives.
    last: Duration,
    /// Held back by a partition.
    pub held: Vec<M>,
}

/// A stream.
#[derive(Debug)]
pub struct Stream {
    /// Whose.
    pub edge: usize,
    /// Which run of the edge.
    pub edge_run: Run,
    /// Which run of the replica.
    pub replica_run: Run,
    /// What is under way is lost.
    pub lost: bool,
    /// To the edge.
    pub down: Pipe<ToEdge>,
    /// To the replica.
    pub up: Pipe<FromEdge>,
}

/// What is between edges and the replica.
#[derive(Debug)]
pub struct Network {
    /// The streams that somebody still holds.
    pub streams: BTreeMap<StreamId, Stream>,
    /// By edge: what it says does not arrive; what it is told does not arrive.
    pub cut: Vec<(bool, bool)>,
    next: StreamId,
    /// How long messages take.
    pub latency: (Duration, Duration),
}

impl<M> Default for Pipe<M> {
    fn default() -> Self {
        Self {
            last: Duration::ZERO,
            held: Vec::new(),
        }
    }
}

impl<M> Pipe<M> {
    /// When a message that takes `delay` arrives: never before the one ahead of it.
    pub fn arrival(&mut self, now: Duration, delay: Duration) -> Duration {
        self.last = self.last.max(now + delay) + Duration::from_micros(1);
        self.last
    }
}

impl Network {
    /// No stream yet.
    pub fn new(edges: usize, latency: (Duration, Duration)) -> Self {
        Self {
            streams: BTreeMap::new(),
            cut: vec![(false, false); edges],
            next: 0,
            latency,
        }
    }

    /// A stream opens.
    pub fn open(&mut self, edge: usize, edge_run: Run, replica_run: Run) -> StreamId {
        self.next += 1;
        self.streams.insert(
            self.next,
            Stream {
                edge,
                edge_run,
                replica_run,
                lost: false,
                down: Pipe::default(),
                up: Pipe::default(),
            },
        );
        self.next
    }

    /// Whose stream it is.
    pub fn edge_of(&self, stream: StreamId) -> Whom {
        let stream = self.streams.get(&stream);
        stream.map_or(Whom::World, |stream| Whom::Edge(stream.edge))
    }

    /// At which run of control it ends.
    pub fn replica_of(&self, stream: StreamId) -> Whom {
        let stream = self.streams.get(&stream);
        stream.map_or(Whom::World, |stream| Whom::Replica(stream.replica_run))
    }

    /// Whether an edge and the replica can't reach each other at all.
    pub fn is_cut(&self, edge: usize) -> bool {
        self.cut.get(edge).is_some_and(|cut| cut.0 || cut.1)
    }

    /// How long a message takes on a good day.
    pub fn delay(&self, random: &mut Random) -> Duration {
        random.span(self.latency.0, self.latency.1)
    }
}
