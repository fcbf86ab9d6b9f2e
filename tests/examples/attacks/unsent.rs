//! Attacks on the memory of responses: they are asked for, and nobody takes them.

use crate::{
    attacker::{Act, Crowd, Door, Manner},
    kinds::{Counter, GET_LARGE, Kind, Limit, NO_WINDOW, ask, ask_large},
};

/// Over HTTP/2, with windows that are shut: each connection alone is more than its address may leave.
pub const UNSENT: Kind = Kind {
    name: "unsent",
    limit: Limit::Edge("unsent_bytes_per_address: 1MiB"),
    counter: Counter::StreamsEnded("unsent_bytes_per_address"),
    act: Act::Flood {
        settings: NO_WINDOW,
        frames_max: 100,
        next: ask_large,
        visit: ask,
    },
};

/// Over HTTP/1, from as many addresses as connections: no single one holds much.
pub const UNSENT_IN_ALL: Kind = Kind {
    name: "unsent_in_all",
    limit: Limit::Edge("unsent_bytes: 1MiB"),
    counter: Counter::Ended("unsent_bytes"),
    act: Act::Hold {
        door: Door::Http,
        crowd: Crowd::Many,
        say: GET_LARGE,
        manner: Manner::Deaf,
    },
};
