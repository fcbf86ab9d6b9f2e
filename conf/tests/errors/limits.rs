//! What the edge's limits can't be.

use super::{APP, SITE, check};

/// An error in the limits of the edge.
#[track_caller]
fn in_limits(keys: &str, key: &str, message: &str, help: &str) {
    check(
        &format!("{APP}{SITE}edge: {{ limits: {{ {keys} }} }}\n"),
        &[(&format!("edge.limits.{key}"), message, help)],
    );
}

#[test]
fn numbers_have_bounds() {
    in_limits("connections: ▸0", "connections", "too small", "from 1");
    in_limits(
        "connections: ▸10000001",
        "connections",
        "too large",
        "10000000",
    );
    in_limits(
        "connections_per_address: ▸0",
        "connections_per_address",
        "too small",
        "from 1",
    );
    in_limits("handshakes: ▸0", "handshakes", "too small", "from 1");
    in_limits("headers: ▸7", "headers", "too small", "from 8 to 256");
    in_limits("headers: ▸257", "headers", "too large", "from 8 to 256");
    in_limits("requests: ▸0", "requests", "too small", "from 1");
    in_limits("streams: ▸0", "streams", "too small", "from 1");
    in_limits("streams: ▸10001", "streams", "too large", "10000");
    in_limits("resets: ▸0", "resets", "too small", "from 1");
    in_limits(
        "control_frames: ▸15",
        "control_frames",
        "too small",
        "from 16",
    );
    in_limits("fetches: ▸0", "fetches", "too small", "from 1");
    in_limits(
        "fetches_per_address: ▸1000001",
        "fetches_per_address",
        "too large",
        "1000000",
    );
}

#[test]
fn sizes_have_bounds() {
    for (keys, key, message, help) in [
        (
            "header_bytes: ▸1000B",
            "header_bytes",
            "1000B is too little here",
            "from 1KiB to 1MiB",
        ),
        (
            "header_bytes: ▸2MiB",
            "header_bytes",
            "2MiB is too much here",
            "from 1KiB to 1MiB",
        ),
        ("header_bytes: ▸8", "header_bytes", "has no unit", "KiB"),
        (
            "uri_bytes: ▸255B",
            "uri_bytes",
            "255B is too little here",
            "from 256B to 64KiB",
        ),
        (
            "uri_bytes: ▸65KiB",
            "uri_bytes",
            "65KiB is too much here",
            "from 256B to 64KiB",
        ),
        (
            "header_bytes: 4KiB, uri_bytes: ▸5KiB",
            "uri_bytes",
            "5KiB is too much here",
            "to 4KiB",
        ),
        (
            "body_rate: ▸2GiB",
            "body_rate",
            "2GiB is too much here",
            "from 0B to 1GiB",
        ),
        (
            "unsent_bytes: ▸1KiB",
            "unsent_bytes",
            "1KiB is too little here",
            "from 1MiB to 1024GiB",
        ),
        (
            "unsent_bytes: 4MiB, unsent_bytes_per_address: ▸5MiB",
            "unsent_bytes_per_address",
            "5MiB is too much here",
            "from 1MiB to 4MiB",
        ),
        ("send_rate: ▸-1KiB", "send_rate", "can't be negative", "KiB"),
    ] {
        in_limits(keys, key, message, help);
    }
}

#[test]
fn times_have_bounds() {
    for (keys, key, message, help) in [
        ("handshake_time: ▸0s", "handshake_time", "can't be 0", "1ms"),
        (
            "header_time: ▸2h",
            "header_time",
            "7200 s are too long here",
            "at most 1 h",
        ),
        ("body_grace: ▸61m", "body_grace", "too long", "at most 1 h"),
        ("send_grace: ▸10", "send_grace", "has no unit", "s"),
        ("idle: ▸25h", "idle", "too long", "at most 24 h"),
    ] {
        in_limits(keys, key, message, help);
    }
}

#[test]
fn one_address_has_no_more_than_all() {
    in_limits(
        "connections: 10, connections_per_address: ▸11",
        "connections_per_address",
        "more than the 10 in all",
        "raise `connections`",
    );
    in_limits(
        "handshakes: 10, handshakes_per_address: ▸11",
        "handshakes_per_address",
        "more than the 10 in all",
        "raise `handshakes`",
    );
    in_limits(
        "fetches: 10, fetches_per_address: ▸11",
        "fetches_per_address",
        "more than the 10 in all",
        "raise `fetches`",
    );
}

#[test]
fn a_misspelt_limit_is_named() {
    in_limits(
        "▸header_byte: 1KiB",
        "header_byte",
        "unknown key",
        "header_bytes",
    );
}
