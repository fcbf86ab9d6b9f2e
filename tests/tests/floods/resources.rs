//! What the edge needs and has not: origins that answer, names, memory, disk, descriptors. It says so, goes on with what
//! it can do without, and recovers by itself.

use crate::{
    attacked::{HOST, SOON, counted},
    connections::{exhaust, set_descriptors},
};
use futures::future::join_all;
use latencify_tests::{
    Client, Connection, Dns, Edge, Origin, RawOrigin, Reply, body, policy::one_route, reply,
    wait_until,
};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Requests of one client that may be at origins.
const FETCHES: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_accepts_and_never_answers_is_given_up_and_left_out() {
    let (held, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counting = (held.clone(), asked.clone());
    let silent = RawOrigin::serve(move |mut stream| {
        let (held, asked) = counting.clone();
        async move {
            held.fetch_add(1, Ordering::SeqCst);
            if RawOrigin::head(&mut stream).await.is_ok() {
                asked.fetch_add(1, Ordering::SeqCst);
            }
            // Until the edge closes.
            let ended = RawOrigin::head(&mut stream).await;
            held.fetch_sub(1, Ordering::SeqCst);
            ended.map(drop)
        }
    })
    .await;
    let good = Origin::serve(|_| async { reply::text("good").no_store().done() }).await;
    let edge = Edge::alone(&format!(
        "version: 1\nedge: {{limits: {{fetches_per_address: {FETCHES}}}}}\n\
         origins: {{silent: {{url: '{}'}}, good: {{url: '{}'}}}}\nsites:\n\
         \x20 stuck: {{hosts: [stuck.example], routes: [{{origins: [silent], cache: true, timeouts: {{first_byte: 1s}}}}]}}\n\
         \x20 other: {{hosts: [other.example], routes: [{{origins: [good]}}]}}\n\
         \x20 both: {{hosts: [both.example], routes: [{{origins: [silent, good], timeouts: {{first_byte: 1s}}}}]}}\n",
        silent.url(),
        good.url()
    ))
    .start()
    .await;
    assert_eq!(edge.get("other.example", "/").await.status, 200);
    let before = edge.resident_bytes();
    let edge = &edge;
    let others = async {
        for _ in 0..50 {
            assert_eq!(edge.get("other.example", "/").await.status, 200);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let stuck = stuck_requests(edge, 300);
    let (answers, ()) = tokio::join!(stuck, others);
    let (waited, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 504);
    for (answers, status, told) in [
        (&waited, 504, "origin_timeout"),
        (&refused, 503, "fetches_per_address"),
    ] {
        for answer in answers {
            assert_eq!(answer.status, status, "{}", answer.text());
            assert!(answer.text().contains(told), "{}", answer.text());
        }
    }
    // A place that is given back after a second may be taken again, so that more than the bound may have waited, one after
    // the other; but never all of them.
    assert!(waited.len() >= FETCHES, "{} waited", waited.len());
    assert!(!refused.is_empty(), "the bound holds nobody back");
    // The origin may read a head later than the edge gives up on it.
    wait_until(
        "the origin was asked for those alone",
        SOON,
        async || match asked.load(Ordering::SeqCst) {
            heard if heard == waited.len() => Ok(()),
            heard => Err(format!("{heard} heard, {} waited", waited.len())),
        },
    )
    .await;
    let told = "latencify_gateway_fetches_refused_total{reason=\"fetches_per_address\"}";
    counted(edge, told, refused.len() as f64).await;
    let grown = edge.resident_bytes().saturating_sub(before);
    assert!(grown < 48 << 20, "grown by {} KiB", grown >> 10);
    counted(
        edge,
        "latencify_gateway_origin_ejections_total{origin=\"silent\"}",
        1.0,
    )
    .await;
    // Left out where there is another.
    assert_eq!(edge.get("both.example", "/").await.text(), "good");
    wait_until(
        "its connections are given back",
        SOON,
        async || match held.load(Ordering::SeqCst) {
            0 => Ok(()),
            held => Err(format!("{held} are held")),
        },
    )
    .await;
    wait_until("no request is under way", SOON, async || {
        match edge.metric("latencify_gateway_requests_under_way").await {
            0.0 => Ok(()),
            some => Err(format!("{some}")),
        }
    })
    .await;
}

async fn stuck_requests(edge: &Edge, count: usize) -> Vec<Reply> {
    let client = Client::at("127.10.0.1");
    let requests = (0..count).map(|number| async move {
        let path = format!("/{number}");
        client.get(edge.http(), "stuck.example", &path).await
    });
    join_all(requests).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_dns_known_addresses_go_on_and_new_names_are_told() {
    let origin = Origin::serve(|_| async { reply::text("here").no_store().done() }).await;
    let dns = Dns::start().await;
    for name in ["known.test", "new.test"] {
        dns.set(name, &["127.0.0.1"], 1);
    }
    let policy = |name: &str| {
        one_route(
            &format!("http://{name}:{}", origin.address().port()),
            "timeouts: {connect: 2s}",
        )
    };
    let edge = Edge::alone(&policy("known.test"))
        .flag("--dns", &dns.address().to_string())
        .start()
        .await;
    // The name may be resolved only after the listeners are up.
    wait_until("the name is found", SOON, async || {
        let reply = edge.get(HOST, "/").await;
        if reply.text() == "here" {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;
    dns.silence(true);
    counted(
        &edge,
        "latencify_gateway_origin_resolve_failures_total{origin=\"app\"}",
        1.0,
    )
    .await;
    // The TTL of one second is long over.
    assert_eq!(edge.get(HOST, "/").await.text(), "here");
    assert!(
        edge.metric("latencify_gateway_origin_addresses{origin=\"app\"}")
            .await
            >= 1.0
    );

    edge.write_policy(&policy("new.test"));
    let refused = wait_until("the new name is asked for", SOON, async || {
        let reply = edge.get(HOST, "/").await;
        if reply.status == 200 {
            Err("the old one")
        } else {
            Ok(reply)
        }
    })
    .await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("no_origin"), "{}", refused.text());

    dns.silence(false);
    wait_until("the new name is found", SOON, async || {
        let reply = edge.get(HOST, "/").await;
        if reply.status == 200 {
            Ok(())
        } else {
            Err(format!("{}", reply.status))
        }
    })
    .await;
}

/// So many bodies at a time that the cache has no room for all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_without_room_lets_bodies_pass() {
    const LENGTH: usize = 1 << 20;
    let origin = Origin::serve(|_| async {
        let parts = vec![vec![b'x'; LENGTH / 8]; 8];
        reply::of(body::slow(parts, Duration::from_millis(100)))
            .header("content-length", LENGTH)
            .max_age(600)
            .done()
    })
    .await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .flag("--cache-memory", "4MiB")
        .start()
        .await;
    let client = Client::at("127.10.0.1");
    let requests = (0..30).map(|number| {
        let http = edge.http();
        async move { client.get(http, HOST, &format!("/{number}")).await }
    });
    for reply in join_all(requests).await {
        assert_eq!((reply.status.as_u16(), reply.body.len()), (200, LENGTH));
    }
    counted(
        &edge,
        "latencify_gateway_cache_refused_total{reason=\"no_room\"}",
        1.0,
    )
    .await;
    // What is asked for afterwards is stored again.
    for _ in 0..2 {
        assert_eq!(edge.get(HOST, "/after").await.body.len(), LENGTH);
    }
    assert!(edge.get(HOST, "/after").await.is_hit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_records_and_no_request() {
    let origin = Origin::serve(|_| async { reply::text("hello").max_age(600).done() }).await;
    let options = Edge::alone(&one_route(&origin.url(), "cache: true"));
    let log = options.certificates().parent().unwrap().join("access.log");
    std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    let mut edge = options.start().await;
    let mut connection = Client::new().connect(edge.http()).await.unwrap();
    // More than the writer's buffer holds.
    for number in 0..1_500 {
        let request = Client::request("GET", HOST, "/")
            .body(body::empty())
            .unwrap();
        let reply = connection.send(request).await.unwrap();
        assert_eq!(reply.status, 200, "request {number}");
    }
    counted(&edge, "latencify_gateway_access_log_dropped_total", 1.0).await;
    edge.process().says("records are being lost").await;
    let said = edge.process().said();
    assert_eq!(said.matches("records are being lost").count(), 1, "{said}");

    fs::remove_file(&log).unwrap();
    edge.signal("HUP");
    wait_until("records are written again", SOON, async || {
        edge.get(HOST, "/again").await;
        if edge.access_log().is_empty() {
            Err("none yet")
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_for_origins_stored_answers_go_on() {
    let origin = Origin::serve(|call| async move {
        let answer = reply::text("hello").header("connection", "close");
        if call.path() == "/fresh" {
            answer.no_store().done()
        } else {
            answer.max_age(600).done()
        }
    })
    .await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .start()
        .await;
    for path in ["/", "/stored", "/fresh"] {
        assert_eq!(edge.get(HOST, path).await.status, 200);
    }
    let mut first = Client::new().connect(edge.http()).await.unwrap();
    let mut second = Client::new().connect(edge.http()).await.unwrap();
    for connection in [&mut first, &mut second] {
        assert_eq!(ask(connection, "/stored").await.status, 200);
    }
    let _rest = exhaust(&edge).await;
    let refused = ask(&mut first, "/fresh").await;
    assert_eq!(refused.status, 502, "{}", refused.text());
    assert!(
        refused.text().contains("origin_unreachable"),
        "{}",
        refused.text()
    );
    assert!(ask(&mut second, "/stored").await.is_hit());
    set_descriptors(&edge, 20_000);
    // The origin is not to blame.
    let attempts =
        "latencify_gateway_origin_attempts_total{origin=\"app\",outcome=\"no_descriptor\"}";
    counted(&edge, attempts, 1.0).await;
    let blamed = "latencify_gateway_origin_connect_failures_total{origin=\"app\"}";
    assert!(edge.metric(blamed).await < 1.0);
    assert_eq!(edge.get(HOST, "/fresh").await.status, 200);
}

async fn ask(connection: &mut Connection, path: &str) -> Reply {
    let request = Client::request("GET", HOST, path)
        .body(body::empty())
        .unwrap();
    connection.send(request).await.unwrap()
}
