//! What is not cached passes through untouched: upgrades, event streams, gRPC, uploads, interim answers.

use bytes::Bytes;
use futures::{SinkExt, StreamExt, channel::mpsc};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use latencify_tests::{
    Authority, Client, Edge, Origin, Protocol, RawOrigin, body, policy::one_route, reply,
};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets() {
    let origin = Origin::serve(|call| async move {
        let accept = derive_accept_key(call.header("sec-websocket-key").as_bytes());
        tokio::spawn(async move {
            let stream = hyper::upgrade::on(call.request).await.unwrap();
            let socket =
                WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
            let (send, receive) = socket.split();
            let _ = receive.forward(send).await;
        });
        reply::status(101)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-accept", accept)
            .done()
    })
    .await;
    // On a route that caches: the upgrade must not be taken for something to store. What is said then is no body.
    let edge = Edge::alone(&one_route(
        &origin.url(),
        "cache: true, limits: {request_body: 1KiB}",
    ))
    .start()
    .await;
    let stream = Client::new().tcp(edge.http()).await.unwrap();
    let (mut socket, response) = client_async("ws://shop.example/chat", stream)
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    for text in ["one", "two", &"three ".repeat(50_000)] {
        socket.send(Message::text(text)).await.unwrap();
        let echo = socket.next().await.unwrap();
        let echo = echo.unwrap_or_else(|error| panic!("after {} octets: {error}", text.len()));
        assert_eq!(echo, Message::text(text));
    }
    socket.close(None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_sent_events_come_one_by_one() {
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let events = std::sync::Arc::new(parking_lot::Mutex::new(Some(receiver)));
    let origin = Origin::serve(move |_| {
        let events = events.lock().take().unwrap();
        async move {
            reply::of(body::streamed(events.map(Ok)))
                .header("content-type", "text/event-stream")
                .header("cache-control", "no-cache")
                .done()
        }
    })
    .await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .start()
        .await;
    let mut connection = Client::new().connect(edge.http()).await.unwrap();
    let request = Client::request("GET", "shop.example", "/events")
        .body(body::empty())
        .unwrap();
    let mut sender = sender;
    sender.send("data: first\n\n".into()).await.unwrap();
    let mut response = connection.stream(request).await.unwrap();
    // Each event is read before the next one exists.
    for next in ["data: second\n\n", "data: third\n\n", ""] {
        let frame = response
            .body_mut()
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap();
        assert!(frame.starts_with(b"data: "), "{frame:?}");
        if next.is_empty() {
            sender.close_channel();
        } else {
            sender.send(next.into()).await.unwrap();
        }
    }
    assert!(response.body_mut().frame().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_with_its_trailers() {
    let origin = Origin::serve(|call| async move {
        assert_eq!(call.header("te"), "trailers");
        let asked = call.request.into_body().collect().await.unwrap().to_bytes();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        reply::of(body::with_trailers([asked], trailers))
            .header("content-type", "application/grpc")
            .done()
    })
    .await;
    let url = origin.url().replace("http://", "h2c://");
    let policy = one_route(&url, "cache: true")
        .replace("hosts: [\"*\"]", "hosts: [\"*\"]\n    certificate: main")
        + "certificates: {main: {chain: main.pem, key: main.key}}\n";
    let authority = Authority::new();
    let edge = Edge::alone(&policy)
        .certificate(&authority, "main", &["grpc.example"])
        .start()
        .await;
    let mut connection = Client::new()
        .connect_tls(edge.https(), "grpc.example", &authority, Protocol::Http2)
        .await
        .unwrap();
    let request = Client::request("POST", "grpc.example", "/package.Service/Method")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body::full(vec![0, 0, 0, 0, 3, 1, 2, 3]))
        .unwrap();
    let reply = connection.send(request).await.unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.body.as_ref(), [0, 0, 0, 0, 3, 1, 2, 3]);
    assert_eq!(reply.trailers["grpc-status"], "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_hints() {
    let origin = RawOrigin::serve(|mut stream| async move {
        RawOrigin::head(&mut stream).await?;
        stream
            .write_all(
                b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n\
                  HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: no-store\r\n\r\nok",
            )
            .await
    })
    .await;
    let edge = Edge::alone(&one_route(&origin.url(), "")).start().await;
    let reply = edge.get("shop.example", "/").await;
    assert_eq!((reply.status.as_u16(), reply.text()), (200, "ok"));
    let hints: Vec<_> = reply
        .informational
        .iter()
        .map(|(status, _)| status.as_u16())
        .collect();
    assert_eq!(hints, [103]);
    assert_eq!(
        reply.informational[0].1["link"],
        "</style.css>; rel=preload"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_a_gibibyte() {
    const LENGTH: u64 = 1 << 30;
    let origin = Origin::serve(|call| async move {
        let mut body = call.request.into_body();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.unwrap().into_data() {
                length += data.len() as u64;
            }
        }
        reply::text(length.to_string()).done()
    })
    .await;
    let mut edge = Edge::alone(&one_route(&origin.url(), "limits: {request_body: 1GiB}"))
        .start()
        .await;
    let request = Client::request("PUT", "shop.example", "/upload")
        .header("content-length", LENGTH)
        .body(body::repeated(b'u', LENGTH))
        .unwrap();
    let reply = Client::new().send(edge.http(), request).await.unwrap();
    assert_eq!(
        (reply.status.as_u16(), reply.text()),
        (200, LENGTH.to_string().as_str())
    );
    // It was streamed: the edge never held a large part of it.
    let status = std::fs::read_to_string(format!("/proc/{}/status", edge.process().pid())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kib < 400 * 1024, "the edge held {peak_kib} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_body_over_the_limit_is_refused() {
    let origin = Origin::serve(|call| async move {
        let _ = call.request.into_body().collect().await;
        reply::text("taken").done()
    })
    .await;
    let edge = Edge::alone(&one_route(&origin.url(), "limits: {request_body: 1KiB}"))
        .start()
        .await;
    for (length, status) in [(1024, 200), (1025, 413)] {
        let request = Client::request("POST", "shop.example", "/")
            .body(body::full(vec![b'x'; length]))
            .unwrap();
        let reply = Client::new().send(edge.http(), request).await.unwrap();
        assert_eq!(reply.status, status, "{length} bytes: {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_rewrites_and_hop_headers_reach_the_origin_as_they_should() {
    let origin = Origin::serve(|_| async { reply::text("ok").header("x-origin", 1).done() }).await;
    let route = "match: {path: /app/**}, rewrite: {prefix: {from: /app, to: /}}, \
                 request_headers: {set: {x-set: edge}, remove: [x-remove]}, \
                 response_headers: {add: {x-added: yes}, remove: [x-origin]}";
    let edge = Edge::alone(&one_route(&origin.url(), route)).start().await;
    let request = Client::request("GET", "shop.example", "/app/page?q=1")
        .header("x-set", "client")
        .header("x-remove", "me")
        .header("connection", "x-hop")
        .header("x-hop", "by hop")
        .body(body::empty())
        .unwrap();
    let reply = Client::at("127.10.0.7")
        .send(edge.http(), request)
        .await
        .unwrap();
    assert_eq!(
        (reply.header("x-added"), reply.header("x-origin")),
        ("yes", "")
    );
    let seen = &origin.seen()[0];
    assert_eq!(seen.uri.to_string(), "/page?q=1");
    assert_eq!(seen.headers["x-set"], "edge");
    assert_eq!(seen.headers["host"], "shop.example");
    assert!(!seen.headers.contains_key("x-remove"), "{seen:?}");
    assert!(!seen.headers.contains_key("x-hop"), "{seen:?}");
    assert!(
        seen.headers["x-forwarded-for"]
            .to_str()
            .unwrap()
            .contains("127.10.0.7"),
        "{seen:?}"
    );
    assert!(
        seen.headers.contains_key("via") && seen.headers.contains_key("cdn-loop"),
        "{seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_for_one_connection_alone_end_here() {
    let origin = Origin::serve(|_| async {
        reply::text("ok")
            .max_age(60)
            .header("connection", "x-origin-hop")
            .header("x-origin-hop", 1)
            .header("keep-alive", "timeout=7")
            .header("proxy-connection", "keep-alive")
            .header("proxy-authenticate", "Basic")
            .header("upgrade", "h2c")
            .header("x-end", 1)
            .done()
    })
    .await;
    let edge = Edge::alone(&one_route(
        &origin.url(),
        "cache: {forward_headers: [x-end]}",
    ))
    .start()
    .await;
    let request = || {
        Client::request("GET", "shop.example", "/")
            .header("connection", "x-hop, upgrade, x-forwarded-for")
            .header("x-hop", "1")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "keep-alive")
            .header("proxy-authorization", "Basic eDp5")
            .header("te", "gzip")
            .header("upgrade", "h2c")
            .header("x-end", "1")
            .body(body::empty())
            .unwrap()
    };
    // The first answer comes from the origin, the second from the cache.
    for hit in [false, true] {
        let reply = Client::new().send(edge.http(), request()).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.is_hit()), (200, hit));
        assert_eq!(reply.header("x-end"), "1");
        let gone = "x-origin-hop keep-alive proxy-connection proxy-authenticate upgrade";
        for name in gone.split(' ') {
            assert_eq!(reply.header(name), "", "{name} {reply:?}");
        }
        assert!(!reply.header("connection").contains("hop"), "{reply:?}");
    }
    let seen = &origin.seen()[0];
    assert_eq!(seen.headers["x-end"], "1");
    assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1");
    let gone = "connection x-hop keep-alive proxy-connection proxy-authorization te upgrade";
    for name in gone.split(' ') {
        assert!(!seen.headers.contains_key(name), "{name} {seen:?}");
    }
}

/// The key sees what the origin sees: else a client could have the default stored under another client's key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_named_by_connection_is_not_in_the_key_either() {
    let origin = Origin::serve(|call| async move {
        let language = call.header("x-language").to_owned();
        reply::text(language).max_age(60).done()
    })
    .await;
    let route = "cache: {key: {headers: [x-language]}}";
    let edge = Edge::alone(&one_route(&origin.url(), route)).start().await;
    let ask = async |connection: &str| {
        let request = Client::request("GET", "shop.example", "/")
            .header("connection", connection)
            .header("x-language", "fr")
            .body(body::empty())
            .unwrap();
        let reply = Client::new().send(edge.http(), request).await.unwrap();
        reply.text().to_owned()
    };
    assert_eq!(ask("x-language").await, "");
    assert_eq!(ask("keep-alive").await, "fr");
}
