//! Origins across policies, and against real listeners and a real DNS server on loopback.

use super::*;
use latencify_conf::{
    digest::Digest,
    policy::{EdgeRules, HealthCheck, Origin, Scheme, StatusSet, TlsToOrigin},
};
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};
use parking_lot::Mutex;
use std::{fs, net::Ipv4Addr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
};

const DEADLINE: Duration = Duration::from_secs(10);

/// An origin by `scheme://host:port`.
pub(super) fn origin(name: &str, url: &str) -> Origin {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (host, port) = rest.rsplit_once(':').unwrap();
    Origin {
        name: name.into(),
        scheme: match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => Scheme::H2c,
        },
        host: host.into(),
        port: port.parse().unwrap(),
        place: None,
        weight: 1,
        host_header: None,
        tls: TlsToOrigin {
            sni: None,
            ca: None,
            verify: true,
        },
        health: None,
    }
}

fn rule() -> HealthCheck {
    HealthCheck {
        path: "/healthz?deep=1".into(),
        interval: Duration::from_millis(10),
        timeout: Duration::from_secs(5),
        healthy_after: 2,
        unhealthy_after: 2,
        expect: StatusSet(vec![200..=299]),
    }
}

fn policy(origins: impl IntoIterator<Item = Origin>) -> Policy {
    Policy {
        digest: Digest::default(),
        edge: EdgeRules::default(),
        sites: Vec::new(),
        origins: origins.into_iter().map(Arc::new).collect(),
        certificates: Vec::new(),
    }
}

fn build(origins: impl IntoIterator<Item = Origin>, previous: Option<&Origins>) -> Origins {
    Origins::build(&policy(origins), Path::new("/nowhere"), previous).unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let poll = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(DEADLINE, poll).await.is_ok(),
        "in vain: {what}"
    );
}

const FIRST: OriginId = OriginId(0);

#[test]
fn what_did_not_change_is_the_same_object_and_the_rest_keeps_what_still_holds() {
    let old = build(
        [
            origin("a", "http://127.0.0.1:1"),
            origin("b", "http://127.0.0.1:2"),
        ],
        None,
    );
    for _ in 0..EJECT_AFTER_FAILURES {
        old.report(FIRST, Outcome::NoResponse);
        old.report(OriginId(1), Outcome::NoResponse);
    }
    let heavier = Origin {
        weight: 7,
        ..origin("a", "http://127.0.0.1:1")
    };
    let moved = origin("b", "http://127.0.0.1:3");
    let new = build(
        [moved, heavier, origin("c", "http://127.0.0.1:1")],
        Some(&old),
    );
    let seen: Vec<_> = new
        .snapshot()
        .into_iter()
        .map(|state| (state.health, state.ejections))
        .collect();
    assert_eq!(
        seen,
        [
            (Health::Healthy, 1),
            (Health::Ejected, 1),
            (Health::Healthy, 0)
        ]
    );
    let newer = build([origin("c", "http://127.0.0.1:1")], Some(&new));
    assert!(Arc::ptr_eq(&newer.upstreams[0], &new.upstreams[2]));
}

#[test]
fn what_can_not_be_built_is_refused_with_all_reasons() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text.pem"), "no certificate").unwrap();
    let with_ca = |name, ca: &str| {
        let mut origin = origin(name, "https://a.example:443");
        origin.tls.ca = Some(ca.into());
        origin
    };
    let policy = policy([
        with_ca("missing", "missing.pem"),
        origin("good", "https://a.example:443"),
        with_ca("text", "text.pem"),
        origin("unnamed", "https://127.0.0.1:443"),
    ]);
    let errors = Origins::build(&policy, folder.path(), None).err().unwrap();
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let expected = [
        ("origin missing:", "missing.pem"),
        ("origin text:", "no certificate"),
        ("origin unnamed:", "tls.sni"),
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:?}");
    for (error, (name, reason)) in errors.iter().zip(expected) {
        assert!(error.contains(name) && error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn failed_requests_eject_an_origin_and_failed_addresses_rest() {
    let origins = build([origin("a", "http://127.0.0.1:1")], None);
    let peer = origins.peer(FIRST, &Timeouts::default()).await.unwrap();
    let address = address_of(&peer);
    assert_eq!(address, Some("127.0.0.1:1".parse().unwrap()));
    for failures in 1..=EJECT_AFTER_FAILURES {
        assert_eq!(origins.health(FIRST), Health::Healthy);
        origins.report(
            FIRST,
            if failures % 2 == 0 {
                Outcome::Responded(503)
            } else {
                Outcome::ConnectFailed(address)
            },
        );
    }
    assert_eq!(origins.health(FIRST), Health::Ejected);
    assert_eq!(origins.usable_addresses(FIRST), 0);
    assert!(
        origins.peer(FIRST, &Timeouts::default()).await.is_ok(),
        "what is ejected can still be asked"
    );
    origins.report(FIRST, Outcome::Connected(address.unwrap()));
    assert_eq!(origins.usable_addresses(FIRST), 1);

    let unknown = origins.peer(OriginId(9), &Timeouts::default()).await;
    assert!(matches!(unknown, Err(OriginError::Unknown(OriginId(9)))));
}

#[test]
fn statuses_that_are_the_origins_own_do_not_eject() {
    let origins = build([origin("a", "http://127.0.0.1:1")], None);
    for (status, ejected) in [
        (200, false),
        (404, false),
        (500, false),
        (501, false),
        (502, true),
    ] {
        for _ in 0..EJECT_AFTER_FAILURES {
            origins.report(FIRST, Outcome::Responded(status));
        }
        assert_eq!(
            origins.health(FIRST) == Health::Ejected,
            ejected,
            "{status}"
        );
    }
}

/// A DNS server that knows one name. It answers A from its zone and AAAA with nothing.
async fn dns_server(zone: Arc<Mutex<Option<Vec<Ipv4Addr>>>>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        loop {
            let (length, from) = socket.recv_from(&mut query).await.unwrap();
            let answer = dns_answer(&query[..length], zone.lock().as_deref());
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    address
}

/// RFC 1035 §4: the header, the question again, and the answers with a TTL of 0; no zone: SERVFAIL.
fn dns_answer(query: &[u8], zone: Option<&[Ipv4Addr]>) -> Vec<u8> {
    let name_end = 12 + query[12..].iter().position(|&byte| byte == 0).unwrap() + 1;
    let question = &query[12..name_end + 4];
    let addresses = if question[question.len() - 3] == 1 {
        zone.unwrap_or_default()
    } else {
        &[]
    };
    let code = if zone.is_some() { 0 } else { 2 };
    let mut answer = vec![
        query[0],
        query[1],
        0x81,
        0x80 | code,
        0,
        1,
        0,
        addresses.len() as u8,
        0,
        0,
        0,
        0,
    ];
    answer.extend_from_slice(question);
    for address in addresses {
        answer.extend_from_slice(&[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend_from_slice(&address.octets());
    }
    answer
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_followed_and_failures_keep_the_last_good_one() {
    let zone = Arc::new(Mutex::new(Some(vec![
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(127, 0, 0, 2),
    ])));
    let network = Network::new(Some(dns_server(zone.clone()).await));
    let origins = build(
        [
            origin("a", "http://origin.test:8080"),
            origin("b", "http://127.0.0.9:80"),
        ],
        None,
    );
    origins.start(&network, &Handle::current());
    let next = async || {
        address_of(&origins.peer(FIRST, &Timeouts::default()).await.unwrap())
            .unwrap()
            .to_string()
    };
    let mut turns = [next().await, next().await];
    turns.sort();
    assert_eq!(
        turns,
        ["127.0.0.1:8080", "127.0.0.2:8080"],
        "the first request waits for the answer; then turns"
    );

    *zone.lock() = Some(vec![Ipv4Addr::new(127, 0, 0, 3)]);
    until("the new address", || origins.snapshot()[0].addresses == 1).await;
    assert_eq!(next().await, "127.0.0.3:8080");

    *zone.lock() = None;
    until("a failure is counted", || {
        origins.snapshot()[0].resolve_failures > 0
    })
    .await;
    assert_eq!(next().await, "127.0.0.3:8080");
    assert_eq!(origins.health(FIRST), Health::Healthy);
}

#[tokio::test]
async fn a_name_without_any_address_is_unresolved() {
    let network = Network::new(Some(
        dns_server(Arc::new(Mutex::new(Some(Vec::new())))).await,
    ));
    let origins = build([origin("a", "http://origin.test:8080")], None);
    assert_eq!(
        origins.health(FIRST),
        Health::Healthy,
        "nobody has asked yet"
    );
    origins.start(&network, &Handle::current());
    let peer = origins.peer(FIRST, &Timeouts::default()).await;
    assert!(matches!(peer, Err(OriginError::Unresolved { .. })));
    assert_eq!(origins.health(FIRST), Health::Unresolved);
}

#[tokio::test]
async fn localhost_needs_no_dns_server() {
    // Nobody answers there.
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let network = Network::new(Some(silent.local_addr().unwrap()));
    let origins = build([origin("a", "http://localhost:8080")], None);
    origins.start(&network, &Handle::current());
    let peer = origins.peer(FIRST, &Timeouts::default()).await.unwrap();
    assert!(address_of(&peer).unwrap().ip().is_loopback());
}

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
            sni: sni.map(str::to_owned),
            ca: with_ca.then(|| "ca.pem".into()),
            verify,
        };
        let origins = Origins::build(&policy([origin]), folder.path(), None).unwrap();
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
