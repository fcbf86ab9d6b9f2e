//! `latencify policy explain`: the edge's own decisions about a request that is never sent.

use super::{geo, policy_local};
use crate::{
    args::Explain,
    failure::Failure,
    output::{Output, printable},
    policy_files,
};
use http::{HeaderMap, HeaderValue, header};
use latencify_conf::path;
use latencify_decide::{
    admit::Refusal,
    explain::{
        ActionSeen, AdmissionSeen, Explanation, LimitSeen, Outcome, ProxySeen, SteeringSeen,
        TokenSeen, explain,
    },
    facts::Request,
    hops,
    key::PartKind,
    route::{Mismatch, Router},
};
use serde::Serialize;
use std::{fmt::Write as _, sync::Arc, time::SystemTime};

/// Says what happens to a request, step by step. Whatever happens to it, saying so is success.
pub fn run(args: &Explain, output: &Output) -> Result<(), Failure> {
    if !matches!(args.url.scheme(), "http" | "https") {
        return Err(Failure::usage(format!(
            "{} is no http:// or https:// URL",
            args.url
        )));
    }
    let policy = policy_local::check(&policy_files::load(&args.policy)?)?;
    if let Some(name) = policy.token_secrets().next() {
        output.note(&format!(
            "the value of secret {name} is not known here, so tokens that it signs are refused as badly signed"
        ));
    }
    let router = Router::new(Arc::new(policy))
        .map_err(|error| Failure::failed(format!("the policy can't be obeyed: {error}")))?;

    let headers = headers(args)?;
    let client = hops::client_address(args.from, &headers, &router.policy().edge);
    let place = geo::open(&geo::files(&args.geoip))?.lookup(client);
    let host = host(&headers)?;
    let explanation = explain(
        &router,
        &Request {
            method: &args.method,
            https: args.url.scheme() == "https",
            host: &host,
            authority: authority(&headers),
            path: &path::normalise(args.url.path()),
            query: args.url.query(),
            headers: &headers,
            client,
            place: place.as_ref(),
            now: SystemTime::now(),
        },
    );
    output.answer(&explanation, |explanation| {
        printable(&in_words(explanation))
    })
}

/// The headers as a client would send them: `Host` is the URL's unless another one is given.
fn headers(args: &Explain) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in &args.headers {
        headers.append(name, value.clone());
    }
    if !headers.contains_key(header::HOST) {
        let host = args.url.host_str().unwrap_or_default();
        let authority = args
            .url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let value = HeaderValue::from_str(&authority)
            .map_err(|_| Failure::usage(format!("{authority:?} is no host")))?;
        headers.insert(header::HOST, value);
    }
    Ok(headers)
}

/// Host and port as they are written.
fn authority(headers: &HeaderMap) -> &str {
    headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// The host as decisions see it: lower case, no port, no trailing dot.
fn host(headers: &HeaderMap) -> Result<String, Failure> {
    let written = authority(headers);
    let authority: http::uri::Authority = written
        .parse()
        .map_err(|_| Failure::usage(format!("{written:?} is no host")))?;
    let host = authority.host();
    Ok(host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase())
}

fn in_words(seen: &Explanation) -> String {
    let mut text = String::new();
    let request = &seen.request;
    let query = request
        .query
        .as_deref()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let scheme = if request.https { "https" } else { "http" };
    line(
        &mut text,
        "request",
        &format!(
            "{} {scheme}://{}{}{query}",
            request.method, request.host, request.path
        ),
    );
    let place = [request.city.as_deref(), request.country.as_deref()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ");
    let place = if place.is_empty() {
        "place not known"
    } else {
        &place
    };
    line(
        &mut text,
        "client",
        &format!("{} ({place})", request.client),
    );
    match &seen.site {
        Some(site) => line(&mut text, "site", &site.name),
        None => line(&mut text, "site", "none answers for this host"),
    }
    for route in &seen.routes {
        let verdict = route.mismatch.map_or_else(
            || "takes it".to_owned(),
            |why| format!("no: {}", mismatch(why)),
        );
        line(&mut text, "route", &format!("{}: {verdict}", route.name));
    }
    if let Some(seen) = &seen.admission {
        admission(&mut text, seen);
    }
    match &seen.action {
        Some(ActionSeen::Redirect { status, location }) => {
            line(&mut text, "redirect", &format!("{status} to {location}"));
        }
        Some(ActionSeen::Proxy(answer)) => {
            let site = seen.site.as_ref().map_or("", |site| site.name.as_str());
            proxy(&mut text, site, answer);
        }
        None => {}
    }
    line(&mut text, "outcome", outcome(seen.outcome));
    text
}

fn admission(text: &mut String, seen: &AdmissionSeen) {
    line(text, "access", &name(&seen.access));
    match &seen.token {
        Some(TokenSeen::Verified { source, .. }) => {
            line(text, "token", &format!("good, from {source}"));
        }
        Some(TokenSeen::Refused(why)) => line(text, "token", &refusal(*why)),
        None => {}
    }
    for limit in &seen.limits {
        line(text, "limit", &rate_limit(limit));
    }
    if let Some(why) = seen.refusal {
        line(text, "refused", &refusal(why));
    }
}

fn proxy(text: &mut String, site: &str, seen: &ProxySeen) {
    match &seen.cache {
        None => line(text, "cache", "none: passes through"),
        Some(cache) if !cache.answers_method => {
            line(text, "cache", "not for this method: passes through");
        }
        Some(cache) => {
            line(text, "cache", "by this key");
            for part in &cache.key {
                // Its id is the fold's; here only its name is known.
                let values = match part.part {
                    PartKind::Site => site.to_owned(),
                    _ => part.values.join(" "),
                };
                line(text, "", &format!("{}: {values}", name(&part.part)));
            }
            for field in &cache.dropped {
                line(text, "", &format!("{field}: does not reach the origin"));
            }
        }
    }
    line(text, "target", &seen.target);
    let how = match seen.steering {
        SteeringSeen::Nearest => "the nearest first",
        SteeringSeen::NearestWithoutPlace => "by weight, as the client's place is not known",
        SteeringSeen::Weighted => "by weight",
    };
    line(text, "origins", how);
    for origin in &seen.origins {
        let distance = origin
            .distance_km
            .map(|km| format!(", {km:.0} km away"))
            .unwrap_or_default();
        line(
            text,
            "",
            &format!(
                "{} at {}, weight {}{distance}",
                origin.name, origin.address, origin.weight
            ),
        );
    }
}

fn rate_limit(limit: &LimitSeen) -> String {
    let LimitSeen {
        name,
        requests,
        per_seconds,
        burst,
        key,
        shared,
    } = limit;
    let shared = if *shared {
        "; the request has none, and shares one count with all such requests"
    } else {
        ""
    };
    format!(
        "{name}: {requests} per {per_seconds} s, {burst} at once, counted by {key}{shared} (not asked here)"
    )
}

fn refusal(why: Refusal) -> String {
    format!("{}: {}", why.as_str(), why.detail())
}

fn mismatch(why: Mismatch) -> &'static str {
    match why {
        Mismatch::Path => "another path",
        Mismatch::Method => "another method",
        Mismatch::Transport => "the other transport",
        Mismatch::Header => "a header condition does not hold",
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NoSite => "no site",
        Outcome::NoRoute => "no route",
        Outcome::Refused => "refused",
        Outcome::Redirected => "redirected",
        Outcome::Proxied => "answered from the cache or an origin",
    }
}

/// The stable name of a variant.
fn name(value: &impl Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn line(text: &mut String, label: &str, what: &str) {
    let _ = writeln!(text, "{label:<9} {what}");
}
