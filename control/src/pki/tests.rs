use super::*;
use crate::seal::SealSettings;
use latencify_conf::link::trust::REQUEST_BYTES_MAX;

async fn open(folder: &std::path::Path) -> (Store, Pki) {
    let seal = Seal::open(&SealSettings::default(), folder).unwrap();
    let store = Store::open(folder).await.unwrap();
    let pki = Pki::open(&store, &seal, Duration::from_hours(1)).await;
    (store.clone(), pki.unwrap())
}

#[tokio::test]
async fn the_ca_is_made_once_and_its_key_lies_in_the_store_only_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, pki) = open(folder.path()).await;
    let first = pki.fingerprint().unwrap();
    let rows = store.authorities().await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(rcgen::KeyPair::try_from(&rows[0].sealed_key[..]).is_err());
    store.shut().await;
    let (store, pki) = open(folder.path()).await;
    assert_eq!(pki.fingerprint().unwrap(), first);
    store.shut().await;
}

#[tokio::test]
async fn a_certificate_says_what_was_issued_and_only_an_edges_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (store, pki) = open(folder.path()).await;
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    let issued = pki.renew("paris", request.der()).await.unwrap();
    let presented = Presented::read(&issued.chain[0]).unwrap();
    assert_eq!(presented.edge, "paris");
    let now_ms = millis(OffsetDateTime::now_utc());
    let noted = store.certificates_of("paris", now_ms).await.unwrap();
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0].serial, presented.serial);
    // A certificate says it in whole seconds.
    assert_eq!(
        noted[0].until_ms / 1000,
        presented.revoked().until_ms / 1000
    );

    let shown = pki.show(&ServerNames::new(&[], &[])).unwrap();
    for other in [&shown.cert[0][..], &shown.cert[1][..], b"", b"x"] {
        assert_eq!(Presented::read(other), None);
    }
    let large = vec![0; REQUEST_BYTES_MAX + 1];
    for refused in [&large[..], b"x"] {
        let why = pki.renew("paris", refused).await.unwrap_err();
        assert_eq!(why.as_str(), "bad_request");
    }
    assert_eq!(store.certificates_of("paris", now_ms).await.unwrap(), noted);
    store.shut().await;
}

#[test]
fn what_is_no_name_is_not_in_controls_certificate() {
    let listens = ["192.0.2.1", "0.0.0.0", "::"].map(|ip| ip.parse().unwrap());
    let ServerNames(names) = ServerNames::new(&listens, &["control.example".to_owned()]);
    for (name, is_in) in [
        ("192.0.2.1", true),
        ("control.example", true),
        ("localhost", true),
        ("0.0.0.0", false),
        ("::", false),
    ] {
        assert_eq!(names.iter().any(|known| known == name), is_in, "{name}");
    }
}
