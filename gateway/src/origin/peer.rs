//! From an origin and one of its addresses to the peer that Pingora connects to.

use super::ca::Ca;
use latencify_conf::policy::{Origin, Scheme, Timeouts};
use pingora::{protocols::TcpKeepalive, upstreams::peer::HttpPeer};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// Streams that share one HTTP/2 connection to an origin.
pub const H2_STREAMS_MAX: usize = 100;
/// HTTP/2 connections are pinged so often, so that a dead one is noticed.
pub const H2_PING_INTERVAL: Duration = Duration::from_secs(20);
/// TCP keepalive: probes begin after so long without traffic …
const KEEPALIVE_IDLE: Duration = Duration::from_mins(1);
/// … come so often …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// … and so many unanswered ones end the connection.
const KEEPALIVE_PROBES: usize = 3;

/// How the system looks after connections that nothing comes over.
pub fn keepalive() -> socket2::TcpKeepalive {
    socket2::TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES as u32)
}

/// The peer for one request. All time limits are set.
///
/// Pingora knows one read timeout for head and body, so it is the longer of `first_byte` and `between_bytes`. Over
/// HTTP/1.1, [`super::silence`] keeps the shorter one.
pub fn peer(
    origin: &Origin,
    ca: Option<&Ca>,
    address: SocketAddr,
    timeouts: &Timeouts,
) -> HttpPeer {
    let tls = origin.scheme == Scheme::Https;
    // `HttpPeer::new` resolves names; a socket address it takes as it is.
    let mut peer = HttpPeer::new(
        address,
        tls,
        if tls {
            server_name(origin)
        } else {
            String::new()
        },
    );
    let options = &mut peer.options;
    options.connection_timeout = Some(timeouts.connect);
    options.total_connection_timeout = Some(timeouts.connect);
    options.read_timeout = Some(timeouts.first_byte.max(timeouts.between_bytes));
    options.write_timeout = Some(timeouts.send);
    options.idle_timeout = Some(timeouts.idle);
    options.tcp_keepalive = Some(TcpKeepalive {
        idle: KEEPALIVE_IDLE,
        interval: KEEPALIVE_INTERVAL,
        count: KEEPALIVE_PROBES,
        user_timeout: Duration::ZERO,
    });
    options.max_h2_streams = H2_STREAMS_MAX;
    match origin.scheme {
        Scheme::Http => options.set_http_version(1, 1),
        Scheme::Https => options.set_http_version(2, 1),
        Scheme::H2c => options.set_http_version(2, 2),
    }
    if origin.scheme != Scheme::Http {
        options.h2_ping_interval = Some(H2_PING_INTERVAL);
    }
    options.verify_cert = origin.tls.verify;
    options.verify_hostname = origin.tls.verify;
    if let Some(ca) = ca {
        options.ca = Some(ca.certificates.clone());
        // Pingora's pool does not compare CAs.
        peer.group_key = ca.group_key();
    }
    peer
}

/// Has it connected to anew, whatever idle connections there are.
pub fn over_new_connection(peer: &mut HttpPeer) {
    // Pingora's pool looks for what has the same key, so nothing is found, nor this again, which is not kept for that reason.
    peer.group_key = rand::random();
    peer.options.idle_timeout = Some(Duration::ZERO);
}

/// The name asked for by SNI and verified. It is empty only where nothing is verified and the origin is an address,
/// which SNI can't carry (RFC 6066 §3): with an empty name Pingora verifies nothing.
fn server_name(origin: &Origin) -> String {
    match &origin.tls.sni {
        Some(name) => name.clone(),
        None if !origin.tls.verify && is_address(origin) => String::new(),
        None => origin.host.clone(),
    }
}

/// Why the origin can't be verified as written, if so.
pub fn unverifiable(origin: &Origin) -> Option<String> {
    let unnamed = origin.scheme == Scheme::Https
        && origin.tls.verify
        && origin
            .tls
            .sni
            .as_ref()
            .map_or_else(|| is_address(origin), String::is_empty);
    unnamed.then(|| {
        format!(
            "its certificate can't be verified against the address {}: say the name in it as tls.sni",
            origin.host
        )
    })
}

fn is_address(origin: &Origin) -> bool {
    origin.host.parse::<IpAddr>().is_ok()
}

/// `Host` for requests that the edge makes by itself: as the policy says, else the origin's host and port.
pub fn own_host_header(origin: &Origin) -> String {
    if let Some(host) = &origin.host_header {
        return host.clone();
    }
    let host = if origin.host.contains(':') {
        format!("[{}]", origin.host)
    } else {
        origin.host.clone()
    };
    match (origin.scheme, origin.port) {
        (Scheme::Http | Scheme::H2c, 80) | (Scheme::Https, 443) => host,
        (_, port) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::origin, *};
    use pingora::{protocols::ALPN, upstreams::peer::Peer as _};

    #[test]
    fn every_time_limit_is_set_and_tls_is_verified_by_name() {
        let timeouts = Timeouts {
            connect: Duration::from_secs(1),
            ..Timeouts::default()
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 8443));
        // (url, sni, verify, sni sent, verified)
        let cases = [
            ("http://a.example:80", None, true, "", true),
            ("https://a.example:443", None, true, "a.example", true),
            (
                "https://a.example:443",
                Some("b.example"),
                true,
                "b.example",
                true,
            ),
            (
                "https://127.0.0.1:443",
                Some("b.example"),
                true,
                "b.example",
                true,
            ),
            ("https://a.example:443", None, false, "a.example", false),
            ("https://127.0.0.1:443", None, false, "", false),
        ];
        for (url, sni, verify, sent, verified) in cases {
            let mut origin = origin("app", url);
            origin.tls.sni = sni.map(str::to_owned);
            origin.tls.verify = verify;
            assert_eq!(unverifiable(&origin), None, "{url}");
            let peer = peer(&origin, None, address, &timeouts);
            assert_eq!(
                (peer.sni(), peer.verify_cert(), peer.verify_hostname()),
                (sent, verified, verified),
                "{url}"
            );
            let options = &peer.options;
            assert_eq!(options.connection_timeout, Some(Duration::from_secs(1)));
            assert_eq!(
                options.total_connection_timeout,
                Some(Duration::from_secs(1))
            );
            assert_eq!(options.read_timeout, Some(Duration::from_mins(1)));
            assert_eq!(options.write_timeout, Some(Duration::from_mins(1)));
            assert_eq!(options.idle_timeout, Some(Duration::from_mins(1)));
        }
    }

    #[test]
    fn an_address_can_not_be_verified_without_a_name() {
        for (url, sni, refused) in [
            ("https://127.0.0.1:443", None, true),
            ("https://::1:443", None, true),
            ("https://127.0.0.1:443", Some(""), true),
            ("https://127.0.0.1:443", Some("a.example"), false),
            ("http://127.0.0.1:80", None, false),
        ] {
            let mut origin = origin("app", url);
            origin.tls.sni = sni.map(str::to_owned);
            assert_eq!(unverifiable(&origin).is_some(), refused, "{url} {sni:?}");
        }
    }

    #[test]
    fn versions_of_http_follow_the_scheme() {
        let cases = [
            ("http://a:80", ALPN::H1),
            ("https://a:443", ALPN::H2H1),
            ("h2c://a:80", ALPN::H2),
        ];
        for (url, alpn) in cases {
            let peer = peer(
                &origin("app", url),
                None,
                SocketAddr::from(([127, 0, 0, 1], 1)),
                &Timeouts::default(),
            );
            assert_eq!(peer.options.alpn, alpn, "{url}");
            assert!(peer.options.max_h2_streams > 1);
        }
    }

    #[test]
    fn own_requests_name_the_origin() {
        let cases = [
            ("http://a.example:80", None, "a.example"),
            ("http://a.example:8080", None, "a.example:8080"),
            ("https://a.example:443", None, "a.example"),
            ("https://a.example:80", None, "a.example:80"),
            ("http://::1:9000", None, "[::1]:9000"),
            (
                "http://a.example:8080",
                Some("shop.internal"),
                "shop.internal",
            ),
        ];
        for (url, host_header, expected) in cases {
            let mut origin = origin("app", url);
            origin.host_header = host_header.map(str::to_owned);
            assert_eq!(own_host_header(&origin), expected, "{url}");
        }
    }
}
