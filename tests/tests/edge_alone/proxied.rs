//! Behind load balancers that begin each connection with a PROXY header.

use latencify_tests::{Authority, Client, Edge, EdgeOptions, Origin, reply, wait_until};
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// The load balancer's address. The client that it names is in Paris, by the places of these tests.
const BALANCER: &str = "127.0.0.7";
const V1: &[u8] = b"PROXY TCP4 127.10.0.9 127.0.0.1 4711 443\r\n";
const V1_IPV6: &[u8] = b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 443\r\n";
/// The same as [`V1`], with a TLV that is skipped.
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\x7f\x0a\0\x09\x7f\0\0\x01\x12\x67\x01\xbb\x04\0\x02ok";
/// The load balancer's own health check.
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

async fn origin() -> Origin {
    Origin::serve(|call| async move {
        reply::text(call.header("x-forwarded-for").to_owned())
            .no_store()
            .done()
    })
    .await
}

fn behind(origin: &Origin, authority: &Authority, limits: &str) -> EdgeOptions {
    let policy = format!(
        "version: 1\n\
         edge: {{proxy_protocol: {{from: ['{BALANCER}/32']}}, limits: {{{limits}}}}}\n\
         origins: {{app: {{url: '{}'}}}}\n\
         certificates: {{shop: {{chain: shop.pem, key: shop.key}}}}\n\
         sites: {{main: {{hosts: [shop.example], certificate: shop, routes: [\n\
           {{match: {{path: /private}}, access: {{allow: [127.10.0.0/16]}}, origins: [app]}},\n\
           {{match: {{path: /limited}}, rate_limits: [{{rate: 1/m, burst: 1, key: address}}], origins: [app]}},\n\
           {{origins: [app]}}]}}}}\n",
        origin.url()
    );
    Edge::alone(&policy).certificate(authority, "shop", &["shop.example"])
}

async fn dial(edge: &Edge, from: &str, header: &[u8]) -> TcpStream {
    let mut stream = Client::at(from).tcp(edge.http()).await.unwrap();
    stream.write_all(header).await.unwrap();
    stream
}

/// What comes back for a request, to the end of the connection.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n");
    // A connection that is closed at once may not take it.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("closed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_is_whom_the_header_names() {
    let (origin, authority) = (origin().await, Authority::new());
    let edge = behind(&origin, &authority, "").start().await;
    for (header, client) in [
        (V1, "127.10.0.9"),
        (V1_IPV6, "2001:db8::9"),
        (V2, "127.10.0.9"),
        (V2_LOCAL, BALANCER),
        (b"PROXY UNKNOWN\r\n", BALANCER),
    ] {
        let plain = ask(dial(&edge, BALANCER, header).await, "/who").await;
        assert!(plain.ends_with(&format!("\r\n\r\n{client}")), "{plain}");
        // However it is cut, and whatever comes with it in one piece.
        let mut stream = dial(&edge, BALANCER, b"").await;
        for octet in header {
            stream.write_all(&[*octet]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let cut = ask(stream, "/cut").await;
        assert!(cut.ends_with(&format!("\r\n\r\n{client}")), "{cut}");
        // Before TLS, over which HTTP/1.1 and HTTP/2 are spoken.
        for protocol in [&b"http/1.1"[..], b"h2"] {
            let mut stream = Client::at(BALANCER).tcp(edge.https()).await.unwrap();
            stream.write_all(header).await.unwrap();
            let tls = tokio_rustls::TlsConnector::from(authority.client(&[protocol]));
            let stream = tls
                .connect("shop.example".try_into().unwrap(), stream)
                .await
                .unwrap();
            let path = if protocol == b"h2" { "/h2" } else { "/h1" };
            let said = if protocol == b"h2" {
                over_http2(stream, path).await
            } else {
                ask(stream, path).await
            };
            assert!(said.ends_with(client), "{said}");
        }
    }
    let records = wait_until("all are recorded", Duration::from_mins(1), async || {
        let records = edge.access_log();
        if records.len() == 20 {
            Ok(records)
        } else {
            Err(records.len())
        }
    })
    .await;
    let paris = records
        .iter()
        .filter(|record| record["client"] == "127.10.0.9")
        .collect::<Vec<_>>();
    assert_eq!(paris.len(), 8, "{records:?}");
    assert!(
        paris.iter().all(|record| record["country"] == "FR"),
        "{paris:?}"
    );
    let read = edge
        .metric(r#"latencify_gateway_proxy_headers_total{outcome="received"}"#)
        .await;
    assert_eq!(
        read as u64, 20,
        "each is read before its request is answered"
    );
}

async fn over_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
) -> String {
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    let uri = format!("https://shop.example{path}");
    let request = http::Request::get(uri).body(()).unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut said = Vec::new();
    while let Some(data) = body.data().await {
        said.extend_from_slice(&data.unwrap());
    }
    String::from_utf8(said).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_limits_go_by_the_named_client() {
    let (origin, authority) = (origin().await, Authority::new());
    // As many as are asked for one after the other below, and a place that an ended one may still take.
    let edge = behind(&origin, &authority, "connections_per_address: 4")
        .start()
        .await;
    let named = |address: &str| format!("PROXY TCP4 {address} 127.0.0.1 1 2\r\n").into_bytes();
    let get = async |client: &str, path: &str| {
        let answer = ask(dial(&edge, BALANCER, &named(client)).await, path).await;
        status(&answer).to_owned()
    };
    assert_eq!(get("127.10.0.9", "/private").await, "200");
    assert_eq!(get("127.20.0.9", "/private").await, "403");
    assert_eq!(get("127.10.0.9", "/limited").await, "200");
    assert_eq!(get("127.10.0.9", "/limited").await, "429");
    assert_eq!(get("127.20.0.9", "/limited").await, "200");
    // Four connections of one client are all; the balancer has as many as it has clients.
    let mut held = Vec::new();
    for (client, connections) in [("192.0.2.1", 4), ("192.0.2.2", 4), ("192.0.2.3", 1)] {
        for _ in 0..connections {
            held.push(dial(&edge, BALANCER, &named(client)).await);
        }
    }
    wait_until(
        "the headers are read",
        Duration::from_mins(1),
        async || match edge
            .metric(r#"latencify_gateway_proxy_headers_total{outcome="received"}"#)
            .await as u64
        {
            14 => Ok(()),
            read => Err(read),
        },
    )
    .await;
    assert_eq!(get("192.0.2.1", "/").await, "closed");
    assert_eq!(get("192.0.2.3", "/").await, "200");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_is_believed() {
    let (origin, authority) = (origin().await, Authority::new());
    let edge = behind(&origin, &authority, "").start().await;
    for header in [V1, V2] {
        let answer = ask(dial(&edge, "127.0.0.8", header).await, "/").await;
        assert_eq!(status(&answer), "400", "{answer}");
        let mut stream = Client::at("127.0.0.8").tcp(edge.https()).await.unwrap();
        stream.write_all(header).await.unwrap();
        let tls = tokio_rustls::TlsConnector::from(authority.client(&[b"http/1.1"]));
        assert!(
            tls.connect("shop.example".try_into().unwrap(), stream)
                .await
                .is_err()
        );
    }
    let answer = ask(dial(&edge, "127.0.0.8", b"").await, "/private").await;
    assert_eq!(status(&answer), "403");
    assert_eq!(origin.requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_malformed_late_or_missing_ends_the_connection_and_is_counted() {
    let (origin, authority) = (origin().await, Authority::new());
    let edge = behind(&origin, &authority, "handshake_time: 3s")
        .start()
        .await;
    let altered = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13"[..],
        &V2[16..28],
        b"\x03\0\x04abcd",
    ]
    .concat();
    let cases: [(&[u8], &str); 9] = [
        (b"", "signature"),
        (b"PROXY TCP4 127.10.0.9 127.0.0.1 4711\r\n", "fields"),
        (b"PROXY UNKNOWN\nGET / HTTP/1.1\r\n", "line"),
        (b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0", "version"),
        (b"\r\n\r\n\0\r\nQUIT\n\x2f\x11\0\0", "command"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x91\0\0", "family"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x01", "length"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\x02\x04\0", "tlv"),
        (&altered, "checksum"),
    ];
    let counted = async |reason: &str| {
        let name = format!("latencify_gateway_proxy_headers_total{{outcome=\"{reason}\"}}");
        wait_until(&name, Duration::from_mins(1), async || {
            match edge.metric(&name).await as u64 {
                1 => Ok(()),
                count => Err(count),
            }
        })
        .await;
    };
    for (header, reason) in cases {
        let answer = ask(dial(&edge, BALANCER, header).await, "/").await;
        assert_eq!(answer, "", "{reason}");
        counted(reason).await;
    }
    // It says nothing, or not all of it, and is not waited for longer than for a handshake.
    let mut late = dial(&edge, BALANCER, b"PROXY TCP4").await;
    assert_eq!(late.read(&mut [0]).await.unwrap_or(0), 0);
    counted("late").await;
    assert_eq!(origin.requests(), 0);
}
