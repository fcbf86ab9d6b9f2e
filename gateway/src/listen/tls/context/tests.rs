//! Sessions go on where they may, and nowhere else.

use super::*;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::CertificateDer,
    version::{TLS12, TLS13},
};
use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    sync::Arc,
    thread,
};

/// A certificate for shop.example of its own.
fn certificate() -> (tempfile::TempDir, CertificateDer<'static>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pem"), certificate.pem()).unwrap();
    std::fs::write(folder.path().join("key"), key.serialize_pem()).unwrap();
    (folder, certificate.der().clone())
}

fn context(folder: &tempfile::TempDir, min: TlsVersion) -> Context {
    let path = |name| folder.path().join(name);
    Context::load(&path("pem"), &path("key"), min).unwrap()
}

/// A client that trusts these certificates, and offers its last session to whoever is called shop.example.
fn client(
    version: &'static SupportedProtocolVersion,
    trusted: &[&CertificateDer<'static>],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add((*certificate).clone()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn connect(client: &Arc<ClientConfig>, settings: SslAcceptor) -> Option<HandshakeKind> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || {
        let Ok(mut stream) = settings.accept(theirs) else {
            return;
        };
        stream.write_all(b"x").unwrap();
        // Until the client has read the tickets, too.
        let _ = stream.read(&mut [0]);
    });
    let name = "shop.example".try_into().unwrap();
    let connection = ClientConnection::new(client.clone(), name).unwrap();
    let mut stream = StreamOwned::new(connection, ours);
    let kind = stream
        .read_exact(&mut [0])
        .ok()
        .and_then(|()| stream.conn.handshake_kind());
    drop(stream);
    server.join().unwrap();
    kind
}

#[test]
fn a_session_goes_on_with_its_own_certificate_alone() {
    let (shop, shop_der) = certificate();
    let (renewed, renewed_der) = certificate();
    for version in [&TLS12, &TLS13] {
        let client = client(version, &[&shop_der, &renewed_der]);
        let former = context(&shop, TlsVersion::Tls12);
        let later = context(&renewed, TlsVersion::Tls12);
        assert!(!former.is_same(&later));
        let kinds = [&former, &former, &later, &later, &former]
            .map(|context| connect(&client, context.settings()).unwrap());
        let [full, resumed] = [HandshakeKind::Full, HandshakeKind::Resumed];
        assert_eq!(kinds, [full, resumed, full, resumed, full], "{version:?}");
    }
}

#[test]
fn ticket_keys_are_used_for_their_time() {
    let (shop, der) = certificate();
    for version in [&TLS12, &TLS13] {
        let client = client(version, &[&der]);
        let context = context(&shop, TlsVersion::Tls12);
        let start = Instant::now();
        let end = start + TICKET_KEY_TIME;
        let just_before = end.checked_sub(Duration::from_mins(1)).unwrap();
        let after = end + Duration::from_mins(1);
        let kinds = [start, just_before, after, after]
            .map(|now| connect(&client, context.settings_at(now)).unwrap());
        let [full, resumed] = [HandshakeKind::Full, HandshakeKind::Resumed];
        assert_eq!(kinds, [full, resumed, full, resumed], "{version:?}");
    }
}

#[test]
fn the_oldest_version_is_the_policys() {
    let (shop, der) = certificate();
    for (min, version, is_spoken) in [
        (TlsVersion::Tls12, &TLS12, true),
        (TlsVersion::Tls12, &TLS13, true),
        (TlsVersion::Tls13, &TLS12, false),
        (TlsVersion::Tls13, &TLS13, true),
    ] {
        let client = client(version, &[&der]);
        let kind = connect(&client, context(&shop, min).settings());
        assert_eq!(kind.is_some(), is_spoken, "{min:?} {version:?}");
    }
    let of = |min| context(&shop, min);
    assert!(!of(TlsVersion::Tls12).is_same(&of(TlsVersion::Tls13)));
    assert!(of(TlsVersion::Tls12).is_same(&of(TlsVersion::Tls12)));
}

#[test]
fn who_has_no_certificate_gets_an_alert() {
    let (_, der) = certificate();
    for version in [&TLS12, &TLS13] {
        let client = client(version, &[&der]);
        assert!(connect(&client, Context::nobody().unwrap().settings()).is_none());
    }
}
