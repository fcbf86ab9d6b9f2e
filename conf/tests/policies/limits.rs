//! The edge's limits as they are obeyed.

use super::{good, secs};
use latencify_conf::policy::{EdgeLimits, RateMin};

const REST: &str = "origins: { app: { url: \"http://a\" } }
sites: { main: { hosts: [a], routes: [{ origins: [app] }] } }
";

fn limits(written: &str) -> EdgeLimits {
    good(&format!("edge: {written}\n{REST}")).edge.limits
}

#[test]
fn what_is_not_written_has_its_default() {
    assert_eq!(good(REST).edge.limits, EdgeLimits::default());
    assert_eq!(limits("{ limits: {} }"), EdgeLimits::default());
    assert_eq!(limits("{ trusted_hops: [] }"), EdgeLimits::default());
}

#[test]
fn what_is_written_is_obeyed() {
    let obeyed = limits(
        "{ limits: { connections: 9, connections_per_address: 8, handshake_time: 1s, handshakes: 12, handshakes_per_address: 11, header_time: 2s, headers: 50, \
         header_bytes: 2KiB, uri_bytes: 1KiB, body_rate: 3B, body_grace: 4s, send_rate: 0B, send_grace: 5s, unsent_bytes: 3MiB, \
         unsent_bytes_per_address: 2MiB, idle: 0s, \
         requests: 6, streams: 7, resets: 10, control_frames: 16, fetches: 14, fetches_per_address: 13 } }",
    );
    let rate = |bytes_per_second, grace| RateMin {
        bytes_per_second,
        grace: secs(grace),
    };
    let expected = EdgeLimits {
        connections: 9,
        connections_per_address: 8,
        handshake_time: secs(1),
        handshakes: 12,
        handshakes_per_address: 11,
        header_time: secs(2),
        headers: 50,
        header_bytes: 2048,
        uri_bytes: 1024,
        body: rate(3, 4),
        send: rate(0, 5),
        unsent_bytes: 3 << 20,
        unsent_bytes_per_address: 2 << 20,
        idle: secs(0),
        requests: 6,
        streams: 7,
        resets: 10,
        control_frames: 16,
        fetches: 14,
        fetches_per_address: 13,
    };
    assert_eq!(obeyed, expected);
}

#[test]
fn the_example_writes_the_defaults() {
    let policy = good(include_str!("../../examples/08-open-internet.yaml"));
    assert_eq!(policy.edge.limits, EdgeLimits::default());
}

#[test]
fn a_lower_whole_lowers_its_parts() {
    let few = limits("{ limits: { connections: 100, header_bytes: 8KiB } }");
    assert_eq!((few.connections_per_address, few.uri_bytes), (100, 8 << 10));
    let few = limits("{ limits: { handshakes: 50 } }");
    assert_eq!(few.handshakes_per_address, 50);
    let few = limits("{ limits: { fetches: 60 } }");
    assert_eq!(few.fetches_per_address, 60);
    let little = limits("{ limits: { unsent_bytes: 5MiB } }");
    assert_eq!(little.unsent_bytes_per_address, 5 << 20);
}
