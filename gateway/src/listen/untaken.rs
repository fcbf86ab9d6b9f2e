//! The record of a request that no phase has seen.

use crate::{edge::Edge, request_id};
use latencify_conf::record::{AccessRecord, CacheOutcome};
use pingora::protocols::GetSocketDigest;
use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
    time::SystemTime,
};
use time::OffsetDateTime;

/// All that is known of it whatever it was; the rest is empty.
pub(super) fn record(edge: &Edge, client: IpAddr, secure: bool) -> AccessRecord<'static> {
    let compiled = edge.running();
    let now = SystemTime::now();
    let marks = edge.cache.marks().stamp();
    AccessRecord {
        time: OffsetDateTime::from(now),
        request_id: request_id::new(now).into(),
        client,
        country: edge
            .places
            .lookup(client)
            .and_then(|place| place.country)
            .map(|country| country.to_string().into()),
        site: None,
        route: None,
        method: Cow::Borrowed(""),
        scheme: Cow::Borrowed(if secure { "https" } else { "http" }),
        host: Cow::Borrowed(""),
        path: Cow::Borrowed(""),
        query: None,
        protocol: Cow::Borrowed("HTTP/1.1"),
        status: 0,
        bytes_in: 0,
        bytes_out: 0,
        duration_us: 0,
        ttfb_us: None,
        cache: CacheOutcome::None,
        cache_reason: None,
        age: None,
        origin: None,
        origin_status: None,
        attempts: 0,
        revision: compiled.as_ref().and_then(|compiled| compiled.revision),
        policy: compiled.map(|compiled| compiled.policy.digest),
        epoch: None,
        mark_epoch: marks.log.map(|_| marks.epoch),
        decisions: vec![Cow::Borrowed("framing")],
        error: None,
        error_detail: None,
        user_agent: None,
        referer: None,
    }
}

/// Who is at the other end; an address that nothing trusts stands in for one that is not known.
pub(super) fn peer_address(stream: &(impl GetSocketDigest + ?Sized)) -> IpAddr {
    stream
        .get_socket_digest()
        .and_then(|digest| {
            digest
                .peer_addr()
                .and_then(|address| address.as_inet().copied())
        })
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| {
            address.ip().to_canonical()
        })
}
