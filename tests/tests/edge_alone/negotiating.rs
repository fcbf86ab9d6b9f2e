//! Conditional, range and HEAD requests (RFC 9110 §9.3.2, §13, §14): from the store, first of all, and for what is
//! never stored.

use latencify_tests::{Call, Client, Edge, Origin, Reply, body, policy::one_route, reply};

const CACHED: &str = "cache: true";

async fn edge(origin: &Origin, route: &str) -> Edge {
    Edge::alone(&one_route(&origin.url(), route)).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditional_requests_are_answered_from_the_store() {
    let origin = Origin::serve(|_| async {
        reply::text("hello")
            .max_age(60)
            .header("etag", "\"v1\"")
            .header("last-modified", "Sat, 01 Nov 2025 00:00:00 GMT")
            .done()
    })
    .await;
    let edge = edge(&origin, CACHED).await;
    edge.get("shop.example", "/a").await;

    let cases = [
        ("if-none-match", "\"v1\"", 304),
        ("if-none-match", "\"other\", W/\"v1\"", 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"v2\"", 200),
        ("if-modified-since", "Sat, 01 Nov 2025 00:00:00 GMT", 304),
        ("if-modified-since", "Fri, 31 Oct 2025 00:00:00 GMT", 200),
    ];
    for (name, value, status) in cases {
        let request = Client::request("GET", "shop.example", "/a").header(name, value);
        let reply = Client::new()
            .send(edge.http(), request.body(body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(reply.status, status, "{name}: {value}");
        assert_eq!(
            reply.text(),
            if status == 304 { "" } else { "hello" },
            "{name}: {value}"
        );
        assert_eq!(reply.header("etag"), "\"v1\"", "{name}: {value}");
    }
    assert_eq!(origin.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_are_cut_from_the_store() {
    let origin = Origin::serve(|_| async {
        reply::text("0123456789")
            .max_age(60)
            .header("etag", "\"v1\"")
            .done()
    })
    .await;
    let edge = edge(&origin, CACHED).await;
    edge.get("shop.example", "/a").await;

    let cases = [
        ("bytes=0-3", None, 206, "0123", "bytes 0-3/10"),
        ("bytes=4-", None, 206, "456789", "bytes 4-9/10"),
        ("bytes=-3", None, 206, "789", "bytes 7-9/10"),
        ("bytes=8-99", None, 206, "89", "bytes 8-9/10"),
        ("bytes=0-3", Some("\"v1\""), 206, "0123", "bytes 0-3/10"),
        ("bytes=0-3", Some("\"v2\""), 200, "0123456789", ""),
        ("lines=1-2", None, 200, "0123456789", ""),
    ];
    for (range, if_range, status, text, content_range) in cases {
        let mut request = Client::request("GET", "shop.example", "/a").header("range", range);
        if let Some(tag) = if_range {
            request = request.header("if-range", tag);
        }
        let reply = Client::new()
            .send(edge.http(), request.body(body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(
            (
                reply.status.as_u16(),
                reply.text(),
                reply.header("content-range")
            ),
            (status, text, content_range),
            "{range} {if_range:?}"
        );
    }
    let beyond = Client::request("GET", "shop.example", "/a").header("range", "bytes=10-");
    let beyond = Client::new()
        .send(edge.http(), beyond.body(body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(
        (beyond.status.as_u16(), beyond.header("content-range")),
        (416, "bytes */10")
    );
    assert_eq!(origin.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_is_answered_from_a_stored_get() {
    let origin = Origin::serve(|_| async { reply::text("0123456789").max_age(60).done() }).await;
    let edge = edge(&origin, CACHED).await;
    edge.get("shop.example", "/a").await;
    let request = Client::request("HEAD", "shop.example", "/a")
        .body(body::empty())
        .unwrap();
    let reply = Client::new().send(edge.http(), request).await.unwrap();
    assert_eq!(
        (reply.status.as_u16(), reply.header("content-length")),
        (200, "10")
    );
    assert!(reply.is_hit() && reply.body.is_empty(), "{reply:?}");
    assert_eq!(origin.requests(), 1);
}

/// An origin that knows conditions and ranges: `/stored/…` may be stored, anything else may not.
async fn knowing() -> Origin {
    Origin::serve(|call| async move { know(&call) }).await
}

fn know(call: &Call) -> http::Response<body::Body> {
    let answer = match (call.header("if-none-match"), call.header("range")) {
        ("\"v1\"", _) => reply::status(304),
        (_, "bytes=2-4") => reply::text("234")
            .status(206)
            .header("content-range", "bytes 2-4/10"),
        (_, "bytes=10-") => reply::status(416).header("content-range", "bytes */10"),
        _ => reply::text("0123456789"),
    };
    let answer = answer.header("etag", "\"v1\"");
    if call.path().starts_with("/stored/") {
        answer.max_age(60).done()
    } else {
        answer.no_store().done()
    }
}

async fn ask(edge: &Edge, method: &str, path: &str, header: Option<(&str, &str)>) -> Reply {
    let mut request = Client::request(method, "shop.example", path);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    Client::new()
        .send(edge.http(), request.body(body::empty()).unwrap())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_request_and_one_for_what_is_not_stored_are_answered_as_from_the_store() {
    let origin = knowing().await;
    let edge = edge(&origin, CACHED).await;
    let cases = [
        ("GET", Some(("if-none-match", "\"v1\"")), 304, "", ""),
        (
            "GET",
            Some(("if-none-match", "\"v2\"")),
            200,
            "0123456789",
            "",
        ),
        (
            "GET",
            Some(("range", "bytes=2-4")),
            206,
            "234",
            "bytes 2-4/10",
        ),
        ("GET", Some(("range", "bytes=10-")), 416, "", "bytes */10"),
        ("HEAD", None, 200, "", ""),
        ("HEAD", Some(("if-none-match", "\"v1\"")), 304, "", ""),
    ];
    for (index, (method, header, status, text, range)) in cases.into_iter().enumerate() {
        for folder in ["stored", "not-stored"] {
            let path = format!("/{folder}/{index}");
            // The second time, what may be stored is there unless nobody has asked for its body.
            for time in ["first", "second"] {
                let what = format!("{method} {path} {header:?}, the {time} time");
                let reply = ask(&edge, method, &path, header).await;
                assert_eq!(reply.status, status, "{what}: {reply:?}");
                if status != 416 {
                    assert_eq!(reply.text(), text, "{what}: {reply:?}");
                    assert_eq!(reply.header("etag"), "\"v1\"", "{what}: {reply:?}");
                }
                assert_eq!(reply.header("content-range"), range, "{what}: {reply:?}");
                if (method, status) == ("HEAD", 200) {
                    assert_eq!(reply.header("content-length"), "10", "{what}: {reply:?}");
                }
                assert!(folder == "stored" || !reply.is_hit(), "{what}: {reply:?}");
            }
            // Whoever asks for all of it afterwards gets all of it.
            let whole = ask(&edge, "GET", &path, None).await;
            assert_eq!(
                (whole.status.as_u16(), whole.text()),
                (200, "0123456789"),
                "{path}: {whole:?}"
            );
        }
    }
}
