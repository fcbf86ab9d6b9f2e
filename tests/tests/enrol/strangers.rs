//! No certificate, another fleet's, and somebody who pretends to be control.

use super::{connected, control, invite, says, with_token};
use latencify_tests::{Authority, Control};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use std::{fs, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// What comes of an HTTP/1.1 request to the fleet address with that certificate: the text, or nothing.
async fn asks(
    control: &Control,
    shown: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> String {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(control.fleet_ca_file()).unwrap();
    roots.add(ca).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        Some((certificate, key)) => config
            .with_client_auth_cert(vec![certificate], key)
            .unwrap(),
        None => config.with_no_client_auth(),
    };
    let stream = TcpStream::connect(control.fleet()).await.unwrap();
    let name = ServerName::try_from("control.latencify.internal").unwrap();
    let talk = async {
        let mut stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .ok()?;
        let request = "POST /latencify.link.v1.Fleet/FetchPolicy HTTP/1.1\r\nhost: control\r\ncontent-type: application/grpc\r\n\
                       te: trailers\r\nconnection: close\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0";
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await.ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    let came = tokio::time::timeout(Duration::from_mins(1), talk).await;
    came.expect("an answer, or the end").unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_no_certificate_of_the_fleet_gets_nothing() {
    let (control, _origin) = control(&[]).await;
    let unauthenticated = asks(&control, None).await;
    assert!(
        unauthenticated.contains("grpc-status: 16"),
        "{unauthenticated}"
    );

    // Of another CA, with the same name in it, and of the fleet's but for servers.
    let foreign = Authority::new().issue(&["paris"]);
    let key = |pem: &str| PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let shown = CertificateDer::from(foreign.der().to_vec());
    let text = asks(&control, Some((shown, key(&foreign.key_pem())))).await;
    assert!(!text.contains("grpc-status"), "{text}");
    assert!(control.roster().await.edges.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_goes_to_nobody_but_who_shows_the_ca_that_it_names() {
    let (mut control, _origin) = control(&[]).await;
    let token = invite(&control, "paris").await;
    let (secret, ca) = token.rsplit_once(".ca-").unwrap();
    let turned: String = ca.chars().rev().collect();
    let other = format!("{secret}.ca-{turned}");
    let mut misled = with_token(&control, "paris", &other).start().await;
    says(&mut misled, &["is not control", &turned, ca]).await;
    let untrusted = "latencify_gateway_link_errors_total{error=\"untrusted\"}";
    assert!(misled.metric(untrusted).await >= 1.0);
    // The token was not shown to control: it is as good as new.
    let said = control.process().said();
    assert!(!said.contains("got no certificate"), "{said}");
    let _paris = with_token(&control, "paris", &token).start().await;
    connected(&control, &["paris"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_is_known_by_the_name_in_its_certificate_alone() {
    let (control, _origin) = control(&[]).await;
    let [paris] = control.edges(["paris"]).await;
    let state = paris.folder().join("elsewhere");
    fs::create_dir(&state).unwrap();
    fs::copy(super::identity(&paris), state.join("identity.pem")).unwrap();
    let mut tokyo = latencify_tests::Edge::member_in(&control, "tokyo", &state)
        .start()
        .await;
    says(
        &mut tokyo,
        &["certificate is for paris", "says that it is tokyo"],
    )
    .await;
    assert_eq!(control.roster().await.edges.len(), 1);
}
