//! Certificates that are issued, and those that are presented.

use super::{Authority, PkiError, millis};
use latencify_conf::{
    change::RevokedCertificate,
    link::{
        replica::is_edge_name,
        trust::{CONTROL_NAME, EDGE_URI},
    },
};
use rcgen::{
    Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, string::Ia5String,
};
use std::time::Duration;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// A certificate holds from so long before it was issued, because clocks differ, and are set back …
const BACKDATED_MAX: Duration = Duration::from_hours(24);
/// … or for this part of its lifetime, if that is less.
const BACKDATED_PART: u32 = 10;
/// Bytes of a serial number (RFC 5280 §4.1.2.2: at most 20, positive).
const SERIAL_BYTES: usize = 16;

/// A certificate that was issued.
pub struct Issued {
    /// The certificate.
    pub certificate: Certificate,
    /// Its serial number, in lower-case hexadecimal digits.
    pub serial: String,
    /// When it expires.
    pub until: OffsetDateTime,
}

/// A certificate of an edge, as it was presented: TLS has verified that a CA of the fleet issued it for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The edge.
    pub edge: String,
    /// The serial number, in lower-case hexadecimal digits.
    pub serial: String,
    /// When it expires.
    pub until: OffsetDateTime,
}

impl Presented {
    /// Reads one; none: it is no certificate of an edge.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        let edges: Vec<_> = names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => uri.strip_prefix(EDGE_URI),
                _ => None,
            })
            .collect();
        let [edge] = edges[..] else { return None };
        is_edge_name(edge).then(|| Self {
            edge: edge.to_owned(),
            serial: hex(certificate.raw_serial()),
            until: certificate.validity().not_after.to_datetime(),
        })
    }

    /// As it is taken back.
    pub fn revoked(&self) -> RevokedCertificate {
        RevokedCertificate {
            serial: self.serial.clone(),
            until_ms: millis(self.until),
        }
    }
}

/// Issues one for an edge.
pub(super) fn for_edge(
    authority: &Authority,
    edge: &str,
    key: &impl PublicKeyData,
    lifetime: Duration,
) -> Result<Issued, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, edge);
    let uri = Ia5String::try_from(format!("{EDGE_URI}{edge}"))?;
    params.subject_alt_names = vec![SanType::URI(uri)];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    issue(authority, params, key, lifetime)
}

/// Issues one for control, by these names and addresses beside the one that edges look for.
pub(super) fn for_control(
    authority: &Authority,
    names: Vec<String>,
    lifetime: Duration,
) -> Result<(Issued, KeyPair), PkiError> {
    let key = KeyPair::generate()?;
    let mut all = vec![CONTROL_NAME.to_owned()];
    all.extend(names);
    let mut params = CertificateParams::new(all)?;
    params
        .distinguished_name
        .push(DnType::CommonName, CONTROL_NAME);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok((issue(authority, params, &key, lifetime)?, key))
}

fn issue(
    authority: &Authority,
    mut params: CertificateParams,
    key: &impl PublicKeyData,
    lifetime: Duration,
) -> Result<Issued, PkiError> {
    let now = OffsetDateTime::now_utc();
    let mut serial: [u8; SERIAL_BYTES] = rand::random();
    // Positive, and with the same number of octets however it is encoded.
    serial[0] = serial[0] & 0x3f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = now - BACKDATED_MAX.min(lifetime / BACKDATED_PART);
    params.not_after = now + lifetime;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let until = params.not_after;
    Ok(Issued {
        certificate: params.signed_by(key, authority.issuer())?,
        serial: hex(&serial),
        until,
    })
}

/// A certificate in PEM (RFC 7468 §5).
pub fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
