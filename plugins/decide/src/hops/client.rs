//! The client's address, through trusted hops.

use super::forwarded;
use crate::fields;
use http::{HeaderMap, HeaderName};
use latencify_conf::policy::{ClientAddressHeader, EdgeRules};
use std::net::{IpAddr, SocketAddr};

/// The most hops that are walked.
pub const HOPS_MAX: usize = 32;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client: the nearest address that is not a trusted hop. The walk starts at the peer and follows the header from its end; what
/// is no address (also `unknown` and obfuscated names of RFC 7239 §6) ends it, and the hop that wrote that is the client.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, rules: &EdgeRules) -> IpAddr {
    let mut client = peer.to_canonical();
    if !rules.trusts(client) {
        return client;
    }
    for hop in nearest_first(headers, rules.client_address_header) {
        match hop {
            Some(address) => client = address.to_canonical(),
            None => break,
        }
        if !rules.trusts(client) {
            break;
        }
    }
    client
}

/// The hops that the header names, the nearest first; none for what is no address. Read from the end, because only the
/// end is written by hops that are trusted.
fn nearest_first(
    headers: &HeaderMap,
    header: ClientAddressHeader,
) -> impl Iterator<Item = Option<IpAddr>> {
    let name = match header {
        ClientAddressHeader::XForwardedFor => X_FORWARDED_FOR,
        ClientAddressHeader::Forwarded => http::header::FORWARDED,
    };
    headers
        .get_all(name)
        .iter()
        .rev()
        .flat_map(|line| fields::members_from_end(line.as_bytes()))
        .take(HOPS_MAX)
        .map(move |member| match header {
            ClientAddressHeader::XForwardedFor => address(std::str::from_utf8(member).ok()?),
            ClientAddressHeader::Forwarded => forwarded::for_address(member),
        })
}

/// An address, also with a port or in brackets.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Some(inner) = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return inner.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6);
    }
    text.parse::<SocketAddr>().ok().map(|socket| socket.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn rules(header: ClientAddressHeader) -> EdgeRules {
        EdgeRules {
            trusted_hops: ["10.0.0.0/8", "fd00::/8"]
                .map(|net| net.parse().unwrap())
                .into(),
            client_address_header: header,
            ..EdgeRules::default()
        }
    }

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (name.clone(), HeaderValue::from_str(line).unwrap()))
            .collect()
    }

    #[test]
    fn x_forwarded_for_is_walked_from_its_end() {
        let check = |peer: &str, lines: &[&str], expected: &str| {
            let found = client_address(
                peer.parse().unwrap(),
                &headers(&X_FORWARDED_FOR, lines),
                &rules(ClientAddressHeader::XForwardedFor),
            );
            assert_eq!(
                found,
                expected.parse::<IpAddr>().unwrap(),
                "{peer} {lines:?}"
            );
        };
        check("192.0.2.1", &["198.51.100.7"], "192.0.2.1");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["198.51.100.7"], "198.51.100.7");
        check("10.0.0.1", &["203.0.113.9, 198.51.100.7"], "198.51.100.7");
        check("10.0.0.1", &["203.0.113.9", "198.51.100.7"], "198.51.100.7");
        check("10.0.0.1", &["203.0.113.9, 10.0.0.2"], "203.0.113.9");
        check("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        check("10.0.0.1", &["203.0.113.9, garbage, 10.0.0.2"], "10.0.0.2");
        check("10.0.0.1", &["2001:db8::1"], "2001:db8::1");
        check("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1");
        check("10.0.0.1", &["198.51.100.7:1234"], "198.51.100.7");
        check("::ffff:10.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7");
        check("fd00::1", &["2001:db8::1"], "2001:db8::1");
    }

    #[test]
    fn forwarded_is_read_by_rfc_7239() {
        let check = |lines: &[&str], expected: &str| {
            let found = client_address(
                "10.0.0.1".parse().unwrap(),
                &headers(&http::header::FORWARDED, lines),
                &rules(ClientAddressHeader::Forwarded),
            );
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{lines:?}");
        };
        check(&["for=192.0.2.43"], "192.0.2.43");
        check(&["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17");
        check(&["for=192.0.2.60;proto=http;by=203.0.113.43"], "192.0.2.60");
        check(&["proto=http; for=\"192.0.2.60:80\""], "192.0.2.60");
        check(&["for=192.0.2.43, for=10.0.0.2"], "192.0.2.43");
        check(&["for=192.0.2.43, for=unknown, for=10.0.0.2"], "10.0.0.2");
        check(&["for=192.0.2.43, for=_hidden"], "10.0.0.1");
        check(&["for=192.0.2.43, proto=http"], "10.0.0.1");
        check(&["for=192.0.2.43;for=192.0.2.44"], "10.0.0.1");
        check(
            &["for=192.0.2.1;host=\"a,b\", for=198.51.100.7;host=\"a,\\\"b\""],
            "198.51.100.7",
        );
        // A client can't hide what a hop appended inside a quoted string that never ends.
        check(&["for=\"192.0.2.1", "for=198.51.100.7"], "198.51.100.7");
        check(&["for=\"192.0.2.1, for=198.51.100.7"], "198.51.100.7");
    }

    proptest! {
        #[test]
        fn garbage_never_makes_a_client_beyond_the_nearest_untrusted_hop(garbage in "[ -~]{0,80}", forwarded: bool) {
            let (name, header, trusted) = if forwarded {
                (http::header::FORWARDED, ClientAddressHeader::Forwarded, "for=198.51.100.7")
            } else {
                (X_FORWARDED_FOR, ClientAddressHeader::XForwardedFor, "198.51.100.7")
            };
            for lines in [vec![garbage.clone(), trusted.to_owned()], vec![format!("{garbage},{trusted}")]] {
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                let found =
                    client_address("10.0.0.1".parse().unwrap(), &headers(&name, &lines), &rules(header));
                prop_assert_eq!(found, "198.51.100.7".parse::<IpAddr>().unwrap());
            }
        }

        #[test]
        fn garbage_never_panics(garbage in proptest::collection::vec(any::<u8>(), 0..80), forwarded: bool) {
            let (name, header) = if forwarded {
                (http::header::FORWARDED, ClientAddressHeader::Forwarded)
            } else {
                (X_FORWARDED_FOR, ClientAddressHeader::XForwardedFor)
            };
            if let Ok(value) = HeaderValue::from_bytes(&garbage) {
                let map = HeaderMap::from_iter([(name, value)]);
                client_address("10.0.0.1".parse().unwrap(), &map, &rules(header));
            }
        }
    }
}
