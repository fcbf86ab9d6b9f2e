//! Certificates and origins.

use super::{At, Flaw, Lowering, edit::UNTOUCHABLE};
use crate::{
    Point,
    document::{self, Document, StatusItem, text::Statuses},
    policy::{
        AwsV4, Certificate, ClientCertificate, HealthCheck, Origin, Scheme, SecretHeader, Sign,
        StatusSet, TlsToOrigin,
    },
};
use std::{sync::Arc, time::Duration};

/// Fields that edges write themselves, or that say what is asked for.
const NAMED_BY_EDGES: &[&str] = &[
    "host",
    "via",
    "cdn-loop",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
    "range",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "expect",
    "accept-encoding",
];

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
            sign: self.sign(written.sign.as_ref(), at.key("sign")),
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
                client: None,
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
            client: tls.client.as_ref().map(|client| {
                let at = at.keys(&["tls", "client"]);
                ClientCertificate {
                    certificate: self.secret(&client.certificate, at.key("certificate")),
                    key: self.secret(&client.key, at.key("key")),
                }
            }),
        }
    }

    fn sign(&mut self, written: Option<&document::Sign>, at: At<'_>) -> Option<Sign> {
        Some(match written? {
            document::Sign::AwsV4(aws) => {
                let at = at.key("aws_v4");
                Sign::AwsV4(AwsV4 {
                    region: aws.region.0.clone(),
                    service: (aws.service.as_ref())
                        .map_or_else(|| "s3".to_owned(), |name| name.0.clone()),
                    access_key: self.secret(&aws.access_key, at.key("access_key")),
                    secret_key: self.secret(&aws.secret_key, at.key("secret_key")),
                    session_token: (aws.session_token.as_ref())
                        .map(|token| self.secret(token, at.key("session_token"))),
                })
            }
            document::Sign::Header(header) => {
                let at = at.key("header");
                let name = &header.name.0;
                if UNTOUCHABLE.contains(&name.as_str()) || NAMED_BY_EDGES.contains(&name.as_str()) {
                    let flaw = Flaw::new(format!("`{name}` can't carry a secret"));
                    self.refuse(
                        at.key("name"),
                        flaw.help("take a name of your own, like `x-origin-key`"),
                    );
                }
                Sign::Header(SecretHeader {
                    name: name.clone(),
                    value: self.secret(&header.value, at.key("value")),
                })
            }
        })
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
