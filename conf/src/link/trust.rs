//! Who speaks on the link: the names in certificates, and the text of a token with which an edge gets its first one.

use crate::digest::Digest;
use sha2::{Digest as _, Sha256};

/// What stands before an edge's name in the URI of its certificate's subject alternative name (RFC 5280 §4.2.1.6).
pub const EDGE_URI: &str = "latencify:edge/";
/// The DNS name that every certificate of control carries: edges look for it whatever address they reach control at.
pub const CONTROL_NAME: &str = "control.latencify.internal";
/// The most bytes of a request for a certificate (PKCS #10, DER).
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// What stands between a token's secret and the fingerprint of the CA that vouches for control.
const CA_MARK: &str = ".ca-";

/// The text of a join token: a secret and, usually, the fingerprint of the fleet's CA behind it, so that nobody on the way can
/// pretend to be control when the edge has nothing else to go by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct JoinText<'t> {
    /// What is shown to control.
    pub secret: &'t str,
    /// SHA-256 of the CA's certificate (DER).
    pub ca: Option<Digest>,
}

impl<'t> JoinText<'t> {
    /// Reads a token as control printed it, or as the operator chose it: without a fingerprint, all of it is the secret.
    pub fn read(text: &'t str) -> Self {
        let parts = text.rsplit_once(CA_MARK).and_then(|(secret, hex)| {
            let ca = format!("sha256:{hex}").parse().ok()?;
            Some((secret, ca))
        });
        match parts {
            Some((secret, ca)) => Self {
                secret,
                ca: Some(ca),
            },
            None => Self {
                secret: text,
                ca: None,
            },
        }
    }

    /// The text for a secret and a CA.
    pub fn write(secret: &str, ca: &Digest) -> String {
        let ca = ca.to_string();
        let hex = ca.trim_start_matches("sha256:");
        format!("{secret}{CA_MARK}{hex}")
    }
}

/// The fingerprint of a certificate: SHA-256 of its DER.
pub fn fingerprint(certificate: &[u8]) -> Digest {
    Digest(Sha256::digest(certificate).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_carries_the_fingerprint_behind_its_secret() {
        let ca = fingerprint(b"a certificate");
        let text = JoinText::write("lat_edge_00", &ca);
        let hex = &ca.to_string()["sha256:".len()..];
        assert_eq!(text, format!("lat_edge_00.ca-{hex}"));
        let short = format!("x.ca-{}", &hex[1..]);
        let other = format!("x.ca-{}g", &hex[1..]);
        let twice = format!("a.ca-b.ca-{hex}");
        for (text, secret, has_ca) in [
            (text.as_str(), "lat_edge_00", true),
            ("chosen-by-the-operator", "chosen-by-the-operator", false),
            (&short, short.as_str(), false),
            (&other, other.as_str(), false),
            (&twice, "a.ca-b", true),
            ("", "", false),
        ] {
            let read = JoinText::read(text);
            assert_eq!(
                (read.secret, read.ca),
                (secret, has_ca.then_some(ca)),
                "{text}"
            );
        }
    }
}
