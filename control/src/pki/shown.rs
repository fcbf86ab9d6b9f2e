//! The certificate that control shows, replaced while it serves.

use super::{Pki, PkiError, certificate};
use crate::{backoff::Backoff, presence};
use parking_lot::RwLock;
use rustls::{
    crypto::aws_lc_rs,
    pki_types::PrivateKeyDer,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// A certificate is replaced when two thirds of its time are over.
const REPLACED_AFTER: (u32, u32) = (2, 3);
/// The first pause after a replacement that failed …
const AGAIN_FIRST: Duration = Duration::from_secs(1);
/// … and the longest.
const AGAIN_MAX: Duration = Duration::from_mins(10);

/// The certificate that is shown. A clone shows the same.
#[derive(Debug, Clone)]
pub struct Shown(Arc<RwLock<Arc<CertifiedKey>>>);

impl Shown {
    /// Shows this one, until it is replaced.
    pub fn new(first: CertifiedKey) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(first))))
    }

    fn replace(&self, next: CertifiedKey) {
        *self.0.write() = Arc::new(next);
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().clone())
    }
}

/// The names and addresses by which control may be asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerNames(pub(super) Vec<String>);

impl ServerNames {
    /// This machine's, the addresses that are listened on, and those that the operator names.
    pub fn new(listens: &[IpAddr], named: &[String]) -> Self {
        let mut names: Vec<_> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
        names.push(presence::machine());
        names.extend(
            listens
                .iter()
                .filter(|address| !address.is_unspecified())
                .map(ToString::to_string),
        );
        names.extend(named.iter().cloned());
        // One that is no name of DNS would spoil the certificate.
        names.retain(|name| rustls::pki_types::ServerName::try_from(name.as_str()).is_ok());
        names.sort_unstable();
        names.dedup();
        Self(names)
    }
}

impl Pki {
    /// A new certificate for control with the CAs behind it, so that whoever knows one by its fingerprint finds it.
    pub fn show(&self, names: &ServerNames) -> Result<CertifiedKey, PkiError> {
        let authority = self.authority()?;
        let (issued, key) = certificate::for_control(authority, names.0.clone(), self.lifetime())?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|_| PkiError::Certificate(rcgen::Error::CouldNotParseKeyPair))?;
        let key = aws_lc_rs::sign::any_supported_type(&key)
            .map_err(|_| PkiError::Certificate(rcgen::Error::CouldNotParseKeyPair))?;
        let chain = vec![issued.certificate.der().clone(), authority.der().clone()];
        Ok(CertifiedKey::new(chain, key))
    }

    /// Replaces what is shown, in time, until `stop`.
    pub async fn keep_shown(self, shown: Shown, names: ServerNames, stop: CancellationToken) {
        let (part, whole) = REPLACED_AFTER;
        let mut pause = self.lifetime() * part / whole;
        let mut again = Backoff::new(AGAIN_FIRST, AGAIN_MAX);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            match self.show(&names) {
                Ok(next) => {
                    shown.replace(next);
                    again.reset();
                    pause = self.lifetime() * part / whole;
                }
                Err(error) => {
                    tracing::error!(%error, "control's own certificate can't be replaced; it is tried again");
                    pause = again.take();
                }
            }
        }
    }
}
