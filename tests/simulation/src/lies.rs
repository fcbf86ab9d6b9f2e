//! What a world is told falsely, so that each check can be seen at work: one that asks nothing, or is never asked, does not notice
//! its lie. Nothing that is shipped lies: the models do, and what they tell the oracle.

use crate::{
    oracle::{Given, Source},
    world::World,
};
use latencify_cache::rules::Rules;
use std::time::Duration;

/// One thing that is told falsely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// The origin's own answer is of the first version.
    FirstVersionFetched,
    /// What is stored is of the first version, and went to a request of before all receipts.
    FirstVersionStored,
    /// Everything that an edge has stored became unusable just now.
    FloorJustNow,
    /// What had been found before was fetched just now.
    NewestJustNow,
    /// A body lacks its end.
    TornBody,
    /// A body is of another object.
    OtherBody,
    /// What was answered stands twice in the log.
    AppliedTwice,
    /// What was answered does not stand in the log.
    NeverApplied,
    /// A write is answered at two epochs.
    AnsweredTwice,
    /// A write is answered at an epoch that others had been answered at before it was sent.
    AnsweredInThePast,
    /// No answer reaches a writer.
    NeverAnswered,
    /// The second follower of the log misses records.
    RecordsMissed,
    /// The log folded once more ends elsewhere.
    EndsElsewhere,
    /// An edge obeys a position of another history.
    OtherHistory,
    /// A revision has the policy of the one before.
    PolicySwapped,
    /// The marks call everything live.
    AllLive,
    /// An edge is said to have acked what it has not.
    AckAhead,
    /// No ack arrives.
    AcksDropped,
    /// Who holds a lease is called fenced: the replica's clock is a lease ahead.
    FencedEarly,
    /// An edge does not find what it saved.
    MarksForgotten,
    /// After the last fault, an edge hears nothing more.
    Deaf,
    /// An edge never starts.
    NeverStarts,
    /// More happens than can.
    TooMuch,
}

impl Lie {
    /// Each, and the invariant that does not hold of it.
    pub const ALL: [(Self, &'static str); 23] = [
        (Self::FirstVersionFetched, "receipt"),
        (Self::FirstVersionStored, "obeyed_purge"),
        (Self::FloorJustNow, "floor"),
        (Self::NewestJustNow, "nothing_goes_back"),
        (Self::TornBody, "whole_body"),
        (Self::OtherBody, "whole_body"),
        (Self::AppliedTwice, "exactly_once"),
        (Self::NeverApplied, "exactly_once"),
        (Self::AnsweredTwice, "exactly_once"),
        (Self::AnsweredInThePast, "order_of_writes"),
        (Self::NeverAnswered, "writes_are_answered"),
        (Self::RecordsMissed, "equal_folds"),
        (Self::EndsElsewhere, "equal_folds"),
        (Self::OtherHistory, "true_history"),
        (Self::PolicySwapped, "equal_policies"),
        (Self::AllLive, "equal_marks"),
        (Self::AckAhead, "true_receipts"),
        (Self::AcksDropped, "receipts_complete"),
        (Self::FencedEarly, "true_fences"),
        (Self::MarksForgotten, "kept_marks"),
        (Self::Deaf, "convergence"),
        (Self::NeverStarts, "edges_return"),
        (Self::TooMuch, "an_end"),
    ];
}

impl<R: Rules> World<R> {
    /// Whether this is told falsely here.
    pub fn lies(&self, lie: Lie) -> bool {
        self.plan.breaks.lie == Some(lie)
    }

    /// An answer as the oracle is told of it.
    pub fn told(&self, version: u64, given: &Given) -> (u64, Given) {
        let mut told = *given;
        match (self.plan.breaks.lie, given.source) {
            (Some(Lie::FirstVersionFetched), Source::Fetched) => return (1, told),
            (Some(Lie::FirstVersionStored), Source::Stored) => {
                told.sent = Duration::ZERO;
                return (1, told);
            }
            (Some(Lie::FloorJustNow), Source::Stored) => told.floor_at = self.now,
            (Some(Lie::NewestJustNow), Source::Stored) => told.newest = self.now,
            _ => {}
        }
        (version, told)
    }
}
