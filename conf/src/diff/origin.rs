//! Origins.

use super::{
    part::{Fact, Part},
    words::{duration, list, yes},
};
use crate::policy::{HealthCheck, Origin, Scheme, Sign, StatusSet, TlsToOrigin};

pub(super) fn describe(origin: &Origin) -> Part {
    let Origin {
        name,
        scheme,
        host,
        port,
        place,
        weight,
        host_header,
        tls,
        sign,
        health,
    } = origin;
    let scheme = match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
        Scheme::H2c => "h2c",
    };
    let TlsToOrigin {
        sni,
        ca,
        verify,
        client,
    } = tls;
    let place = place.map_or_else(
        || "nowhere".to_owned(),
        |place| format!("{}, {}", place.latitude, place.longitude),
    );
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let url = format!("{scheme}://{host}:{port}");
    let own = |text: &Option<String>, otherwise: &str| {
        text.clone().unwrap_or_else(|| otherwise.to_owned())
    };
    let ca = ca.as_ref().map_or_else(
        || "the system's".to_owned(),
        |path| path.display().to_string(),
    );
    let client = client.as_ref().map_or_else(
        || "none".to_owned(),
        |client| format!("secret {} with key {}", client.certificate, client.key),
    );
    let facts = vec![
        Fact::new("address", url.clone()),
        Fact::new("place", place),
        Fact::new("weight", weight.to_string()),
        Fact::new("host header", own(host_header, "the client's")),
        Fact::new("TLS name", own(sni, "the host")),
        Fact::new("TLS CAs", ca),
        Fact::new("TLS verified", yes(*verify)),
        Fact::new("TLS client certificate", client),
        Fact::new("signed", signed(sign.as_ref())),
    ];
    let mut part = Part::new(format!("origin {name}"), url, facts);
    part.parts.extend(health.as_ref().map(self::health));
    part
}

fn signed(sign: Option<&Sign>) -> String {
    match sign {
        None => "no".to_owned(),
        Some(Sign::Header(header)) => format!("header {} of secret {}", header.name, header.value),
        Some(Sign::AwsV4(aws)) => {
            let token = aws.session_token.as_ref();
            let token = token.map_or(String::new(), |token| format!(", token {token}"));
            format!(
                "AWS Signature V4 for {} in {}, secrets {} and {}{token}",
                aws.service, aws.region, aws.access_key, aws.secret_key
            )
        }
    }
}

fn health(check: &HealthCheck) -> Part {
    let HealthCheck {
        path,
        interval,
        timeout,
        healthy_after,
        unhealthy_after,
        expect,
    } = check;
    let facts = vec![
        Fact::new("path", path.clone()),
        Fact::new("interval", duration(*interval)),
        Fact::new("timeout", duration(*timeout)),
        Fact::new("healthy after", healthy_after.to_string()),
        Fact::new("unhealthy after", unhealthy_after.to_string()),
        Fact::new("expect", statuses(expect)),
    ];
    let short = format!("GET {path} every {}", duration(*interval));
    Part::new("health check", short, facts)
}

/// `200, 301-399`.
pub(super) fn statuses(set: &StatusSet) -> String {
    let range = |range: &std::ops::RangeInclusive<u16>| match (range.start(), range.end()) {
        (start, end) if start == end => start.to_string(),
        (start, end) => format!("{start}-{end}"),
    };
    list(set.0.iter().map(range), "none")
}
