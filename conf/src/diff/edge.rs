//! What holds for every connection and request of an edge.

use super::{
    part::{Fact, Part},
    words::{bytes, duration, list},
};
use crate::policy::{ClientAddressHeader, Door, EdgeLimits, EdgeRules, RateMin, TlsVersion};

pub(super) fn describe(edge: &EdgeRules) -> Part {
    let EdgeRules {
        trusted_hops,
        client_address_header,
        limits,
        door,
    } = edge;
    let header = match client_address_header {
        ClientAddressHeader::XForwardedFor => "X-Forwarded-For",
        ClientAddressHeader::Forwarded => "Forwarded",
    };
    let Door {
        proxy_protocol_from,
        tls_min,
    } = door;
    let tls = match tls_min {
        TlsVersion::Tls12 => "1.2",
        TlsVersion::Tls13 => "1.3",
    };
    let mut facts = vec![
        Fact::new("trusted hops", list(trusted_hops, "none")),
        Fact::new("client address header", header),
        Fact::new("PROXY protocol from", list(proxy_protocol_from, "nobody")),
        Fact::new("oldest TLS", tls),
    ];
    facts.extend(self::limits(limits));
    Part::new("edge", "what holds for every connection", facts)
}

fn limits(limits: &EdgeLimits) -> Vec<Fact> {
    let EdgeLimits {
        connections,
        connections_per_address,
        handshake_time,
        handshakes,
        handshakes_per_address,
        header_time,
        headers,
        header_bytes,
        uri_bytes,
        body,
        send,
        unsent_bytes,
        unsent_bytes_per_address,
        idle,
        requests,
        streams,
        resets,
        control_frames,
        fetches,
        fetches_per_address,
    } = limits;
    let rate = |rate: &RateMin| {
        let RateMin {
            bytes_per_second,
            grace,
        } = rate;
        format!("{}/s, grace {}", bytes(*bytes_per_second), duration(*grace))
    };
    let facts = [
        ("connections", connections.to_string()),
        (
            "connections per address",
            connections_per_address.to_string(),
        ),
        ("handshake time", duration(*handshake_time)),
        ("handshakes", handshakes.to_string()),
        ("handshakes per address", handshakes_per_address.to_string()),
        ("header time", duration(*header_time)),
        ("headers", headers.to_string()),
        ("header bytes", bytes(*header_bytes as u64)),
        ("URI bytes", bytes(*uri_bytes as u64)),
        ("body rate", rate(body)),
        ("send rate", rate(send)),
        ("unsent bytes", bytes(*unsent_bytes)),
        ("unsent bytes per address", bytes(*unsent_bytes_per_address)),
        ("idle", duration(*idle)),
        ("requests per connection", requests.to_string()),
        ("streams", streams.to_string()),
        ("resets", resets.to_string()),
        ("control frames", control_frames.to_string()),
        ("fetches", fetches.to_string()),
        ("fetches per address", fetches_per_address.to_string()),
    ];
    facts
        .into_iter()
        .map(|(name, shown)| Fact::new(format!("limit {name}"), shown))
        .collect()
}
