//! Certificates and origins.

use super::{At, Flaw, Lowering};
use crate::{
    Point,
    document::{self, Document, StatusItem, text::Statuses},
    policy::{Certificate, HealthCheck, Origin, Scheme, StatusSet, TlsToOrigin},
};
use std::{sync::Arc, time::Duration};

impl Lowering<'_, '_, '_> {
    pub(super) fn origins(&mut self, document: &Document, root: At<'_>) -> Vec<Arc<Origin>> {
        let Some(section) = root.section("origins") else {
            return Vec::new();
        };
        let mut origins = Vec::new();
        for (name, at) in section.entries() {
            let Some(written) = document.origins.get(name) else {
                continue;
            };
            let origin = self.origin(name, written, at);
            self.weights.push(origin.weight);
            origins.push(Arc::new(origin));
        }
        origins
    }

    fn origin(&mut self, name: &str, written: &document::Origin, at: At<'_>) -> Origin {
        Origin {
            name: name.into(),
            scheme: written.url.scheme,
            host: written.url.host.clone(),
            port: written.url.port,
            place: written.place.map(|place| Point {
                latitude: place.latitude,
                longitude: place.longitude,
            }),
            weight: written.weight.unwrap_or(1),
            host_header: written.host.as_ref().map(|host| host.0.clone()),
            tls: self.tls(written, at),
            health: written.health.as_ref().map(health),
        }
    }

    fn tls(&mut self, written: &document::Origin, at: At<'_>) -> TlsToOrigin {
        if at.has("tls") && written.url.scheme != Scheme::Https {
            let flaw = Flaw::new("`tls` has no effect on an origin that is not `https://`");
            self.refuse_key(
                at.key("tls"),
                flaw.help("write `https://` in its `url`, or leave `tls` out"),
            );
        }
        let Some(tls) = &written.tls else {
            return TlsToOrigin {
                sni: None,
                ca: None,
                verify: true,
            };
        };
        if tls.insecure && tls.ca.is_some() {
            let flaw = Flaw::new("`insecure: true` accepts any certificate, so `ca` has no effect");
            self.refuse_key(at.keys(&["tls", "ca"]), flaw.help("leave one of them out"));
        }
        TlsToOrigin {
            sni: tls.sni.as_ref().map(|sni| sni.0.clone()),
            ca: tls.ca.as_ref().map(|ca| ca.0.clone()),
            verify: !tls.insecure,
        }
    }
}

pub(super) fn certificates(document: &Document, root: At<'_>) -> Vec<Certificate> {
    let Some(section) = root.section("certificates") else {
        return Vec::new();
    };
    (section.entries())
        .filter_map(|(name, _)| Some((name, document.certificates.get(name)?)))
        .map(|(name, written)| Certificate {
            name: name.to_owned(),
            chain: written.chain.0.clone(),
            key: written.key.0.clone(),
        })
        .collect()
}

fn health(written: &document::Health) -> HealthCheck {
    let expect = written.expect.as_ref().map_or_else(
        || vec![200..=299],
        |items| {
            let ranges = items.as_slice().iter().map(|item| match item {
                StatusItem::Code(code) => *code..=*code,
                StatusItem::Statuses(Statuses(range)) => range.clone(),
            });
            ranges.collect()
        },
    );
    HealthCheck {
        path: written
            .path
            .as_ref()
            .map_or_else(|| "/".to_owned(), |path| path.0.clone()),
        interval: written
            .interval
            .map_or(Duration::from_secs(5), |interval| interval.0),
        timeout: written
            .timeout
            .map_or(Duration::from_secs(2), |timeout| timeout.0),
        healthy_after: written.healthy_after.unwrap_or(2),
        unhealthy_after: written.unhealthy_after.unwrap_or(3),
        expect: StatusSet(expect),
    }
}
