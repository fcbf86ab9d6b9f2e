//! How well TLS is spoken: what a scanner finds, whose sessions go on, which versions and protocols are agreed on, and
//! which certificates of origins are believed.

use latencify_tests::{
    Authority, Client, Edge, EdgeOptions, Origin, cache_folder, reply, skip, wait_until,
};
use parking_lot::Mutex;
use rustls::{
    ClientConfig, HandshakeKind, NamedGroup, SupportedProtocolVersion,
    client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use serde_json::Value;
use std::{collections::VecDeque, fs, process::Command, sync::Arc, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SOON: Duration = Duration::from_mins(1);

fn policy(origin: &Origin, tls: &str) -> String {
    format!(
        "version: 1\n\
         edge: {{tls: {{{tls}}}}}\n\
         origins: {{app: {{url: '{}'}}}}\n\
         certificates: {{shop: {{chain: shop.pem, key: shop.key}}, blog: {{chain: blog.pem, key: blog.key}}}}\n\
         sites:\n\
         \x20 shop: {{hosts: [shop.example], certificate: shop, routes: [{{origins: [app]}}]}}\n\
         \x20 blog: {{hosts: [blog.example], certificate: blog, routes: [{{origins: [app]}}]}}\n",
        origin.url()
    )
}

async fn origin() -> Origin {
    Origin::serve(|_| async { reply::text("ok").no_store().done() }).await
}

fn edge(origin: &Origin, authority: &Authority, tls: &str) -> EdgeOptions {
    Edge::alone(&policy(origin, tls))
        .certificate(authority, "shop", &["shop.example"])
        .certificate(authority, "blog", &["blog.example"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scanner_finds_nothing_to_say() {
    let sslyze = cache_folder().join("sslyze/bin/sslyze");
    if !sslyze.exists() {
        skip!("no sslyze here: deploy/setup tools")
    }
    let (origin, authority) = (origin().await, Authority::new());
    let options = edge(&origin, &authority, "");
    // As long as a public CA would let it be valid.
    authority
        .issue_for(&["shop.example"], -1..80)
        .write(&options.certificates(), "shop");
    let edge = options.start().await;
    let (ca, found) = (
        edge.folder().join("ca.pem"),
        edge.folder().join("found.json"),
    );
    fs::write(&ca, authority.pem()).unwrap();
    let target = format!("shop.example:{}{{127.0.0.1}}", edge.https().port());
    let run = Command::new(sslyze)
        .arg("--json_out")
        .arg(&found)
        // The CA is of our own making: the scanner is told of it, and holds everything else against the bar.
        .arg("--certinfo_ca_file")
        .arg(&ca)
        .args([
            "--mozilla_config",
            "intermediate",
            "--early_data",
            "--resum",
        ])
        .arg(target)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success() && said.contains("OK - Compliant"),
        "{said}"
    );
    let found: Value = serde_json::from_slice(&fs::read(found).unwrap()).unwrap();
    let results = &found["server_scan_results"][0]["scan_result"];
    let of = |scan: &str, path: &str| {
        let result = &results[scan];
        assert_eq!(result["status"], "COMPLETED", "{scan}: {result}");
        result["result"]
            .pointer(path)
            .unwrap_or_else(|| panic!("{scan}{path}: {result}"))
            .clone()
    };
    for (scan, path, expected) in [
        (
            "ssl_2_0_cipher_suites",
            "/is_tls_version_supported",
            Value::from(false),
        ),
        (
            "ssl_3_0_cipher_suites",
            "/is_tls_version_supported",
            false.into(),
        ),
        (
            "tls_1_0_cipher_suites",
            "/is_tls_version_supported",
            false.into(),
        ),
        (
            "tls_1_1_cipher_suites",
            "/is_tls_version_supported",
            false.into(),
        ),
        (
            "tls_1_2_cipher_suites",
            "/is_tls_version_supported",
            true.into(),
        ),
        (
            "tls_1_3_cipher_suites",
            "/is_tls_version_supported",
            true.into(),
        ),
        ("tls_compression", "/supports_compression", false.into()),
        ("tls_1_3_early_data", "/supports_early_data", false.into()),
        (
            "openssl_ccs_injection",
            "/is_vulnerable_to_ccs_injection",
            false.into(),
        ),
        ("tls_fallback_scsv", "/supports_fallback_scsv", true.into()),
        ("heartbleed", "/is_vulnerable_to_heartbleed", false.into()),
        (
            "robot",
            "/robot_result",
            "NOT_VULNERABLE_RSA_NOT_SUPPORTED".into(),
        ),
        (
            "session_renegotiation",
            "/supports_secure_renegotiation",
            true.into(),
        ),
        (
            "session_renegotiation",
            "/is_vulnerable_to_client_renegotiation_dos",
            false.into(),
        ),
        (
            "session_resumption",
            "/tls_ticket_resumption_result",
            "FULLY_SUPPORTED".into(),
        ),
        (
            "tls_extended_master_secret",
            "/supports_ems_extension",
            true.into(),
        ),
        (
            "elliptic_curves",
            "/supports_ecdh_key_exchange",
            true.into(),
        ),
    ] {
        assert_eq!(of(scan, path), expected, "{scan}{path}");
    }
}

/// Keeps sessions whatever the name that they are of, as no honest client does.
#[derive(Debug, Default)]
struct OneForAll {
    tls12: Mutex<Option<Tls12ClientSessionValue>>,
    tls13: Mutex<VecDeque<Tls13ClientSessionValue>>,
    group: Mutex<Option<NamedGroup>>,
}

impl ClientSessionStore for OneForAll {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        *self.group.lock() = Some(group);
    }
    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        *self.group.lock()
    }
    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        *self.tls12.lock() = Some(session);
    }
    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.tls12.lock().clone()
    }
    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.tls12.lock().take();
    }
    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.tls13.lock().push_back(ticket);
    }
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.tls13.lock().pop_back()
    }
}

fn client(
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
    protocols: &[&[u8]],
) -> Arc<ClientConfig> {
    let usual = authority.client(protocols);
    let mut config = ClientConfig::builder_with_provider(usual.crypto_provider().clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    config.alpn_protocols.clone_from(&usual.alpn_protocols);
    config.resumption = Resumption::store(Arc::new(OneForAll::default()));
    Arc::new(config)
}

/// One request over a connection of its own: how the handshake went.
async fn ask(
    edge: &Edge,
    client: &Arc<ClientConfig>,
    name: &'static str,
) -> anyhow::Result<HandshakeKind> {
    let stream = Client::new().tcp(edge.https()).await?;
    let tls = tokio_rustls::TlsConnector::from(client.clone());
    let mut stream = tls.connect(name.try_into()?, stream).await?;
    let request = format!("GET / HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    // The tickets of TLS 1.3 come with what is read.
    stream.read_to_string(&mut answer).await?;
    anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(stream.get_ref().1.handshake_kind().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_go_on_at_their_own_site_until_its_certificate_changes() {
    let [full, resumed] = [HandshakeKind::Full, HandshakeKind::Resumed];
    for version in [&TLS12, &TLS13] {
        let (origin, authority) = (origin().await, Authority::new());
        let mut edge = edge(&origin, &authority, "").start().await;
        let client = client(&authority, version, &[b"http/1.1"]);
        assert_eq!(ask(&edge, &client, "shop.example").await.unwrap(), full);
        assert_eq!(
            ask(&edge, &client, "shop.example").await.unwrap(),
            resumed,
            "{version:?}"
        );
        // The other site does not take it for one of its own, and has its own.
        assert_eq!(
            ask(&edge, &client, "blog.example").await.unwrap(),
            full,
            "{version:?}"
        );
        assert_eq!(
            ask(&edge, &client, "blog.example").await.unwrap(),
            resumed,
            "{version:?}"
        );
        // Another policy with the same certificates changes nothing.
        edge.write_policy(&format!("{}# changed\n", policy(&origin, "")));
        wait_until("the policy is taken", SOON, async || {
            let reloads = edge.metric("latencify_gateway_policy_reloads_total").await as u64;
            if reloads >= 2 { Ok(()) } else { Err(reloads) }
        })
        .await;
        assert_eq!(
            ask(&edge, &client, "blog.example").await.unwrap(),
            resumed,
            "{version:?}"
        );
        // Another certificate begins anew.
        let renewed = authority.issue(&["blog.example"]);
        renewed.write(&edge.folder().join("certificates"), "blog");
        edge.process().signal("HUP");
        wait_until("the session has ended", SOON, async || {
            match ask(&edge, &client, "blog.example").await.unwrap() {
                HandshakeKind::Full => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protocol_that_is_not_spoken_is_refused_by_an_alert() {
    let (origin, authority) = (origin().await, Authority::new());
    let edge = edge(&origin, &authority, "").start().await;
    for version in [&TLS12, &TLS13] {
        let refused = ask(
            &edge,
            &client(&authority, version, &[b"spdy/3"]),
            "shop.example",
        )
        .await;
        let why = format!("{:#}", refused.unwrap_err());
        assert!(why.contains("NoApplicationProtocol"), "{why}");
        // Offering nothing means HTTP/1.1.
        ask(&edge, &client(&authority, version, &[]), "shop.example")
            .await
            .unwrap();
        let unknown = ask(&edge, &client(&authority, version, &[]), "unknown.example").await;
        let why = format!("{:#}", unknown.unwrap_err());
        assert!(
            why.contains("UnrecognizedName") || why.contains("UnrecognisedName"),
            "{why}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_version_changes_with_the_policy() {
    let (origin, authority) = (origin().await, Authority::new());
    let edge = edge(&origin, &authority, "").start().await;
    let [old, new] = [&TLS12, &TLS13].map(|version| client(&authority, version, &[]));
    ask(&edge, &old, "shop.example").await.unwrap();
    edge.write_policy(&policy(&origin, "min_version: '1.3'"));
    wait_until("TLS 1.2 is refused", SOON, async || {
        match ask(&edge, &old, "shop.example").await {
            Err(why) if format!("{why:#}").contains("ProtocolVersion") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    ask(&edge, &new, "shop.example").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_with_a_certificate_that_is_not_to_be_believed_is_not_asked() {
    let (authority, other) = (Authority::new(), Authority::new());
    let name = ["origin.example"];
    for (identity, status, what) in [
        (authority.issue_for(&name, -2..2), 200, "good"),
        (authority.issue_for(&name, -9..-2), 502, "expired"),
        (authority.issue_for(&name, 2..9), 502, "not valid yet"),
        (
            authority.issue_for(&["other.example"], -2..2),
            502,
            "of another name",
        ),
        (other.issue_for(&name, -2..2), 502, "of an unknown CA"),
    ] {
        let origin = Origin::serve_tls(&identity, |_| async { reply::text("ok").done() }).await;
        let options = Edge::alone(&format!(
            "version: 1\norigins: {{app: {{url: '{}', tls: {{sni: origin.example, ca: ca.pem}}}}}}\n\
             sites: {{main: {{hosts: ['*'], routes: [{{origins: [app]}}]}}}}\n",
            origin.url()
        ));
        fs::write(options.certificates().join("ca.pem"), authority.pem()).unwrap();
        let edge = options.start().await;
        let reply = edge.get("shop.example", "/").await;
        assert_eq!(reply.status, status, "{what}: {reply:?}");
        if status != 200 {
            assert_eq!(origin.requests(), 0, "{what}");
            let record = wait_until("it is recorded", SOON, async || {
                edge.access_log().pop().ok_or("nothing yet")
            })
            .await;
            assert!(
                record.to_string().contains("certificate"),
                "{what}: {record}"
            );
        }
    }
}
