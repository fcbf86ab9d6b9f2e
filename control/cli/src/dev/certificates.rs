//! A CA of this run, and a certificate for the demo's hosts.

use super::{
    layout::{self, Layout},
    ports::EDGES,
};
use crate::failure::Failure;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use std::path::PathBuf;
use time::{Duration, OffsetDateTime};

/// Every start makes new ones.
const VALIDITY: Duration = Duration::days(90);

/// Names in the certificate.
const HOSTS: [&str; 3] = ["demo.localhost", "*.demo.localhost", "localhost"];

/// Makes them, and answers with the CA's file.
pub fn make(layout: &Layout) -> Result<PathBuf, Failure> {
    let folder = layout.certificates();
    let (authority, chain, key) = issue().map_err(|error| {
        Failure::failed(format!("the demo's certificate can't be made: {error}"))
    })?;
    layout::write(&folder.join("ca.pem"), authority.as_bytes())?;
    layout::write(&folder.join("demo.pem"), chain.as_bytes())?;
    layout::write(&folder.join("demo.key"), key.as_bytes())?;
    Ok(folder.join("ca.pem"))
}

/// The CA, the certificate and its key, all in PEM.
fn issue() -> Result<(String, String, String), rcgen::Error> {
    let now = OffsetDateTime::now_utc();
    let mut authority = CertificateParams::default();
    (authority.not_before, authority.not_after) = (now - Duration::DAY, now + VALIDITY);
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority
        .distinguished_name
        .push(DnType::CommonName, "latencify dev CA");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let addresses = EDGES
        .iter()
        .map(|edge| edge.address.to_string())
        .chain(["127.0.0.1".to_owned()]);
    let mut demo = CertificateParams::new(
        HOSTS
            .map(str::to_owned)
            .into_iter()
            .chain(addresses)
            .collect::<Vec<_>>(),
    )?;
    (demo.not_before, demo.not_after) = (now - Duration::DAY, now + VALIDITY);
    demo.distinguished_name
        .push(DnType::CommonName, "demo.localhost");
    let key = KeyPair::generate()?;
    let certificate = demo.signed_by(&key, &authority)?;
    Ok((authority.pem(), certificate.pem(), key.serialize_pem()))
}
