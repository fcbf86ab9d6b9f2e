//! What this edge shows to an origin that answers nobody else: a signature on each request, a client certificate.

use super::signing::{Signing, fingerprint};
use crate::secrets::Secrets;
use latencify_conf::{
    digest::Digest,
    policy::{ClientCertificate, Origin, Sign},
};
use openssl::{pkey::PKey, x509::X509};
use pingora::{upstreams::peer::HttpPeer, utils::tls::CertKey};
use std::sync::Arc;

/// The values of the secrets that an origin's policy names, made ready. A clone is the same.
#[derive(Clone, Default)]
pub struct Credentials {
    signing: Option<Arc<Signing>>,
    client: Option<Arc<CertKey>>,
    /// Over the values: connections that were made with others are not used again, nor is what was made ready of them.
    digest: Option<Digest>,
}

impl Credentials {
    /// For an origin. The error names the secret that is missing or can't be used.
    pub fn build(origin: &Origin, secrets: &Secrets) -> Result<Self, String> {
        let mut values: Vec<&[u8]> = Vec::new();
        let signing = match &origin.sign {
            None => None,
            Some(sign) => {
                let names = match sign {
                    Sign::Header(header) => vec![Some(&header.value)],
                    Sign::AwsV4(aws) => vec![
                        Some(&aws.access_key),
                        Some(&aws.secret_key),
                        aws.session_token.as_ref(),
                    ],
                };
                for name in names.into_iter().flatten() {
                    values.push(secrets.require(name)?);
                }
                Some(Arc::new(Signing::build(sign, secrets)?))
            }
        };
        let client = match &origin.tls.client {
            None => None,
            Some(names) => {
                values.push(secrets.require(&names.certificate)?);
                values.push(secrets.require(&names.key)?);
                Some(Arc::new(client(names, secrets)?))
            }
        };
        Ok(Self {
            signing,
            client,
            digest: (!values.is_empty()).then(|| fingerprint(values)),
        })
    }

    /// How its requests are signed; none: they are not.
    pub fn signing(&self) -> Option<&Arc<Signing>> {
        self.signing.as_ref()
    }

    /// Over the values of the secrets; none: there are none.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Has the certificate shown to a peer.
    pub fn show(&self, peer: &mut HttpPeer) {
        let Some(client) = &self.client else { return };
        peer.client_cert_key = Some(client.clone());
        // Pingora's pool compares the serial number alone.
        let key = (self.digest.as_ref()).and_then(|digest| digest.0.first_chunk().copied());
        peer.group_key ^= u64::from_be_bytes(key.unwrap_or_default());
    }
}

fn client(names: &ClientCertificate, secrets: &Secrets) -> Result<CertKey, String> {
    let ClientCertificate { certificate, key } = names;
    // What OpenSSL says of a key is not told: it might quote it.
    let chain = X509::stack_from_pem(secrets.require(certificate)?)
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| format!("secret `{certificate}` holds no certificate in PEM"))?;
    let private = PKey::private_key_from_pem(secrets.require(key)?)
        .map_err(|_| format!("secret `{key}` holds no private key in PEM without a passphrase"))?;
    let leaf = chain.first().and_then(|leaf| leaf.public_key().ok());
    if !leaf.is_some_and(|public| public.public_eq(&private)) {
        return Err(format!(
            "the private key in secret `{key}` is not that of the certificate in secret `{certificate}`"
        ));
    }
    Ok(CertKey::new(chain, private))
}
