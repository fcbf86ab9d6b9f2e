//! Routes.

mod admission;
mod cache;

use super::{
    part::{Fact, Part},
    words::{bytes, duration, list, may_be_secret},
};
use crate::policy::{
    Action, HeaderEdits, HeaderMatch, Limits, PathPattern, Policy, Proxy, Redirect, RedirectTo,
    Rewrite, Route, RouteMatch, Steering, Timeouts, WeightedOrigin,
};

pub(super) fn describe(policy: &Policy, name: String, route: &Route) -> Part {
    let Route {
        name: _,
        matches,
        access,
        auth,
        limits,
        request_headers,
        response_headers,
        action,
    } = route;
    let mut facts = self::match_facts(matches);
    facts.extend(access.as_ref().map(admission::access));
    facts.extend(edits("request header", request_headers, true));
    facts.extend(edits("response header", response_headers, false));
    let mut parts = Vec::new();
    parts.extend(auth.as_ref().map(|jwt| admission::jwt(jwt)));
    parts.extend(limits.iter().map(|limit| admission::limit(limit)));
    let short = match action {
        Action::Redirect(redirect) => {
            let text = self::redirect(redirect);
            facts.push(Fact::new("redirect", text.clone()));
            format!("redirect {text}")
        }
        Action::Proxy(proxy) => {
            facts.extend(proxy_facts(policy, proxy));
            parts.extend(proxy.cache.as_ref().map(|rule| cache::describe(rule)));
            let cached = if proxy.cache.is_some() {
                "cached"
            } else {
                "not cached"
            };
            format!("to {}, {cached}", origins(policy, &proxy.steering))
        }
    };
    let short = format!("{}: {short}", self::matches(matches));
    Part {
        parts,
        ..Part::new(name, short, facts)
    }
}

/// What a route takes, in one line.
pub(super) fn matches(matches: &RouteMatch) -> String {
    let facts = match_facts(matches);
    let words: Vec<_> = facts
        .into_iter()
        .filter(|fact| fact.shown != "any")
        .map(|fact| fact.shown)
        .collect();
    if words.is_empty() {
        "any request".to_owned()
    } else {
        words.join(" ")
    }
}

fn match_facts(matches: &RouteMatch) -> Vec<Fact> {
    let RouteMatch {
        paths,
        methods,
        headers,
        https,
    } = matches;
    let path = |pattern: &PathPattern| match pattern {
        PathPattern::Exact(path) | PathPattern::Glob(path) => path.clone(),
        PathPattern::Below(path) => format!("{path}/**"),
    };
    let methods = methods.as_ref().map(|set| &set.0[..]).unwrap_or_default();
    let over = https.map_or("any", |https| if https { "https" } else { "http" });
    let mut facts = vec![
        Fact::new("methods", list(methods, "any")),
        Fact::new("paths", list(paths.iter().map(path), "any")),
        Fact::new("transport", over),
    ];
    facts.extend(
        headers
            .iter()
            .enumerate()
            .map(|(place, header)| header_match(place, header)),
    );
    facts
}

fn header_match(place: usize, header: &HeaderMatch) -> Fact {
    let at = format!("header condition {}", place + 1);
    let value = |name: &http::HeaderName, sign: &str, value: &str| {
        if may_be_secret(name.as_str()) {
            Fact::hidden(
                at.clone(),
                format!("{name} {sign} value (not shown)"),
                value.as_bytes(),
            )
        } else {
            Fact::new(at.clone(), format!("{name} {sign} {value:?}"))
        }
    };
    match header {
        HeaderMatch::Present(name) => Fact::new(at, format!("{name} present")),
        HeaderMatch::Absent(name) => Fact::new(at, format!("{name} absent")),
        HeaderMatch::Equals(name, text) => value(name, "=", text),
        HeaderMatch::Glob(name, text) => value(name, "like", text),
    }
}

/// What goes to an origin is often a credential: its values are not shown.
fn edits(what: &str, edits: &HeaderEdits, hide_all: bool) -> Vec<Fact> {
    let HeaderEdits { remove, set, add } = edits;
    let mut facts: Vec<Fact> = remove
        .iter()
        .enumerate()
        .map(|(place, name)| Fact::new(format!("{what} removed {}", place + 1), name.as_str()))
        .collect();
    for (verb, lines) in [("set", set), ("added", add)] {
        facts.extend(lines.iter().enumerate().map(|(place, (name, value))| {
            let at = format!("{what} {verb} {}", place + 1);
            if hide_all || may_be_secret(name.as_str()) {
                Fact::hidden(at, format!("{name}: value (not shown)"), value.as_bytes())
            } else {
                let value = String::from_utf8_lossy(value.as_bytes());
                Fact::new(at, format!("{name}: {value}"))
            }
        }));
    }
    facts
}

fn redirect(redirect: &Redirect) -> String {
    let Redirect { status, to } = redirect;
    match to {
        RedirectTo::Https { port } => format!("{status} to https, port {port}"),
        RedirectTo::Url(url) => format!("{status} to {url}"),
    }
}

fn proxy_facts(policy: &Policy, proxy: &Proxy) -> Vec<Fact> {
    // The cache is a part of its own.
    let Proxy {
        steering,
        rewrite,
        cache: _,
        timeouts,
        limits,
    } = proxy;
    let Timeouts {
        connect,
        first_byte,
        between_bytes,
        send,
        idle,
    } = timeouts;
    let Limits {
        request_body_bytes_max,
        retries_max,
    } = limits;
    let rewrite = match rewrite {
        None => "none".to_owned(),
        Some(Rewrite::Prefix { from, to }) => format!("{from} to {to}"),
        Some(Rewrite::Path(path)) => format!("to {path}"),
    };
    vec![
        Fact::new("origins", origins(policy, steering)),
        Fact::new("rewrite", rewrite),
        Fact::new("timeout connect", duration(*connect)),
        Fact::new("timeout first byte", duration(*first_byte)),
        Fact::new("timeout between bytes", duration(*between_bytes)),
        Fact::new("timeout send", duration(*send)),
        Fact::new("timeout idle", duration(*idle)),
        Fact::new("request body at most", bytes(*request_body_bytes_max)),
        Fact::new("retries", retries_max.to_string()),
    ]
}

fn origins(policy: &Policy, steering: &Steering) -> String {
    let how = match steering {
        Steering::Nearest(_) => "nearest of",
        Steering::Weighted(_) => "by weight",
    };
    let origin = |weighted: &WeightedOrigin| {
        let WeightedOrigin { origin, weight } = weighted;
        let name = policy
            .origins
            .get(origin.0)
            .map_or("?", |origin| &origin.name);
        match weight {
            1 => name.to_owned(),
            weight => format!("{name} ×{weight}"),
        }
    };
    format!(
        "{how} {}",
        list(steering.origins().iter().map(origin), "none")
    )
}
