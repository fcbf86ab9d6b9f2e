//! A CA of the fleet.

use super::PkiError;
use crate::{seal::Seal, store::entity::authorities};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;
use std::fmt;
use time::{Duration, OffsetDateTime};

/// What its private key is sealed for.
pub(super) const CONTEXT: &str = "pki/ca";
/// How long a CA holds: no edge has to be visited before that.
const LIFETIME: Duration = Duration::days(3650);
/// It holds from so long before it was made: an edge's clock may be late.
const BACKDATED: Duration = Duration::days(1);

/// A CA that is trusted.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// One that was made, as it is kept.
pub(super) struct Made {
    pub(super) certificate: Vec<u8>,
    pub(super) sealed_key: Vec<u8>,
}

impl Authority {
    pub(super) fn make(seal: &Seal, now: OffsetDateTime) -> Result<Made, PkiError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (now - BACKDATED, now + LIFETIME);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "latencify fleet CA");
        let certificate = params.self_signed(&key)?;
        Ok(Made {
            certificate: certificate.der().to_vec(),
            sealed_key: seal.seal(CONTEXT, key.serialized_der())?,
        })
    }

    pub(super) fn read(row: &authorities::Model, seal: &Seal) -> Result<Self, PkiError> {
        let key = seal.unseal(CONTEXT, &row.sealed_key)?;
        let key = KeyPair::try_from(&key[..])?;
        let certificate = CertificateDer::from(row.certificate.clone());
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self {
            certificate,
            issuer,
        })
    }

    /// Its certificate.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Authority")
    }
}
