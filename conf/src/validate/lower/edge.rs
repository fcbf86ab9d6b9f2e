//! What holds for the whole edge.

use super::{At, Flaw, Lowering};
use crate::{
    document::{
        self,
        text::{Duration as Written, Size, Timeout},
    },
    policy::{ClientAddressHeader, Door, EdgeLimits, EdgeRules, RateMin, TlsVersion},
};
use std::{ops::RangeInclusive, time::Duration};

const TIME_MAX: Duration = Duration::from_hours(1);
const IDLE_MAX: Duration = Duration::from_hours(24);
const HEADER_BYTES: RangeInclusive<u64> = 1 << 10..=1 << 20;
const URI_BYTES_MIN: u64 = 256;
const RATE_MAX: u64 = 1 << 30;
const UNSENT_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 40;

impl Lowering<'_, '_, '_> {
    pub(super) fn edge(&mut self, edge: Option<&document::Edge>, root: At<'_>) -> EdgeRules {
        let Some(edge) = edge else {
            return EdgeRules::default();
        };
        EdgeRules {
            trusted_hops: edge.trusted_hops.iter().map(|block| block.0).collect(),
            client_address_header: match edge.client_address_header {
                None | Some(document::ClientAddressHeader::XForwardedFor) => {
                    ClientAddressHeader::XForwardedFor
                }
                Some(document::ClientAddressHeader::Forwarded) => ClientAddressHeader::Forwarded,
            },
            limits: edge
                .limits
                .as_ref()
                .map_or_else(EdgeLimits::default, |limits| {
                    self.edge_limits(limits, root.keys(&["edge", "limits"]))
                }),
            door: self.door(edge, root),
        }
    }

    fn edge_limits(&mut self, written: &document::EdgeLimits, at: At<'_>) -> EdgeLimits {
        let usual = EdgeLimits::default();
        let connections = written.connections.unwrap_or(usual.connections);
        let handshakes = written.handshakes.unwrap_or(usual.handshakes);
        let fetches = written.fetches.unwrap_or(usual.fetches);
        let header_bytes =
            self.bytes_within(written.header_bytes, HEADER_BYTES, at, "header_bytes");
        let header_bytes = header_bytes.unwrap_or(usual.header_bytes as u64);
        let uri = URI_BYTES_MIN..=header_bytes.max(URI_BYTES_MIN);
        let uri_bytes = self.bytes_within(written.uri_bytes, uri, at, "uri_bytes");
        for (what, each, all) in [
            ("connections", written.connections_per_address, connections),
            ("handshakes", written.handshakes_per_address, handshakes),
            ("fetches", written.fetches_per_address, fetches),
        ] {
            let Some(each) = each.filter(|each| *each > all) else {
                continue;
            };
            let flaw = Flaw::new(format!(
                "{each} {what} of one address are more than the {all} in all"
            ));
            self.refuse(
                at.key(&format!("{what}_per_address")),
                flaw.help(format!("raise `{what}`, or lower this")),
            );
        }
        let unsent_bytes =
            self.bytes_within(written.unsent_bytes, UNSENT_BYTES, at, "unsent_bytes");
        let unsent_bytes = unsent_bytes.unwrap_or(usual.unsent_bytes);
        let unsent_bytes_per_address = self.bytes_within(
            written.unsent_bytes_per_address,
            *UNSENT_BYTES.start()..=unsent_bytes,
            at,
            "unsent_bytes_per_address",
        );
        EdgeLimits {
            unsent_bytes,
            unsent_bytes_per_address: unsent_bytes_per_address
                .unwrap_or(usual.unsent_bytes_per_address.min(unsent_bytes)),
            connections,
            connections_per_address: (written.connections_per_address)
                .unwrap_or(usual.connections_per_address.min(connections)),
            handshake_time: self
                .time(written.handshake_time, at, "handshake_time")
                .unwrap_or(usual.handshake_time),
            handshakes,
            handshakes_per_address: (written.handshakes_per_address)
                .unwrap_or(usual.handshakes_per_address.min(handshakes)),
            header_time: self
                .time(written.header_time, at, "header_time")
                .unwrap_or(usual.header_time),
            headers: written.headers.map_or(usual.headers, |most| most as usize),
            header_bytes: header_bytes as usize,
            uri_bytes: uri_bytes.map_or(usual.uri_bytes.min(header_bytes as usize), |most| {
                most as usize
            }),
            body: RateMin {
                bytes_per_second: self
                    .bytes_within(written.body_rate, 0..=RATE_MAX, at, "body_rate")
                    .unwrap_or(usual.body.bytes_per_second),
                grace: self
                    .time(written.body_grace, at, "body_grace")
                    .unwrap_or(usual.body.grace),
            },
            send: RateMin {
                bytes_per_second: self
                    .bytes_within(written.send_rate, 0..=RATE_MAX, at, "send_rate")
                    .unwrap_or(usual.send.bytes_per_second),
                grace: self
                    .time(written.send_grace, at, "send_grace")
                    .unwrap_or(usual.send.grace),
            },
            idle: match written.idle {
                None => usual.idle,
                Some(Written(idle)) => {
                    self.at_most(idle, IDLE_MAX, at, "idle");
                    idle
                }
            },
            requests: written.requests.unwrap_or(usual.requests),
            streams: written.streams.unwrap_or(usual.streams),
            resets: written.resets.unwrap_or(usual.resets),
            control_frames: written.control_frames.unwrap_or(usual.control_frames),
            fetches,
            fetches_per_address: (written.fetches_per_address)
                .unwrap_or(usual.fetches_per_address.min(fetches)),
        }
    }

    fn time(&mut self, written: Option<Timeout>, at: At<'_>, key: &str) -> Option<Duration> {
        let Timeout(time) = written?;
        self.at_most(time, TIME_MAX, at, key);
        Some(time)
    }

    fn at_most(&mut self, time: Duration, most: Duration, at: At<'_>, key: &str) {
        if time > most {
            let flaw = Flaw::new(format!("{} s are too long here", time.as_secs()));
            self.refuse(
                at.key(key),
                flaw.help(format!("at most {} h", most.as_secs() / 3600)),
            );
        }
    }

    fn bytes_within(
        &mut self,
        written: Option<Size>,
        range: RangeInclusive<u64>,
        at: At<'_>,
        key: &str,
    ) -> Option<u64> {
        let Size(bytes) = written?;
        if !range.contains(&bytes) {
            let (size, least, most) = (shown(bytes), shown(*range.start()), shown(*range.end()));
            let word = if bytes < *range.start() {
                "little"
            } else {
                "much"
            };
            self.refuse(
                at.key(key),
                Flaw::new(format!("{size} is too {word} here"))
                    .help(format!("from {least} to {most}")),
            );
            return None;
        }
        Some(bytes)
    }

    fn door(&mut self, edge: &document::Edge, root: At<'_>) -> Door {
        let from = edge.proxy_protocol.iter().flat_map(|proxy| &proxy.from);
        let from: Vec<_> = from.map(|block| block.0).collect();
        let items = root.keys(&["edge", "proxy_protocol", "from"]).items();
        for (at, block) in items.zip(&from) {
            if block.prefix_len() == 0 {
                let flaw = Flaw::new(format!("{block} lets every client say what its address is"));
                self.refuse(at, flaw.help("name the load balancers, like 10.0.0.0/8"));
            }
        }
        Door {
            proxy_protocol_from: from,
            tls_min: match edge.tls.as_ref().and_then(|tls| tls.min_version) {
                None | Some(document::TlsVersion::Tls12) => TlsVersion::Tls12,
                Some(document::TlsVersion::Tls13) => TlsVersion::Tls13,
            },
        }
    }
}

/// A size as a policy writes it.
fn shown(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units
        .into_iter()
        .find(|(_, scale)| bytes > 0 && bytes.is_multiple_of(*scale));
    match unit {
        Some((unit, scale)) => format!("{}{unit}", bytes / scale),
        None => format!("{bytes}B"),
    }
}
