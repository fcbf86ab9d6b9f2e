//! What is to happen.

use crate::{
    control::{appending::Appended, machines::Host},
    edge::answer::Answer,
    network::StreamId,
    writer::Reply,
};
use latencify_conf::{
    change::{Epoch, ProcessId},
    link::message::{FromEdge, ToEdge},
};
use std::time::Duration;
use uuid::Uuid;

/// A run of a program. An event of a run that is over does not happen.
pub type Run = u64;
/// A request of a client.
pub type RequestId = u64;
/// A question to the origin.
pub type FetchId = u64;

/// What is to happen.
#[derive(Debug)]
pub enum Event {
    /// A message arrives at the replica.
    ToReplica(StreamId, FromEdge),
    /// A message arrives at an edge.
    ToEdge(StreamId, ToEdge),
    /// The replica notices that a stream is gone.
    ReplicaNotices(StreamId),
    /// An edge notices that a stream is gone.
    EdgeNotices(StreamId),
    /// A partition is over.
    Heal(usize),

    /// An edge's machine starts its program.
    EdgeStart(usize),
    /// An edge opens a stream.
    Connect(usize, Run),
    /// An edge reads what has arrived.
    Read(usize, Run),
    /// An edge looks at its clock.
    Tick(usize, Run),
    /// An edge has built a policy.
    Installed(usize, Run),
    /// An edge's marks reach its disk.
    Saved(usize, Run),
    /// An edge sweeps its cache.
    Sweep(usize, Run),
    /// An edge goes on from what it had in mind: a clean stop.
    Gone(usize, Run),

    /// Somebody asks an edge.
    Ask,
    /// A request arrives at an edge.
    Arrive(usize, RequestId),
    /// A request that was held up between what it found and what it may do with that goes on.
    GoOn(usize, Run, RequestId),
    /// A request that waited looks again.
    LookAgain(usize, Run, RequestId),
    /// A request has waited long enough for another's fetch.
    GiveUp(usize, Run, RequestId, FetchId),
    /// A question arrives at the origin.
    OriginGets(usize, Run, FetchId),
    /// The origin's answer begins to arrive.
    Head(usize, Run, FetchId, Answer),
    /// A piece of a body arrives.
    Piece(usize, Run, FetchId),
    /// A client reads on.
    ReadOn(usize, Run, RequestId),

    /// Control starts on a machine.
    ReplicaStart(Host),
    /// An append takes effect.
    Commit(Run, Appended),
    /// The replica hears what became of an append.
    Heard(Run, Uuid, AppendResult),
    /// An append that was in doubt comes to this branch of the log.
    Lands(u32),
    /// The replica announces itself once more.
    Announce(Run),
    /// The replica reads the log.
    Fold(Run),
    /// A run of control asks where the log ends.
    AskEnd(Run),
    /// It hears where the log ended when it asked.
    EndTold(Run, Duration, Epoch),
    /// Every earlier run must have read by now that this one has taken its place: it says so in the log.
    Alone(Run),
    /// A second follower of the log reads it.
    Shadow,
    /// A second of the replica's housekeeping is over.
    Second(Run),
    /// A removal of which nobody knows whether it was written is written again.
    RemoveAgain(Run, ProcessId),
    /// A session learns that a newer stream of its process took over.
    Replaced(Run, StreamId),

    /// A writer has something to write.
    Write(usize),
    /// What a writer sent arrives at the replica.
    WriterAsks(usize, u64),
    /// A writer hears an answer.
    WriterHears(usize, u64, Reply),
    /// A writer has waited long enough.
    WriterTires(usize, u64),
    /// A writer asks for the receipts of its purges.
    AskReceipt(usize),
    /// Content changes at the origin.
    Publish,

    /// Something goes wrong.
    Weather,
    /// The power of an edge's machine goes.
    PowerFails(usize),
    /// A replica dies.
    ReplicaDies(Run),
    /// From here on nothing goes wrong any more.
    Calm,
    /// Everything must be well by now.
    Judge,
}

/// What a replica hears of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendResult {
    /// It is in the log.
    Done,
    /// Nothing was written.
    Refused,
    /// It may have been written.
    Unknown,
}

/// Whom an event concerns: one that stands still does not see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// An edge.
    Edge(usize),
    /// The machine of that run of control.
    Replica(Run),
    /// Whichever run of control is reached.
    SomeReplica,
    /// Nobody who could stand still.
    World,
}

impl Event {
    /// Whom it concerns; what is about a stream concerns who is at that end of it.
    pub fn whom(&self) -> Whom {
        match self {
            Self::Connect(edge, _)
            | Self::Read(edge, _)
            | Self::Tick(edge, _)
            | Self::Installed(edge, _)
            | Self::Saved(edge, _)
            | Self::Sweep(edge, _)
            | Self::Gone(edge, _)
            | Self::Arrive(edge, _)
            | Self::GoOn(edge, _, _)
            | Self::LookAgain(edge, _, _)
            | Self::GiveUp(edge, _, _, _)
            | Self::Head(edge, _, _, _)
            | Self::Piece(edge, _, _)
            | Self::ReadOn(edge, _, _) => Whom::Edge(*edge),
            Self::Heard(run, ..)
            | Self::Fold(run)
            | Self::Announce(run)
            | Self::AskEnd(run)
            | Self::EndTold(run, ..)
            | Self::Alone(run)
            | Self::Second(run)
            | Self::RemoveAgain(run, _)
            | Self::Replaced(run, _) => Whom::Replica(*run),
            Self::WriterAsks(..) | Self::AskReceipt(_) => Whom::SomeReplica,
            _ => Whom::World,
        }
    }
}
