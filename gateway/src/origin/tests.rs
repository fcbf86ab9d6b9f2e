//! Origins across policies, and against real listeners on loopback.

use super::*;
use latencify_conf::policy::{Origin, Scheme, TlsToOrigin};

/// An origin by `scheme://host:port`.
pub(super) fn origin(name: &str, url: &str) -> Origin {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (host, port) = rest.rsplit_once(':').unwrap();
    Origin {
        name: name.into(),
        scheme: match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => Scheme::H2c,
        },
        host: host.into(),
        port: port.parse().unwrap(),
        place: None,
        weight: 1,
        host_header: None,
        tls: TlsToOrigin { sni: None, ca: None, verify: true },
        health: None,
    }
}
