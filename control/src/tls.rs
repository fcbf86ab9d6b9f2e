//! TLS of the API and the fleet link.

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
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
}

/// Accepts TLS 1.2 and 1.3 with this certificate, HTTP/2 and HTTP/1.1.
pub fn acceptor(chain: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let unreadable = |file: &Path, error: &dyn std::fmt::Display| TlsError::Unreadable {
        file: file.display().to_string(),
        why: error.to_string(),
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(chain, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, private)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
