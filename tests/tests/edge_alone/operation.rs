//! Signals, drain, the access log, metrics.

use latencify_tests::{
    Client, Edge, Origin, body, cache_folder, policy::one_route, reply, skip, wait_until,
};
use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

const SOON: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_ends_as_soon_as_the_last_request_does() {
    let origin = Origin::serve(|_| async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        reply::text("at last").done()
    })
    .await;
    // So long a drain may last: who waits for that and not for the request does not end in this test's time.
    let mut edge = Edge::alone(&one_route(&origin.url(), ""))
        .flag("--drain-timeout", "10m")
        .start()
        .await;
    let http = edge.http();
    let under_way = tokio::spawn(async move { Client::new().get(http, "shop.example", "/").await });
    wait_until("the origin has the request", SOON, async || {
        if origin.requests() == 1 {
            Ok(())
        } else {
            Err("not yet")
        }
    })
    .await;
    edge.process().signal("TERM");
    let reply = under_way.await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.text()), (200, "at last"));
    let status = edge.process().ended(SOON).await;
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_records_say_what_happened_and_the_file_is_reopened() {
    let origin = Origin::serve(|_| async { reply::text("hello").max_age(60).done() }).await;
    let mut edge = Edge::alone(&one_route(&origin.url(), "cache: true, name: all"))
        .start()
        .await;
    for _ in 0..2 {
        Client::at("127.10.0.5")
            .get(edge.http(), "shop.example", "/a?x=1")
            .await;
    }
    let records = wait_until("two records", SOON, async || {
        let mut records = edge.access_log();
        // Records are left when a request has ended, which its client may notice before; ids are in order of arrival.
        records.sort_by_key(|record| record["request_id"].to_string());
        if records.len() == 2 {
            Ok(records)
        } else {
            Err(format!("{records:?}"))
        }
    })
    .await;
    for (record, cache) in records.iter().zip(["miss", "hit"]) {
        let expected = serde_json::json!({
            "client": "127.10.0.5", "country": "FR", "site": "main", "route": "all",
            "method": "GET", "scheme": "http", "host": "shop.example", "path": "/a",
            "query": "x=1", "protocol": "HTTP/1.1", "status": 200, "bytes_out": 5, "cache": cache,
        });
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&record[field], value, "{field} of {record}");
        }
    }

    let log = edge.folder().join("access.log");
    fs::rename(&log, edge.folder().join("access.log.1")).unwrap();
    edge.process().signal("HUP");
    wait_until("records go to the new file", SOON, async || {
        edge.get("shop.example", "/a").await;
        if edge.access_log().is_empty() {
            Err("no record")
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_is_who_the_trusted_hop_says() {
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let edge = Edge::alone(&one_route(&origin.url(), "")).start().await;
    // 127.0.0.9 is trusted by the policy, 127.0.0.8 is not.
    let cases = [
        ("127.0.0.9", "127.20.0.1", "127.20.0.1"),
        ("127.0.0.9", "127.30.0.1, 127.20.0.1", "127.20.0.1"),
        ("127.0.0.9", "not an address", "127.0.0.9"),
        ("127.0.0.8", "127.20.0.1", "127.0.0.8"),
    ];
    for (index, (peer, said, client)) in cases.into_iter().enumerate() {
        let request = Client::request("GET", "shop.example", "/")
            .header("x-forwarded-for", said)
            .body(body::empty())
            .unwrap();
        Client::at(peer).send(edge.http(), request).await.unwrap();
        let record = wait_until("the record", SOON, async || {
            edge.access_log().into_iter().nth(index).ok_or("no record")
        })
        .await;
        assert_eq!(record["client"], client, "{peer} says {said}: {record}");
    }
}

/// What a trusted hop says in the policy's header goes on; the other header, and strangers' claims, don't.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn origins_learn_of_the_client_as_it_was_found() {
    const HOP: &str = "127.0.0.9";
    const STRANGER: &str = "127.0.0.8";
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    // (header, peer, X-Forwarded-For and Forwarded at the origin)
    let cases = [
        ("x-forwarded-for", HOP, "127.20.0.1, 127.0.0.9", None),
        ("x-forwarded-for", STRANGER, "127.0.0.8", None),
        (
            "forwarded",
            HOP,
            "127.30.0.1, 127.0.0.9",
            Some("for=127.30.0.1"),
        ),
        ("forwarded", STRANGER, "127.0.0.8", None),
    ];
    for (header, peer, list, forwarded) in cases {
        let hops = format!("{{client_address_header: {header}, trusted_hops:");
        let policy = one_route(&origin.url(), "").replace("{trusted_hops:", &hops);
        let edge = Edge::alone(&policy).start().await;
        let request = Client::request("GET", "shop.example", "/")
            .header("x-forwarded-for", "203.0.113.9, 127.20.0.1")
            .header("forwarded", "for=127.30.0.1")
            .body(body::empty())
            .unwrap();
        let reply = Client::at(peer).send(edge.http(), request).await.unwrap();
        assert_eq!(reply.status, 200);
        let seen = origin.seen().pop().unwrap();
        let told = |name: &str| seen.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(told("x-forwarded-for"), Some(list), "{header} {peer}");
        assert_eq!(told("forwarded"), forwarded, "{header} {peer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ipv6_is_served() {
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let edge = Edge::alone(&one_route(&origin.url(), ""))
        .ipv6()
        .start()
        .await;
    assert_eq!(
        Client::at("::1")
            .get(edge.http6(), "shop.example", "/")
            .await
            .text(),
        "ok"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_readiness() {
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let edge = Edge::alone(&one_route(&origin.url(), "")).start().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            Client::new().get(edge.admin(), "admin", path).await.status,
            200,
            "{path}"
        );
    }
    // The private pages are not on the public address.
    let public = edge.get("shop.example", "/metrics").await;
    assert_eq!(public.text(), "ok");
}

/// Families of every source of numbers: requests, origins, cache, marks, places.
const FAMILIES: [&str; 26] = [
    "requests_total",
    "request_duration_seconds",
    "first_byte_seconds",
    "request_body_bytes_total",
    "response_body_bytes_total",
    "requests_under_way",
    "origin_attempts_total",
    "origin_first_byte_seconds",
    "origin_healthy",
    "origin_addresses",
    "origin_usable_addresses",
    "origin_resolve_failures_total",
    "origin_connect_failures_total",
    "origin_response_failures_total",
    "origin_ejections_total",
    "origin_checks_good_total",
    "origin_checks_failed_total",
    "cache_objects",
    "cache_bytes",
    "cache_stored_total",
    "cache_evicted_total",
    "cache_refused_total",
    "marks",
    "geoip_failures_total",
    "policy_reloads_total",
    "policy_revision",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_as_prometheus_wants_them() {
    let origin = Origin::serve(|_| async { reply::text("ok").max_age(60).done() }).await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .start()
        .await;
    for path in ["/a", "/a", "/b"] {
        edge.get("shop.example", path).await;
    }
    let metrics = edge.metrics().await;
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("latencify_"), "{line}");
    }
    for family in FAMILIES {
        let told = format!("# TYPE latencify_gateway_{family} ");
        assert_eq!(metrics.matches(&told).count(), 1, "{family}\n{metrics}");
    }
    let Some(promtool) = promtool() else {
        skip!("no promtool here: deploy/setup tools")
    };
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(metrics.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.is_empty(),
        "{said}\n{metrics}"
    );
}

fn promtool() -> Option<std::path::PathBuf> {
    let mut folders: Vec<_> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    folders.push(cache_folder().join("bin"));
    folders
        .into_iter()
        .map(|folder| folder.join("promtool"))
        .find(|path| path.is_file())
}
