//! An origin that wants a client certificate.

use super::{SOON, alone, s3::hex, secret, secrets};
use latencify_tests::{Authority, wait_until};
use rustls::{ServerConfig, pki_types::CertificateDer, server::WebPkiClientVerifier};
use std::{fs, path::PathBuf, sync::Arc};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// An origin over TLS that speaks to nobody without a certificate of this authority. It answers with the certificate's octets,
/// in hexadecimal.
async fn mutual(authority: &Authority) -> (u16, tokio::task::JoinHandle<()>) {
    let identity = authority.issue(&["localhost"]);
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = identity.write(folder.path(), "origin");
    let verifier = WebPkiClientVerifier::builder(Arc::new(authority.roots()));
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(pem(&chain), key_of(&key))
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = vec![0; 8192];
                let _ = stream.read(&mut request).await;
                let shown = stream.get_ref().1.peer_certificates().unwrap();
                let body = hex(&shown[0]);
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (port, serving)
}

fn pem(file: &PathBuf) -> Vec<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    vec![CertificateDer::from_pem_file(file).unwrap()]
}

fn key_of(file: &PathBuf) -> rustls::pki_types::PrivateKeyDer<'static> {
    use rustls::pki_types::pem::PemObject as _;
    rustls::pki_types::PrivateKeyDer::from_pem_file(file).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_wants_a_client_certificate_gets_the_one_in_force() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let authority = Authority::new();
    let (port, serving) = mutual(&authority).await;
    let policy = format!(
        r#"
version: 1
origins:
  app:
    url: "https://localhost:{port}"
    tls: {{ca: ca.pem, client: {{certificate: {{ref: edge-certificate}}, key: {{ref: edge-key}}}}}}
sites:
  shop: {{hosts: [shop.example], routes: [{{origins: [app]}}]}}
"#
    );
    let made = tempfile::tempdir().unwrap();
    let folder = secrets(&[]);
    let show = |name: &str| {
        let identity = authority.issue(&[name]);
        let (chain, key) = identity.write(made.path(), name);
        secret(folder.path(), "edge-key", &fs::read_to_string(key).unwrap());
        secret(
            folder.path(),
            "edge-certificate",
            &fs::read_to_string(chain).unwrap(),
        );
        hex(identity.der())
    };
    let first = show("first");
    let options = alone(&policy, folder.path());
    fs::write(options.certificates().join("ca.pem"), authority.pem()).unwrap();
    let edge = options.start().await;
    assert_eq!(edge.get("shop.example", "/").await.text(), first);
    let second = show("second");
    wait_until("the other certificate is shown", SOON, async || {
        let reply = edge.get("shop.example", "/").await;
        if reply.text() == second {
            Ok(())
        } else {
            Err(reply.text().to_owned())
        }
    })
    .await;
    serving.abort();
}
