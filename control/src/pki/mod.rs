//! The fleet's own certificates: who control is to edges, and who edges are to control.
//!
//! # Characters
//! - [`Authority`]: a CA of the fleet, made at the first start; its private key lies in the store, [sealed](crate::seal). There may
//!   be several: the newest signs, each that is not retired is trusted, and edges hear of all of them with every certificate, so
//!   that one can take over from another without an edge that stops.
//! - [`certificate`]: what is issued: to edges (URI `latencify:edge/NAME`, for clients) and to control itself (for servers).
//! - [`Pki`]: everything together: it issues, and says [who may have a certificate](enrol).
//! - [`Shown`]: the certificate that control shows, replaced while it serves.
//! - [`Presented`]: an edge's certificate, as it was presented.
//!
//! # What must hold
//! - A private key of an edge never leaves it: it sends its public half, and proves that it has the other.
//! - The name of an edge is what its certificate says. A certificate is for one name, and its serial number is noted before it is
//!   given out, so that revoking a name finds it.
//! - TLS verifies chain, purpose and time at the handshake and no session is resumed, which would skip that; whether it is
//!   [revoked](crate::fold::RevokedCertificates) is asked with every call, and whenever the log says something new about it.
//!
//! # Rejected
//! - *Revocation lists in TLS*: a stream that is open would go on, and the edge would hear an alert instead of a reason.
//! - *Only certificates that are in the store*: after an older copy of it was put back, edges would be strangers.

mod authority;
pub mod certificate;
pub mod enrol;
mod shown;

pub use authority::Authority;
pub use certificate::Presented;
pub use shown::{ServerNames, Shown};

use crate::{
    seal::{Seal, SealError},
    store::{Store, StoreError},
};
use latencify_conf::{digest::Digest, link::trust::fingerprint};
use std::{sync::Arc, time::Duration};
use time::OffsetDateTime;
use tokio::sync::RwLock;

/// The file in the data folder that holds the CAs that are trusted, for whoever has to check control's certificate.
pub const CA_FILE: &str = "ca.pem";

/// The fleet's own certificates. A clone is the same.
#[derive(Debug, Clone)]
pub struct Pki {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The newest first.
    authorities: Vec<Authority>,
    store: Store,
    lifetime: Duration,
    /// Held for reading while a certificate is made and noted, for writing while an edge is sent away: none slips through.
    issuing: RwLock<()>,
}

/// Why no certificate can be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The CA's key can't be sealed or opened.
    #[error("the private key of the fleet's CA: {0}")]
    Seal(#[from] SealError),
    /// It can't be made or read.
    #[error("a certificate can't be made or read: {0}")]
    Certificate(#[from] rcgen::Error),
    /// There is no CA, and there is always one.
    #[error("the fleet has no CA")]
    NoAuthority,
}

impl Pki {
    /// Reads the CAs; makes the first one if there is none.
    pub async fn open(store: &Store, seal: &Seal, lifetime: Duration) -> Result<Self, PkiError> {
        let mut rows = store.authorities().await?;
        if rows.is_empty() {
            let made = Authority::make(seal, OffsetDateTime::now_utc())?;
            let number = 1;
            store
                .keep_authority(number, &made.certificate, &made.sealed_key)
                .await?;
            rows = store.authorities().await?;
        }
        let mut authorities = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(sealed) = seal.reseal(authority::CONTEXT, &row.sealed_key)? {
                store.reseal_authority(row.number, &sealed).await?;
            }
            authorities.push(Authority::read(&row, seal)?);
        }
        Ok(Self {
            inner: Arc::new(Inner {
                authorities,
                store: store.clone(),
                lifetime,
                issuing: RwLock::new(()),
            }),
        })
    }

    /// The CA that signs.
    pub fn authority(&self) -> Result<&Authority, PkiError> {
        self.inner.authorities.first().ok_or(PkiError::NoAuthority)
    }

    /// Those that are trusted, the newest first.
    pub fn authorities(&self) -> &[Authority] {
        &self.inner.authorities
    }

    /// SHA-256 of the certificate of the CA that signs.
    pub fn fingerprint(&self) -> Result<Digest, PkiError> {
        Ok(fingerprint(self.authority()?.der()))
    }

    /// The CAs in PEM.
    pub fn pem(&self) -> String {
        self.authorities()
            .iter()
            .map(|authority| certificate::pem(authority.der()))
            .collect()
    }

    /// How long a certificate holds.
    pub fn lifetime(&self) -> Duration {
        self.inner.lifetime
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }
}

/// A moment in milliseconds since 1970.
pub fn millis(at: OffsetDateTime) -> i64 {
    (at.unix_timestamp_nanos() / 1_000_000) as i64
}

#[cfg(test)]
mod tests;
