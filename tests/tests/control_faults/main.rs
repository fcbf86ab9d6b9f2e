//! Control under faults of what it stands on: its disk, its clock, its broker, its topic; and its log moved elsewhere. Real
//! processes: what was acknowledged is there, once, in order, and nobody has to help.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

mod attached;
mod broker;
mod chance;
mod clock;
mod disk;
mod frozen;
mod migrate;
mod moving;
mod namespace;
mod topic;
mod writers;
