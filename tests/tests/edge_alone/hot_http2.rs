//! Hot hits over HTTP/2: what is answered before Pingora is answered as Pingora would. As over HTTP/1 ([`crate::hot`]), the
//! same request with a range in a unit that nobody knows shows what the long way answers.

use crate::hot::{
    EDITING_ROUTE, HOT_ANSWERS, ROUTE, SOON, TELLING_ROUTE, kinds, nothing_is_under_way, records,
    told,
};
use http::{HeaderName, StatusCode};
use latencify_tests::{
    Authority, Client, Connection, Edge, Origin, Protocol, Reply, body,
    frames::{self, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, frame},
    policy::one_route,
    wait_until,
};
use std::time::Duration;

const HOST: &str = "shop.example";
const LONG_WAY: (&str, &str) = ("range", "acts=1-2");
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// An edge with that route, in front of that origin, over TLS.
async fn edge(origin: &Origin, route: &str) -> (Edge, Authority) {
    let authority = Authority::new();
    let policy = one_route(&origin.url(), route)
        .replace(
            "origins:\n",
            "certificates: {main: {chain: main.pem, key: main.key}}\norigins:\n",
        )
        .replace("hosts: [\"*\"]", "hosts: [\"*\"]\n    certificate: main");
    let edge = Edge::alone(&policy)
        .certificate(&authority, "main", &[HOST])
        .start()
        .await;
    (edge, authority)
}

async fn connect(edge: &Edge, authority: &Authority) -> Connection {
    Client::new()
        .connect_tls(edge.https(), HOST, authority, Protocol::Http2)
        .await
        .unwrap()
}

async fn ask(
    connection: &mut Connection,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> Reply {
    let mut request = Client::request(method, HOST, path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(body::empty()).unwrap();
    connection.send(request).await.unwrap()
}

/// All that came, in its order, without what differs between two requests: their ids, ages, times and counts.
fn alike(reply: &Reply) -> (StatusCode, Vec<(HeaderName, String)>, Vec<u8>) {
    let fields = reply.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let value = match name.as_str() {
            // Pingora writes the time of sending.
            "x-request-id" | "date" => String::new(),
            "age" | "cache-status" | "ratelimit" => value.replace(|c: char| c.is_ascii_digit(), ""),
            _ => value,
        };
        (name.clone(), value)
    });
    (reply.status, fields.collect(), reply.body.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_answer_alike_over_http_2() {
    for route in [ROUTE, EDITING_ROUTE, TELLING_ROUTE] {
        answer_alike(route).await;
    }
}

async fn answer_alike(route: &str) {
    let origin = kinds().await;
    let (edge, authority) = edge(&origin, route).await;
    let paths = [
        "/hello",
        "/empty",
        "/gone",
        "/no-content",
        "/moved",
        "/large",
        "/middling",
        "/validators",
        "/tags",
        "/lines",
        "/vary",
        "/old",
        "/told",
        "/hello?q=1",
        "/a%7Eb/../hello",
    ];
    let requests: &[(&str, &[(&str, &str)])] = &[
        ("GET", &[]),
        ("HEAD", &[]),
        ("GET", &[("te", "trailers")]),
        ("GET", &[("if-none-match", "\"v\"")]),
        ("HEAD", &[("if-none-match", "W/\"v\"")]),
        ("GET", &[("if-none-match", "\"other\"")]),
        (
            "GET",
            &[("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")],
        ),
        ("GET", &[("cache-control", "max-stale")]),
        ("GET", &[("cache-control", "only-if-cached")]),
        ("GET", &[("accept-language", "de")]),
        (
            "GET",
            &[
                ("via", "1.1 somebody"),
                ("cookie", "a=b"),
                ("cookie", "c=d"),
            ],
        ),
    ];
    let mut connection = connect(&edge, &authority).await;
    for path in paths {
        ask(&mut connection, "GET", path, &[]).await;
        ask(&mut connection, "GET", path, &[("accept-language", "de")]).await;
    }
    let before = edge.metric(HOT_ANSWERS).await as usize;
    for path in paths {
        for (method, fields) in requests {
            let hot = ask(&mut connection, method, path, fields).await;
            let long = [*fields, &[LONG_WAY]].concat();
            let long = ask(&mut connection, method, path, &long).await;
            let what = format!("{method} {path} {fields:?}");
            let told = hot.headers.get_all("cache-status").iter();
            let told: Vec<_> = told.map(|line| line.to_str().unwrap()).collect();
            assert!(
                told.iter().any(|line| line.contains("; hit")),
                "{what}: {hot:?}"
            );
            assert_eq!(alike(&hot), alike(&long), "{what}");
        }
    }
    let answers = edge.metric(HOT_ANSWERS).await as usize - before;
    assert_eq!(answers, paths.len() * requests.len(), "one of two each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_are_limited_counted_and_told_of_alike_over_http_2() {
    let origin = kinds().await;
    let route = "name: all, cache: true, rate_limits: [{name: each, key: address, rate: 5/d}]";
    let (edge, authority) = edge(&origin, route).await;
    let fields: &[(&str, &str)] = &[("user-agent", "u"), ("referer", "r")];
    let long = [fields, &[LONG_WAY]].concat();
    let mut connection = connect(&edge, &authority).await;
    for (left, fields) in [
        (4, fields),
        (3, fields),
        (2, &*long),
        (1, fields),
        (0, fields),
    ] {
        let reply = ask(&mut connection, "GET", "/hello?q=1", fields).await;
        let limit = reply.header("ratelimit");
        assert!(limit.contains(&format!("r={left}")), "{reply:?}");
    }
    let refused = ask(&mut connection, "GET", "/hello?q=1", fields).await;
    assert_eq!(refused.status, 429);

    let records = records(&edge, 6).await;
    assert_eq!(
        told(&records[1]),
        told(&records[2]),
        "a hot hit, and the long way"
    );
    assert_eq!(told(&records[1]), told(&records[3]));
    assert_eq!(records[1]["protocol"], "HTTP/2");
    assert_eq!(records[1]["bytes_out"], 5);
    assert_eq!(records[5]["error"], "rate_limited");
    assert_eq!(edge.metric(HOT_ANSWERS).await as u32, 3);
    let counted = r#"latencify_gateway_requests_total{cache="hit",route="all",site="main",status_class="2xx"}"#;
    assert_eq!(edge.metric(counted).await as u32, 4);
    nothing_is_under_way(&edge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_holds_on_streams_of_open_connections() {
    let origin = kinds().await;
    let (edge, authority) = edge(&origin, "cache: true").await;
    let mut connection = connect(&edge, &authority).await;
    for round in 0..5 {
        let fetched = ask(&mut connection, "GET", "/hello", &[]).await;
        assert!(!fetched.is_hit(), "{round}: {fetched:?}");
        let stored = ask(&mut connection, "GET", "/hello", &[]).await;
        assert!(stored.is_hit(), "{round}: {stored:?}");
        let purged = ask(&mut connection, "PURGE", "/hello", &[]).await;
        assert_eq!(purged.status, 200, "{round}");
    }
    assert_eq!(edge.metric(HOT_ANSWERS).await as u32, 5);
}

/// What is answered ahead of Pingora is answered before a reset behind it is read.
fn get_the_long_way(stream: u32) -> Vec<u8> {
    let (name, value) = LONG_WAY;
    let mut block = frames::block(2, HOST, "/hello");
    block.push(0);
    for text in [name, value] {
        block.push(u8::try_from(text.len()).unwrap());
        block.extend(text.as_bytes());
    }
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// Whoever gives up at once has asked for something stored all the same: the origin hears nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_gone_is_not_fetched_for() {
    let origin = kinds().await;
    let (edge, authority) = edge(&origin, "cache: true").await;
    ask(&mut connect(&edge, &authority).await, "GET", "/hello", &[]).await;
    let trust = authority.client(&[b"h2"]);
    let raw = async || {
        frames::Raw::connect(edge.https(), trust.clone(), HOST, "127.0.0.1", &[])
            .await
            .unwrap()
    };
    let mut resetting = raw().await;
    // One that stays ends each round: the library takes only so many that go before anybody has looked.
    for round in 0..20 {
        let stream = |number: u32| (round * 6 + number) * 2 + 1;
        let mut asking = Vec::new();
        for number in 0..5 {
            asking.extend(get_the_long_way(stream(number)));
            asking.extend(frame(RST_STREAM, 0, stream(number), &CANCEL));
        }
        asking.extend(frames::get(stream(5), HOST, "/hello"));
        resetting.send(&asking).await.unwrap();
        resetting.reader.wait_for(HEADERS, stream(5)).await;
    }
    for _ in 0..20 {
        let mut leaving = raw().await;
        leaving.send(&get_the_long_way(1)).await.unwrap();
    }
    wait_until("all are over", SOON, async || {
        let under_way = edge.metric("latencify_gateway_requests_under_way").await;
        let open = edge.metric("latencify_gateway_connections_open").await;
        if under_way == 0.0 && open <= 1.0 {
            Ok(())
        } else {
            Err(format!("{under_way} requests, {open} connections"))
        }
    })
    .await;
    let log = wait_until("whoever asked has a record", SOON, async || {
        let log = edge.access_log();
        let asked = log
            .iter()
            .filter(|record| record["path"] == "/hello")
            .count();
        if asked > 120 { Ok(log) } else { Err(asked) }
    })
    .await;
    let fetched: Vec<_> = log
        .iter()
        .filter(|record| record["attempts"] != 0)
        .collect();
    assert_eq!(
        (fetched.len(), origin.requests_for("/hello")),
        (1, 1),
        "{fetched:?}"
    );
    let reset = log
        .iter()
        .filter(|record| record["error"] == "client_reset");
    assert_eq!(reset.count(), 100, "{log:?}");
}

/// A body that comes slower than the windows open goes on where it stood.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_wait_for_windows_and_come_whole() {
    let origin = kinds().await;
    let (edge, authority) = edge(&origin, "cache: true").await;
    let mut connection = connect(&edge, &authority).await;
    let expected = ask(&mut connection, "GET", "/large", &[]).await.body;
    assert_eq!(expected.len(), 1 << 20);
    let asking = (0..8).map(|_| {
        let mut sender = connection.sender();
        async move { ask(&mut sender, "GET", "/large", &[]).await }
    });
    let asked = tokio::time::timeout(Duration::from_mins(1), futures::future::join_all(asking));
    for reply in asked.await.expect("all come") {
        assert!(
            reply.is_hit() && reply.body == expected,
            "{:?}",
            reply.headers
        );
    }
    assert_eq!(edge.metric(HOT_ANSWERS).await as u32, 8);
}
