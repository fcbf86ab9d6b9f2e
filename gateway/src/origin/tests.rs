//! Origins across policies, and against real listeners and a real DNS server on loopback.

mod checks;
mod names;
mod policies;

use super::*;
use latencify_conf::{
    digest::Digest,
    policy::{EdgeRules, HealthCheck, Origin, Scheme, StatusSet, TlsToOrigin},
};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_mins(1);

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
        sign: None,
        tls: TlsToOrigin {
            client: None,
            sni: None,
            ca: None,
            verify: true,
        },
        health: None,
    }
}

fn rule() -> HealthCheck {
    HealthCheck {
        path: "/healthz?deep=1".into(),
        interval: Duration::from_millis(10),
        timeout: Duration::from_secs(5),
        healthy_after: 2,
        unhealthy_after: 2,
        expect: StatusSet(vec![200..=299]),
    }
}

fn policy(origins: impl IntoIterator<Item = Origin>) -> Policy {
    Policy {
        digest: Digest::default(),
        edge: EdgeRules::default(),
        sites: Vec::new(),
        origins: origins.into_iter().map(Arc::new).collect(),
        certificates: Vec::new(),
    }
}

fn build(origins: impl IntoIterator<Item = Origin>, previous: Option<&Origins>) -> Origins {
    let secrets = Secrets::default();
    Origins::build(&policy(origins), Path::new("/nowhere"), &secrets, previous).unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let poll = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(DEADLINE, poll).await.is_ok(),
        "in vain: {what}"
    );
}

const FIRST: OriginId = OriginId(0);
