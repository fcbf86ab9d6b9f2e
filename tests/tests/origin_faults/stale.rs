//! What is stale and may be served while the origin fails (RFC 5861 §4) is, whatever the origin does, until it is well again.

use super::{
    faults::{self, Fault},
    origin::{
        Act::{self, Close, Reset, Say},
        WELL,
    },
    world::{PATIENT, World},
};
use futures::future::join_all;
use latencify_tests::{Protocol, Reply};

const BURST: usize = 10;
const OLD: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60, stale-if-error=3600\r\nAge: 100\r\n\
                   Content-Length: 3\r\nConnection: close\r\n\r\nold";
const DOWN: [&str; 4] = [
    "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndown",
    "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndown",
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndown",
    "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndown",
];

/// Faults after which nothing stale can answer.
const ANSWERED: [&str; 2] = [
    // The client has had interim answers to what it asked.
    "endless-interim-answers",
    // What is stored is taken for the answer that the origin speaks of.
    "a-304-that-nobody-asked-for",
];

fn old() -> Vec<Act> {
    vec![Say(OLD), Close]
}

/// A burst of errors, of one kind after the other.
fn burst() -> impl Iterator<Item = Vec<Act>> {
    DOWN.iter()
        .cycle()
        .take(BURST)
        .map(|down| vec![Say(down), Close])
}

async fn ask(world: &World, protocol: Protocol, path: &str) -> Reply {
    world.ask(protocol, path).await.whole(path)
}

#[track_caller]
fn is_stale(reply: &Reply, path: &str) {
    let told = reply.header("cache-status");
    let is_told = reply.is_hit() && told.contains("ttl=-") && told.contains("detail=stale");
    let is_it = reply.status == 200 && reply.text() == "old" && is_told;
    assert!(is_it, "{path}: {reply:?}");
}

/// The origin is asked again, and what it says now is stored.
async fn is_well_again(world: &World, protocol: Protocol, path: &str) {
    let new = ask(world, protocol, path).await;
    assert!(new.text() == WELL && !new.is_hit(), "{path}: {new:?}");
    let kept = ask(world, protocol, path).await;
    assert!(kept.text() == WELL && kept.is_hit(), "{path}: {kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_whose_head_fails_is_stood_in_for() {
    let world = World::new(PATIENT).await;
    let faults = faults::of_heads().into_iter();
    for fault in faults.filter(|fault| !ANSWERED.contains(&fault.name)) {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let path = format!("/kept/{protocol:?}/{}", fault.name);
            world.origin.plays(&path, [old(), fault.acts.clone()]);
            assert_eq!(ask(&world, protocol, &path).await.text(), "old");
            let stale = ask(&world, protocol, &path).await;
            is_stale(&stale, &path);
            let record = world.record(stale.header("x-request-id")).await;
            assert_eq!(record["cache"], "stale", "{path}: {record}");
            let decisions = record["decisions"].as_array().unwrap();
            let steps: Vec<_> = decisions.iter().filter_map(|step| step.as_str()).collect();
            assert!(steps.contains(&"cache:stale_if_error"), "{path}: {record}");
            assert!(record["error"].is_null(), "{path}: {record}");
            is_well_again(&world, protocol, &path).await;
            assert_eq!(world.origin.asked(&path), 3, "{path}");
        }
    }
}

/// A new body that breaks off takes nothing away: what is stored stays, and stands in for the origin the next time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_body_that_breaks_off_does_not_take_the_old_one_away() {
    let world = World::new(PATIENT).await;
    for Fault { name, acts, .. } in faults::of_bodies() {
        let (protocol, path) = (Protocol::Http1, format!("/kept/{name}"));
        world.origin.plays(&path, [old(), acts, vec![Reset]]);
        assert_eq!(ask(&world, protocol, &path).await.text(), "old");
        let cut = world.ask(protocol, &path).await;
        assert!(
            matches!(cut, super::world::Seen::Cut { .. }),
            "{path}: {cut:?}"
        );
        is_stale(&ask(&world, protocol, &path).await, &path);
        is_well_again(&world, protocol, &path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_errors_is_stood_in_for_to_its_end() {
    let world = World::new(PATIENT).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let path = format!("/kept/{protocol:?}/burst");
        world
            .origin
            .plays(&path, [old()].into_iter().chain(burst()));
        assert_eq!(ask(&world, protocol, &path).await.text(), "old");
        for _ in 0..BURST {
            is_stale(&ask(&world, protocol, &path).await, &path);
        }
        assert_eq!(world.origin.asked(&path), 1 + BURST, "{path}");
        is_well_again(&world, protocol, &path).await;
    }
    let failed = "latencify_gateway_origin_attempts_total{origin=\"app\",outcome=\"response_5xx\"}";
    assert_eq!(world.edge.metric(failed).await as usize, 2 * BURST);
}

/// Side by side, too: they wait for one attempt at most, and all get what is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_stood_in_for() {
    let world = World::new(PATIENT).await;
    let path = "/kept/many";
    let always = (0..1_000).map(|_| vec![Reset]);
    world.origin.plays(path, [old()].into_iter().chain(always));
    assert_eq!(ask(&world, Protocol::Http1, path).await.text(), "old");
    for reply in join_all((0..20).map(|_| ask(&world, Protocol::Http1, path))).await {
        is_stale(&reply, path);
    }
}

/// Where nothing is stored, an error is what the origin says, is not stored, and ends with the burst.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_errors_passes_where_nothing_stands_in_and_is_not_stored() {
    let world = World::new(PATIENT).await;
    for route in ["kept", "passed"] {
        let (protocol, path) = (Protocol::Http1, format!("/{route}/burst"));
        world.origin.plays(&path, burst());
        for status in [500, 502, 503, 504].into_iter().cycle().take(BURST) {
            let reply = ask(&world, protocol, &path).await;
            let is_it = reply.status == status && reply.text() == "down" && !reply.is_hit();
            assert!(is_it, "{path}: {reply:?}");
            let record = world.record(reply.header("x-request-id")).await;
            assert_eq!(record["origin_status"], status, "{record}");
            assert!(record["error"].is_null(), "{record}");
        }
        if route == "kept" {
            is_well_again(&world, protocol, &path).await;
        } else {
            assert_eq!(ask(&world, protocol, &path).await.text(), WELL);
        }
    }
}
