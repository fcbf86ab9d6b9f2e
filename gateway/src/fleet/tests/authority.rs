//! The CA of the test's control.

use latencify_conf::link::{
    message::Enrolled,
    trust::{CONTROL_NAME, EDGE_URI},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use time::OffsetDateTime;
use tonic::transport::Identity;

/// A CA.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// What control shows.
    pub fn server(&self) -> Identity {
        let params = CertificateParams::new(vec![CONTROL_NAME.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = certificate.pem() + &self.issuer.pem();
        Identity::from_pem(chain, key.serialize_pem())
    }

    /// A certificate for an edge.
    pub fn enrol(&self, edge: String, request: &[u8]) -> Enrolled {
        let asked = CertificateSigningRequestParams::from_der(&request.into()).unwrap();
        let mut params = CertificateParams::default();
        let uri = format!("{EDGE_URI}{edge}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = OffsetDateTime::now_utc();
        let lifetime = time::Duration::hours(1);
        params.not_after = params.not_before + lifetime;
        let certificate = params.signed_by(&asked.public_key, &self.issuer).unwrap();
        Enrolled {
            edge,
            chain: vec![certificate.der().to_vec().into()],
            authorities: vec![self.issuer.der().to_vec().into()],
        }
    }
}
