//! Active checks, against real servers.

use super::*;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};
use parking_lot::Mutex;
use std::fs;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// An HTTP server that gives every request this answer; what was asked is kept.
async fn http_server(
    answer: Arc<Mutex<&'static str>>,
    asked: Arc<Mutex<Vec<String>>>,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (answer, asked) = (*answer.lock(), asked.clone());
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap_or(0);
                asked
                    .lock()
                    .push(String::from_utf8_lossy(&request[..length]).into_owned());
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn active_checks_take_an_origin_out_and_bring_it_back() {
    const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let answer = Arc::new(Mutex::new(GOOD));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let address = http_server(answer.clone(), asked.clone()).await;
    let checked = Origin {
        health: Some(rule()),
        ..origin("a", &format!("http://{address}"))
    };
    let network = Network::new(None);
    let origins = build([checked], None);
    origins.start(&network, &Handle::current());
    origins.start(&network, &Handle::current());
    until("good checks", || origins.snapshot()[0].checks_good > 0).await;
    let request = asked.lock()[0].clone();
    assert!(
        request.starts_with("GET /healthz?deep=1 HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request
            .to_ascii_lowercase()
            .contains(&format!("host: {address}\r\n")),
        "{request}"
    );

    for bad in [
        "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 301 Away\r\ncontent-length: 0\r\n\r\n",
        "nonsense\r\n\r\n",
        "",
    ] {
        *answer.lock() = bad;
        until(bad, || origins.health(FIRST) == Health::Unhealthy).await;
        *answer.lock() = GOOD;
        until("healthy again", || origins.health(FIRST) == Health::Healthy).await;
    }
    drop(origins);
    until("the checks end with the policy", || {
        Arc::strong_count(&network) == 1
    })
    .await;
}

#[tokio::test]
async fn coming_back_by_checks_forgives_failed_requests() {
    let answer = Arc::new(Mutex::new(""));
    let address = http_server(answer.clone(), Arc::default()).await;
    let origins = build(
        [Origin {
            health: Some(rule()),
            ..origin("a", &format!("http://{address}"))
        }],
        None,
    );
    origins.start(&Network::new(None), &Handle::current());
    for _ in 0..EJECT_AFTER_FAILURES {
        origins.report(FIRST, Outcome::NoResponse);
    }
    until("unhealthy", || origins.health(FIRST) == Health::Unhealthy).await;
    *answer.lock() = "HTTP/1.1 204 Fine\r\n\r\n";
    until("healthy", || origins.health(FIRST) == Health::Healthy).await;
}

#[tokio::test]
async fn certificates_are_verified_by_name_and_ca() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let (cert, key, ca) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
        folder.path().join("ca.pem"),
    );
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    fs::write(&ca, made.cert.pem()).unwrap();
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor
        .set_private_key_file(key, SslFiletype::PEM)
        .unwrap();
    acceptor.set_certificate_chain_file(cert).unwrap();
    let acceptor = acceptor.build();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        while let Ok((stream, _)) = listener.accept() {
            if let Ok(mut tls) = acceptor.accept(stream) {
                let _ = tls.read(&mut [0; 4096]);
                let _ = tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                let _ = tls.shutdown();
            }
        }
    });
    // (sni, CA file, verify, good)
    let cases = [
        (Some("a.example"), true, true, true),
        (Some("b.example"), true, true, false),
        (Some("a.example"), false, true, false),
        (Some("b.example"), false, false, true),
        (None, false, false, true),
    ];
    let network = Network::new(None);
    for (sni, with_ca, verify, good) in cases {
        let mut origin = Origin {
            health: Some(rule()),
            ..origin("a", &format!("https://127.0.0.1:{port}"))
        };
        origin.tls = TlsToOrigin {
            client: None,
            sni: sni.map(str::to_owned),
            ca: with_ca.then(|| "ca.pem".into()),
            verify,
        };
        let origins =
            Origins::build(&policy([origin]), folder.path(), &Secrets::default(), None).unwrap();
        origins.start(&network, &Handle::current());
        let checks = || {
            let state = origins.snapshot().remove(0);
            (state.checks_good > 0, state.checks_failed > 0)
        };
        until("a check", || checks() != (false, false)).await;
        assert_eq!(checks(), (good, !good), "{sni:?} {with_ca} {verify}");
    }
}

#[tokio::test]
async fn http2_without_tls_is_checked_over_http2() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    // A gRPC server speaks nothing but HTTP/2, and answers 200 to whatever it does not know.
    let routes = tonic::service::Routes::default();
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_routes(routes)
            .serve_with_incoming(incoming),
    );
    let network = Network::new(None);
    for (scheme, good) in [("h2c", true), ("http", false)] {
        let origin = Origin {
            health: Some(rule()),
            ..origin("a", &format!("{scheme}://{address}"))
        };
        let origins = build([origin], None);
        origins.start(&network, &Handle::current());
        let state = || origins.snapshot().remove(0);
        until("a check", || {
            state().checks_good + state().checks_failed > 0
        })
        .await;
        assert_eq!(state().checks_good > 0, good, "{scheme}");
    }
}
