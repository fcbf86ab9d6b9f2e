//! Control under faults of what it stands on: its disk, its clock, its broker, its topic; and its log moved elsewhere. Real
//! processes: what was acknowledged is there, once, in order, and nobody has to help.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

mod attached;
mod broker;
mod clock;
mod disk;
mod forked;
mod frozen;
mod left_behind;
mod marked;
mod migrate;
mod moving;
mod older_copy;
mod other_ids;
mod rewound;
mod shortened;
mod small_disk;
mod topic;
mod two_runs;
mod unread;
mod versions;
mod writers;
