//! An attack on what is behind the edge: requests that an origin never answers.

use crate::{
    attacker::Act,
    kinds::{Counter, HOST, Kind, Limit, ask},
};
use latencify_tests::frames::get;

/// More at a time, over one connection, than its address may have at origins.
pub const SILENT_ORIGIN: Kind = Kind {
    name: "silent_origin",
    limit: Limit::Edge("fetches_per_address: 50"),
    counter: Counter::Fault("fetches_per_address"),
    act: Act::Flood {
        settings: &[],
        frames_max: 100,
        next: |number| get(number * 2 + 1, HOST, &format!("/held/{number}")),
        visit: ask,
    },
};
