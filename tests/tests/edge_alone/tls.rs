//! HTTPS: certificates by SNI, HTTP/2, redirects to it.

use latencify_tests::{Authority, Client, Edge, Origin, Protocol, body, reply};
use std::{fs, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

fn two_sites(origin: &Origin) -> String {
    format!(
        r#"
version: 1
origins: {{app: {{url: "{}"}}}}
certificates:
  shop: {{chain: shop.pem, key: shop.key}}
  blog: {{chain: blog.pem, key: blog.key}}
sites:
  shop:
    hosts: [shop.example]
    certificate: shop
    routes:
      - {{match: {{https: false}}, redirect: https}}
      - {{origins: [app]}}
  blog:
    hosts: [blog.example, "*.blog.example"]
    certificate: blog
    routes: [{{origins: [app]}}]
  plain:
    hosts: [plain.example]
    routes: [{{origins: [app]}}]
"#,
        origin.url()
    )
}

async fn start(origin: &Origin, authority: &Authority) -> Edge {
    Edge::alone(&two_sites(origin))
        .certificate(authority, "shop", &["shop.example"])
        .certificate(authority, "blog", &["blog.example", "*.blog.example"])
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_site_shows_its_own_certificate() {
    let origin =
        Origin::serve(|call| async move { reply::text(call.header("host").to_owned()).done() })
            .await;
    let authority = Authority::new();
    let edge = start(&origin, &authority).await;
    let mut shown = Vec::new();
    for name in ["shop.example", "blog.example", "de.blog.example"] {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            // The client verifies the certificate against the name.
            let mut connection = Client::new()
                .connect_tls(edge.https(), name, &authority, protocol)
                .await
                .unwrap_or_else(|error| panic!("{name} {protocol:?}: {error:#}"));
            let request = Client::request("GET", name, "/")
                .body(body::empty())
                .unwrap();
            let reply = connection.send(request).await.unwrap();
            assert_eq!(
                (reply.status.as_u16(), reply.text()),
                (200, name),
                "{protocol:?}"
            );
            shown.push(connection.certificate.clone().unwrap());
        }
    }
    let [shop, _, blog, .., sub] = &shown[..] else {
        unreachable!()
    };
    assert!(shop != blog && blog == sub);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_without_a_certificate_gets_no_connection_and_no_other_site() {
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let authority = Authority::new();
    let edge = start(&origin, &authority).await;
    for name in ["unknown.example", "plain.example"] {
        let connected = Client::new()
            .connect_tls(edge.https(), name, &authority, Protocol::Http1)
            .await;
        assert!(connected.is_err(), "{name}");
    }
    // A site that has no certificate is not served over another's connection.
    let mut connection = Client::new()
        .connect_tls(edge.https(), "shop.example", &authority, Protocol::Http2)
        .await
        .unwrap();
    let request = Client::request("GET", "plain.example", "/")
        .body(body::empty())
        .unwrap();
    assert_eq!(connection.send(request).await.unwrap().status, 421);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_streams_do_not_wait_for_each_other() {
    let may_end = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&may_end);
    let origin = Origin::serve(move |call| {
        let held = Arc::clone(&held);
        async move {
            if call.path() == "/slow" {
                held.acquire().await.unwrap().forget();
            }
            reply::text(call.path().to_owned()).done()
        }
    })
    .await;
    let authority = Authority::new();
    let edge = start(&origin, &authority).await;
    let connection = Client::new()
        .connect_tls(edge.https(), "blog.example", &authority, Protocol::Http2)
        .await
        .unwrap();
    let get = |path: String| {
        let mut sender = connection.sender();
        async move {
            let request = Client::request("GET", "blog.example", &path).body(body::empty());
            let reply = sender.send(request.unwrap()).await.unwrap();
            assert_eq!((reply.status.as_u16(), reply.text()), (200, path.as_str()));
        }
    };
    let slow = get("/slow".to_owned());
    // The slow one ends after the others: would they wait for it, nothing would ever end.
    let quick = async {
        futures::future::join_all((0..100).map(|index| get(format!("/{index}")))).await;
        may_end.add_permits(1);
    };
    let both = futures::future::join(slow, quick);
    tokio::time::timeout(Duration::from_mins(1), both)
        .await
        .expect("nobody waits for the slow one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_requests_are_redirected_where_the_policy_says() {
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let authority = Authority::new();
    let edge = start(&origin, &authority).await;
    let reply = edge.get("shop.example", "/a%20b?x=1").await;
    assert!(matches!(reply.status.as_u16(), 301 | 308), "{reply:?}");
    assert_eq!(reply.header("location"), "https://shop.example/a%20b?x=1");
    assert_eq!(origin.requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_shown_after_a_reload() {
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let authority = Authority::new();
    let mut edge = start(&origin, &authority).await;
    let shown = async |edge: &Edge| {
        let name = "shop.example";
        let connected = Client::new()
            .connect_tls(edge.https(), name, &authority, Protocol::Http1)
            .await;
        connected.unwrap().certificate.clone().unwrap()
    };
    let old = shown(&edge).await;
    let folder = edge.folder().join("certificates");
    let renewed = authority.issue(&["shop.example"]);
    let beside = tempfile::tempdir().unwrap();
    let (chain, key) = renewed.write(beside.path(), "shop");
    // Key first: a half renewed pair is refused, and the old one stays.
    fs::copy(key, folder.join("shop.key")).unwrap();
    fs::copy(chain, folder.join("shop.pem")).unwrap();
    edge.process().signal("HUP");
    latencify_tests::wait_until(
        "the new certificate is shown",
        Duration::from_mins(1),
        async || {
            let now = shown(&edge).await;
            if now == renewed.der() {
                Ok(())
            } else {
                Err(if now == old { "the old" } else { "another" })
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_https_origin_is_verified_against_its_own_ca() {
    let authority = Authority::new();
    let identity = authority.issue(&["origin.example"]);
    let origin = Origin::serve_tls(&identity, |call| async move {
        reply::text(format!("{:?}", call.request.version())).done()
    })
    .await;
    let policy = |tls: &str| {
        format!(
            "version: 1\norigins: {{app: {{url: '{}', tls: {tls}}}}}\n\
             sites: {{main: {{hosts: ['*'], routes: [{{origins: [app]}}]}}}}\n",
            origin.url()
        )
    };
    let cases = [
        ("{sni: origin.example, ca: ca.pem}", 200),
        ("{sni: other.example, ca: ca.pem}", 502),
        ("{sni: origin.example}", 502),
        ("{insecure: true}", 200),
    ];
    for (tls, status) in cases {
        let options = Edge::alone(&policy(tls));
        fs::write(options.certificates().join("ca.pem"), authority.pem()).unwrap();
        let edge = options.start().await;
        let reply = edge.get("shop.example", "/").await;
        assert_eq!(reply.status, status, "{tls}: {reply:?}");
    }
}
