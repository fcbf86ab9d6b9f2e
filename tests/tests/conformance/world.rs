//! One edge and one origin, at which all cases of a table are run side by side.

use super::{
    case::{Case, Expected, Step},
    origin::{Asked, Scripted, filled},
};
use futures::StreamExt as _;
use http::HeaderMap;
use latencify_tests::{Authority, Client, Connection, Edge, Protocol, Reply, body};
use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

/// So many cases run at a time.
const AT_A_TIME: usize = 16;
/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// The sites of the policy, and what each says of its cache.
const SITES: &[(&str, &str)] = &[
    ("plain", "true"),
    (
        "heuristic",
        "{heuristic: {fraction: 0.5, max: 1d}, default_ttl: 1h}",
    ),
    ("cookies", "{set_cookie: store}"),
    ("surrogate", "{surrogate_control: true}"),
    ("ungrouped", "{groups: false}"),
    ("stripping", "{cdn_cache_control: strip}"),
    ("grace", "{grace: 1h}"),
    ("negative", "{ttl_by_status: {404: 1h, 5xx: 1m}}"),
    ("telling", "{cache_status: {key: true, detail: true}}"),
    ("silent", "{cache_status: {key: false, detail: false}}"),
    ("named", "{forward_headers: [x-named]}"),
    ("faceted", "{key: {device: true, country: true}}"),
    (
        "keyed",
        "{key: {query: {except: ['utm_*']}, sort_query: true, headers: [x-tenant], cookies: [edition]}}",
    ),
];

/// An edge with its origin.
pub struct World {
    edge: Edge,
    origin: Scripted,
    authority: Authority,
}

impl World {
    /// Starts both.
    pub async fn start() -> Self {
        let origin = Scripted::serve().await;
        let authority = Authority::new();
        let mut policy = format!(
            "version: 1\n\
             origins: {{app: {{url: '{}'}}}}\n\
             certificates: {{all: {{chain: all.pem, key: all.key}}}}\n\
             sites:\n",
            origin.url()
        );
        for (site, cache) in SITES {
            let _ = write!(
                policy,
                "  {site}:\n    hosts: [{site}.cache.example]\n    certificate: all\n    \
                 routes: [{{origins: [app], cache: {cache}}}]\n"
            );
        }
        let edge = Edge::alone(&policy)
            .certificate(&authority, "all", &["*.cache.example"])
            .start()
            .await;
        Self {
            edge,
            origin,
            authority,
        }
    }

    /// Runs every case over each of the protocols; fails with everything that was wrong.
    ///
    /// # Panics
    /// When something was.
    pub async fn check(&self, cases: Vec<Case>, protocols: &[Protocol]) {
        let mut paths = std::collections::HashSet::new();
        let mut runs = Vec::new();
        for protocol in protocols {
            for case in &cases {
                let mut path = format!("/{protocol:?}-{}", case.what);
                path.retain(|c| c.is_ascii_alphanumeric() || c == '-' || c == '/');
                assert!(paths.insert(path.clone()), "{case}: stands there twice");
                runs.push((*protocol, path, case.clone()));
            }
        }
        let count = runs.len();
        let wrong: Vec<String> = futures::stream::iter(runs)
            .map(async |(protocol, path, case)| {
                let found = Run {
                    world: self,
                    path,
                    host: format!("{}.cache.example", case.site),
                    connection: None,
                    protocol,
                };
                let wrong = found.run(&case).await.err()?;
                Some(format!("{protocol:?} {case}\n    {wrong}"))
            })
            .buffer_unordered(AT_A_TIME)
            .filter_map(async |wrong| wrong)
            .collect()
            .await;
        assert!(
            wrong.is_empty(),
            "{} of {count} cases do not hold:\n\n{}\n",
            wrong.len(),
            wrong.join("\n\n")
        );
    }
}

/// One case over one protocol.
struct Run<'w> {
    world: &'w World,
    path: String,
    host: String,
    protocol: Protocol,
    connection: Option<Connection>,
}

impl Run<'_> {
    async fn run(mut self, case: &Case) -> Result<(), String> {
        for (at, answers) in &case.answers {
            let path = format!("{}{at}", self.path);
            self.world.origin.script(path, answers.clone());
        }
        for (index, step) in case.steps.iter().enumerate() {
            let end = Instant::now() + PATIENCE;
            loop {
                let held = tokio::time::timeout(PATIENCE, self.step(step)).await;
                let held = held.unwrap_or_else(|_| Err("nothing comes".to_owned()));
                match held {
                    Ok(()) => break,
                    Err(_) if step.expected.eventually && Instant::now() < end => {
                        tokio::time::sleep(PAUSE).await;
                    }
                    Err(wrong) => {
                        let Step {
                            method, at, fields, ..
                        } = step;
                        return Err(format!(
                            "request {} ({method} {}{at} {fields:?}): {wrong}",
                            index + 1,
                            self.path
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let expected = &step.expected;
        let target = format!("{}{}", self.path, step.at);
        let path = target.split('?').next().unwrap_or_default().to_owned();
        let before = self.world.origin.asked(&path).len();
        let reply = self.ask(step, &target).await;
        if expected.breaks_off {
            // A body that is short enough is known to be broken before its head has gone out.
            return match reply {
                Err(_) => Ok(()),
                Ok(reply) if reply.status == 502 => Ok(()),
                Ok(reply) => Err(format!("did not break off: {}", shown(&reply))),
            };
        }
        let reply = reply.map_err(|error| format!("{error:#}"))?;
        let asked = self.world.origin.asked(&path);
        if let Some(wrong) = expected.wrong(&reply, &asked, before, step.method, &path) {
            return Err(format!(
                "{wrong}\n    it was {}\n    the origin was asked {} times for it: {:?}",
                shown(&reply),
                asked.len() - before,
                asked.get(before..)
            ));
        }
        if let Some(requests) = expected.until_asked {
            while self.world.origin.asked(&path).len() < requests {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    async fn ask(&mut self, step: &Step, target: &str) -> anyhow::Result<Reply> {
        let mut request = Client::request(step.method, &self.host, target);
        for (name, value) in &step.fields {
            request = request.header(name, filled(value, &self.path));
        }
        let content = if matches!(step.method, "POST" | "PUT" | "PATCH") {
            body::full("content")
        } else {
            body::empty()
        };
        let request = request.body(content)?;
        let client = Client::new();
        match self.protocol {
            Protocol::Http1 => client.send(self.world.edge.http(), request).await,
            Protocol::Http2 => {
                if self.connection.is_none() {
                    let World {
                        edge, authority, ..
                    } = self.world;
                    let connection = client
                        .connect_tls(edge.https(), &self.host, authority, Protocol::Http2)
                        .await?;
                    self.connection = Some(connection);
                }
                let connection = self.connection.as_mut().expect("it was just made");
                connection.send(request).await
            }
        }
    }
}

impl Expected {
    /// What is wrong with a reply, and with what the origin was asked.
    fn wrong(
        &self,
        reply: &Reply,
        asked: &[Asked],
        before: usize,
        method: &str,
        path: &str,
    ) -> Option<String> {
        let status = self.status.unwrap_or(200);
        if reply.status.as_u16() != status {
            return Some(format!("status {status} was expected"));
        }
        let own = self.answer.map(|number| format!("answer {number}"));
        let is_bodiless = method == "HEAD" || matches!(status, 204 | 304);
        let body = self.body.or(own.as_deref()).filter(|_| !is_bodiless);
        if let Some(body) = body.filter(|body| reply.body.as_ref() != body.as_bytes()) {
            return Some(format!("the body {body:?} was expected"));
        }
        let asks = asked.len() - before;
        if let Some(expected) = self.asks.filter(|expected| *expected != asks) {
            return Some(format!("{expected} requests to the origin were expected"));
        }
        if let Some(hit) = self.hit.filter(|hit| *hit != reply.is_hit()) {
            let a_hit = if hit { "a hit" } else { "no hit" };
            return Some(format!("{a_hit} was expected"));
        }
        if let Some(interim) = &self.interim {
            let came = reply.informational.iter();
            let came: Vec<_> = came.map(|(status, _)| status.as_u16()).collect();
            if came != *interim {
                return Some(format!("{interim:?} was expected first, not {came:?}"));
            }
        }
        let told = lines(&reply.headers, "cache-status");
        let told: Vec<_> = told.split(';').map(str::trim).collect();
        let begins = |part: &str| told.iter().any(|told| told.starts_with(part));
        if let Some(part) = self.tells.iter().find(|part| !begins(part)) {
            return Some(format!("Cache-Status was expected to tell {part:?}"));
        }
        if let Some(part) = self.tells_not.iter().find(|part| begins(part)) {
            return Some(format!("Cache-Status was not expected to tell {part:?}"));
        }
        for (name, value) in &self.has {
            let (value, there) = (filled(value, path), lines(&reply.headers, name));
            if !reply.headers.contains_key(name) || (value != "*" && value != there) {
                return Some(format!("{name}: {value} was expected"));
            }
        }
        if let Some(name) = (self.lacks.iter()).find(|name| reply.headers.contains_key(**name)) {
            return Some(format!("no {name} was expected"));
        }
        self.wrong_at_origin(asked.get(before..)?.last(), path)
    }

    fn wrong_at_origin(&self, asked: Option<&Asked>, path: &str) -> Option<String> {
        let nothing = self.origin_saw.is_empty()
            && self.origin_saw_no.is_empty()
            && self.origin_method.is_none();
        if nothing {
            return None;
        }
        let Some(asked) = asked else {
            return Some("a request to the origin was expected".to_owned());
        };
        let value = |name: &str| {
            let lines = asked.fields.iter().filter(|(known, _)| known == name);
            let values: Vec<_> = lines.map(|(_, value)| value.as_str()).collect();
            (!values.is_empty()).then(|| values.join(", "))
        };
        for (name, expected) in &self.origin_saw {
            let (expected, there) = (filled(expected, path), value(name));
            if there.is_none() || (expected != "*" && there.as_ref() != Some(&expected)) {
                return Some(format!("the origin was to see {name}: {expected}"));
            }
        }
        if let Some(name) = (self.origin_saw_no.iter()).find(|name| value(name).is_some()) {
            return Some(format!("the origin was not to see {name}"));
        }
        let method = self.origin_method.filter(|method| asked.method != **method);
        method.map(|method| format!("the origin was to be asked by {method}"))
    }
}

fn lines(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter();
    let values: Vec<_> = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    values.join(", ")
}

fn shown(reply: &Reply) -> String {
    let body = String::from_utf8_lossy(&reply.body);
    let body: String = body.chars().take(200).collect();
    format!("{} {:?} {body:?}", reply.status, reply.headers)
}
