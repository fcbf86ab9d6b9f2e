//! TLS of the API and the fleet link.

use crate::pki::Authority;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{
        NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier,
    },
    sign::CertifiedKey,
};
use std::{path::Path, sync::Arc};
use tokio_rustls::TlsAcceptor;

/// A certificate or key that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read as PEM.
    #[error("{file}: {why}; it must be PEM")]
    Unreadable {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// They are not for each other.
    #[error("the certificate and its key can't be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// The fleet's CAs can't be trusted.
    #[error("the fleet's CA can't be used: {0}")]
    Authority(#[from] VerifierBuilderError),
}

/// The operator's certificate and key.
pub fn operators(chain: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let unreadable = |file: &Path, error: &dyn std::fmt::Display| TlsError::Unreadable {
        file: file.display().to_string(),
        why: error.to_string(),
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(chain, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
    Ok(CertifiedKey::from_der(certificates, private, &provider())?)
}

/// Accepts TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, with what is shown; asks nobody for a certificate.
pub fn of_everybody(shown: Arc<dyn ResolvesServerCert>) -> Result<TlsAcceptor, TlsError> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    Ok(acceptor(config))
}

/// Likewise of edges: a certificate that is presented is one of the fleet's, for clients, and holds now. Who presents none may
/// ask for its first one, and for nothing else.
pub fn of_edges(
    shown: Arc<dyn ResolvesServerCert>,
    authorities: &[Authority],
) -> Result<TlsAcceptor, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.der().clone())?;
    }
    let edges = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build()?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(edges)
        .with_cert_resolver(shown);
    // A session that is resumed is not verified again: its certificate may have expired meanwhile.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(acceptor(config))
}

fn acceptor(mut config: ServerConfig) -> TlsAcceptor {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
