//! What a client gets of each fault, over both protocols, on routes that cache and on routes that pass; what the record and the
//! counters say; and what the next clients get, when the origin is well again.

use super::{
    faults::{self, Fault, Then},
    origin::WELL,
    world::{PATIENT, Seen, World},
};
use futures::StreamExt as _;
use latencify_tests::{Protocol, Reply};
use serde_json::Value;

/// So many run at a time.
const AT_A_TIME: usize = 8;
/// Longer than a busy machine takes between two steps that follow one another, so that only silence meets it.
const IMPATIENT: &str = "first_byte: 5s, between_bytes: 5s";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_none_is_a_502_and_leaves_nothing_behind() {
    check(&World::new(PATIENT).await, faults::of_heads()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_is_cut_and_leaves_nothing_behind() {
    check(&World::new(PATIENT).await, faults::of_bodies()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_falls_silent_is_waited_for_no_longer_than_it_may() {
    check(&World::new(IMPATIENT).await, faults::of_silence()).await;
}

/// Each of the limits is the shorter one in turn: then it is not Pingora that keeps it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_limit_on_silence_holds_by_itself() {
    let (of_heads, of_bodies) = faults::of_silence()
        .into_iter()
        .partition(|fault| fault.then == Then::Late);
    for (timeouts, silence) in [
        ("first_byte: 5s, between_bytes: 10m", of_heads),
        ("first_byte: 10m, between_bytes: 5s", of_bodies),
    ] {
        check(&World::new(timeouts).await, silence).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn octets_behind_an_answer_are_nobodys() {
    check(&World::new(PATIENT).await, faults::of_nobodys_octets()).await;
}

/// Runs all of them; fails with everything that was wrong.
async fn check(world: &World, faults: Vec<Fault>) {
    let mut runs = Vec::new();
    let mut expected = Expected::default();
    for fault in faults {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            for route in ["kept", "passed"] {
                expected.counts(&fault, route);
                let path = format!("/{route}/{protocol:?}/{}", fault.name);
                runs.push((protocol, path, fault.clone()));
            }
        }
    }
    let count = runs.len();
    let wrong: Vec<String> = futures::stream::iter(runs)
        .map(async |(protocol, path, fault)| {
            let wrong = run(world, protocol, &path, &fault).await.err()?;
            Some(format!("{path}: {wrong}"))
        })
        .buffer_unordered(AT_A_TIME)
        .filter_map(async |wrong| wrong)
        .collect()
        .await;
    let faults = wrong.len();
    let wrong = wrong.join("\n\n");
    assert!(
        wrong.is_empty(),
        "{faults} of {count} do not hold:\n\n{wrong}\n"
    );
    expected.check(world).await;
}

async fn run(world: &World, protocol: Protocol, path: &str, fault: &Fault) -> Result<(), String> {
    let keeps = path.starts_with("/kept/");
    world.origin.plays(path, [fault.acts.clone()]);
    let first = world.ask(protocol, path).await;
    let id = fault.then.holds(&first, keeps)?;
    let record = world.record(&id).await;
    fault.then.is_told(&record, keeps)?;
    if let Then::Good(body) = fault.then {
        if keeps {
            let again = world.ask(protocol, path).await.whole(path);
            is_answer(&again, body, true)?;
        }
        return Ok(());
    }
    // The origin is well again, and of what went before nothing is left.
    let next = world.ask(protocol, path).await.whole(path);
    is_answer(&next, WELL, false)?;
    let last = world.ask(protocol, path).await.whole(path);
    is_answer(&last, WELL, keeps)?;
    let (asked, asks) = (world.origin.asked(path), if keeps { 2 } else { 3 });
    (asked == asks)
        .then_some(())
        .ok_or_else(|| format!("the origin was asked {asked} times, not {asks}"))
}

fn is_answer(reply: &Reply, body: &str, hit: bool) -> Result<(), String> {
    let is_it = reply.status == 200 && reply.text() == body && reply.is_hit() == hit;
    is_it
        .then_some(())
        .ok_or_else(|| format!("{body:?} was expected, hit {hit}: {reply:?}"))
}

impl Then {
    /// Whether that is what the client got; the request's id.
    fn holds(self, seen: &Seen, keeps: bool) -> Result<String, String> {
        let (status, kind) = match (self, seen) {
            (Self::Cut | Self::CutLate, Seen::Cut { id, body }) => {
                let is_part = "1234567890".starts_with(&*String::from_utf8_lossy(body));
                return is_part
                    .then(|| id.clone())
                    .ok_or_else(|| format!("what came was not the origin's: {seen:?}"));
            }
            (Self::Good(body), Seen::Whole(reply)) => {
                is_answer(reply, body, false)?;
                return Ok(reply.header("x-request-id").to_owned());
            }
            (Self::Failed, Seen::Whole(_)) => (502, "origin_failed"),
            (Self::Late, Seen::Whole(_)) => (504, "origin_timeout"),
            _ => return Err(format!("{self:?} was expected: {seen:?}")),
        };
        let Seen::Whole(reply) = seen else {
            return Err(format!("{seen:?}"));
        };
        if reply.status != status || reply.header("content-type") != "application/problem+json" {
            return Err(format!("a document with {status} was expected: {reply:?}"));
        }
        let problem: Value = reply.json();
        let told = reply.header("cache-status");
        let forward = if keeps {
            "; fwd=uri-miss"
        } else {
            "; fwd=bypass"
        };
        let is_told = told.contains(forward) && told.contains(&format!("; detail={kind}"));
        (problem["type"] == format!("/problems/{kind}") && is_told)
            .then(|| reply.header("x-request-id").to_owned())
            .ok_or_else(|| format!("{kind} was expected, told so: {reply:?} {problem}"))
    }

    /// Whether the record says so.
    fn is_told(self, record: &Value, keeps: bool) -> Result<(), String> {
        let (status, error) = match self {
            Self::Failed => (502, Some("origin_failed")),
            Self::Late => (504, Some("origin_timeout")),
            Self::Cut => (200, Some("origin_failed")),
            Self::CutLate => (200, Some("origin_timeout")),
            Self::Good(_) => (200, None),
        };
        let cache = match (status, keeps) {
            (200, true) => "miss",
            _ => "none",
        };
        let is_right = record["status"] == status
            && record["error"].as_str() == error
            && record["error_detail"].is_string() == error.is_some()
            && record["origin"] == "app"
            && (record["attempts"] == 1 || matches!(self, Self::Good(_)))
            && record["cache"] == cache;
        is_right.then_some(()).ok_or_else(|| {
            format!("{status}, {error:?}, cache {cache} was expected of the record: {record}")
        })
    }
}

/// What the counters must say in the end.
#[derive(Default)]
struct Expected {
    failed: u32,
    late: u32,
    stored: u32,
}

impl Expected {
    fn counts(&mut self, fault: &Fault, route: &str) {
        match fault.then {
            Then::Failed | Then::Cut => self.failed += 1,
            Then::Late | Then::CutLate => self.late += 1,
            Then::Good(_) => {}
        }
        // Either the answer, or that of the origin when it is well again.
        self.stored += u32::from(route == "kept");
    }

    async fn check(&self, world: &World) {
        for (metric, expected) in [
            (
                "latencify_gateway_faults_total{fault=\"origin_failed\"}",
                self.failed,
            ),
            (
                "latencify_gateway_faults_total{fault=\"origin_timeout\"}",
                self.late,
            ),
            ("latencify_gateway_cache_stored_total", self.stored),
            ("latencify_gateway_cache_objects", self.stored),
        ] {
            let counted = world.edge.metric(metric).await as u32;
            assert_eq!(
                counted,
                expected,
                "{metric}\n{}",
                world.edge.metrics().await
            );
        }
    }
}
