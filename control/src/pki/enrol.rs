//! Who may have a certificate, and for which name.

use super::{Pki, PkiError, certificate, millis};
use crate::{
    auth::Token,
    store::{StoreError, certificates::Invitation},
};
use latencify_conf::{
    change::RevokedCertificate,
    link::{
        message::Enrolled,
        replica::is_edge_name,
        trust::{JoinText, REQUEST_BYTES_MAX},
    },
};
use rcgen::{CertificateSigningRequestParams, PublicKeyData as _};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use time::OffsetDateTime;

/// What the text of an invitation begins with.
const INVITATION: &str = "lat_edge_";
/// Bytes of chance in an invitation.
const SECRET_BYTES: usize = 32;
/// The most invitations that are neither used nor expired: who makes them without end fills the store.
pub const OPEN_INVITATIONS_MAX: u64 = 10_000;
/// The most octets of a token that is looked at.
const TOKEN_BYTES_MAX: usize = 1024;

/// Why an edge gets no certificate. What it is told, in full.
#[derive(Debug, thiserror::Error)]
pub enum NotEnrolled {
    /// It shows no token.
    #[error("send a join token: `latencify edge invite NAME` makes one")]
    NoToken,
    /// It is nobody's.
    #[error(
        "the join token is not this fleet's, or has been taken back: `latencify edge invite NAME` makes another"
    )]
    UnknownToken,
    /// It is too late.
    #[error("the join token for {0} has expired: `latencify edge invite {0}` makes another")]
    Expired(String),
    /// Somebody was here before.
    #[error(
        "the join token for {0} was used already, with another key: if that was not you, revoke what it got \
         (`latencify edge revoke {0}`), then `latencify edge invite {0}` makes another"
    )]
    Used(String),
    /// It is another's.
    #[error(
        "the join token is for {token}, not for {edge}: `latencify edge invite {edge}` makes one"
    )]
    OtherName {
        /// Whose it is.
        token: String,
        /// Who asks.
        edge: String,
    },
    /// It was sent away.
    #[error(
        "the certificates of {0} were revoked: only an invitation lets it in again, `latencify edge invite {0}`"
    )]
    Barred(String),
    /// No name.
    #[error("edge name {0:?}: 1 to 100 letters, digits, dots, hyphens and underscores")]
    BadName(String),
    /// Not a request for a certificate.
    #[error("the request for a certificate can't be used: {0}")]
    BadRequest(String),
    /// Control can't do it now.
    #[error("no certificate can be made now: {0}")]
    Failed(#[from] PkiError),
}

impl From<StoreError> for NotEnrolled {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl NotEnrolled {
    /// Its stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::UnknownToken => "unknown_token",
            Self::Expired(_) => "token_expired",
            Self::Used(_) => "token_used",
            Self::OtherName { .. } => "other_name",
            Self::Barred(_) => "barred",
            Self::BadName(_) => "bad_name",
            Self::BadRequest(_) => "bad_request",
            Self::Failed(_) => "failed",
        }
    }
}

/// An invitation that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invited {
    /// The token; it is nowhere else.
    pub token: String,
    /// When it expires.
    pub expires: OffsetDateTime,
}

/// What a token is good for, before it is used.
pub enum Admitted {
    /// The name that its invitation says.
    Invited(Invitation),
    /// Any name that is not barred: the token that any number of edges join with.
    Joins,
}

impl Pki {
    /// Makes an invitation for an edge. The caller has checked its name.
    pub async fn invite(
        &self,
        edge: &str,
        by: &str,
        expires_in: Duration,
    ) -> Result<Option<Invited>, PkiError> {
        let now = OffsetDateTime::now_utc();
        if self.store().open_invitations(millis(now)).await? >= OPEN_INVITATIONS_MAX {
            return Ok(None);
        }
        let secret = certificate::hex(&rand::random::<[u8; SECRET_BYTES]>());
        let secret = format!("{INVITATION}{secret}");
        let expires = now + expires_in;
        let invitation = Invitation {
            hash: hash(&secret),
            edge: edge.to_owned(),
            by: by.to_owned(),
            expires_ms: millis(expires),
            used_for: None,
        };
        self.store().invite(invitation, millis(now)).await?;
        Ok(Some(Invited {
            token: JoinText::write(&secret, &self.fingerprint()?),
            expires,
        }))
    }

    /// What a token is good for. Nothing is made of a stranger's request before this.
    pub async fn admits(&self, join: &Token, token: &str) -> Result<Admitted, NotEnrolled> {
        let secret = JoinText::read(token).secret;
        if secret.len() > TOKEN_BYTES_MAX {
            return Err(NotEnrolled::UnknownToken);
        }
        if join.is(secret) {
            return Ok(Admitted::Joins);
        }
        // It is found by its hash, so how long that takes says nothing about other tokens.
        let found = self.store().invitation(&hash(secret)).await?;
        found
            .map(Admitted::Invited)
            .ok_or(NotEnrolled::UnknownToken)
    }

    /// Gives an edge its first certificate. An invitation is used up by that; the same key may come again with it until it
    /// expires, because the answer may have been lost.
    pub async fn enrol(
        &self,
        admitted: Admitted,
        edge: &str,
        request: &[u8],
    ) -> Result<Enrolled, NotEnrolled> {
        let now = OffsetDateTime::now_utc();
        let key = key_of(request)?;
        let _issuing = self.inner.issuing.read().await;
        match admitted {
            Admitted::Joins => {
                if !is_edge_name(edge) {
                    return Err(NotEnrolled::BadName(edge.chars().take(200).collect()));
                }
                if self.store().is_barred(edge).await? {
                    return Err(NotEnrolled::Barred(edge.to_owned()));
                }
                self.issue(edge, &key, now).await
            }
            Admitted::Invited(invitation) => {
                let name = invitation.edge.clone();
                if !edge.is_empty() && edge != name {
                    let edge = edge.chars().take(200).collect();
                    return Err(NotEnrolled::OtherName { token: name, edge });
                }
                if invitation.expires_ms <= millis(now) {
                    return Err(NotEnrolled::Expired(name));
                }
                let used_for = Sha256::digest(key.der_bytes());
                if !self.store().redeem(&invitation, &used_for).await? {
                    return Err(NotEnrolled::Used(name));
                }
                self.issue(&name, &key, now).await
            }
        }
    }

    /// Gives an edge its next certificate. The caller has seen that the present one holds.
    pub async fn renew(&self, edge: &str, request: &[u8]) -> Result<Enrolled, NotEnrolled> {
        let key = key_of(request)?;
        let _issuing = self.inner.issuing.read().await;
        if self.store().is_barred(edge).await? {
            return Err(NotEnrolled::Barred(edge.to_owned()));
        }
        self.issue(edge, &key, OffsetDateTime::now_utc()).await
    }

    /// From now on only a new invitation lets this edge in. The certificates that it has had are to be taken back.
    pub async fn send_away(&self, edge: &str) -> Result<Vec<RevokedCertificate>, PkiError> {
        let _issuing = self.inner.issuing.write().await;
        let now_ms = millis(OffsetDateTime::now_utc());
        self.store().bar_edge(edge, now_ms).await?;
        Ok(self.store().certificates_of(edge, now_ms).await?)
    }

    async fn issue(
        &self,
        edge: &str,
        key: &rcgen::PublicKey,
        now: OffsetDateTime,
    ) -> Result<Enrolled, NotEnrolled> {
        let issued = certificate::for_edge(self.authority()?, edge, key, self.lifetime())
            .map_err(NotEnrolled::Failed)?;
        self.store()
            .note_certificate(edge, &issued.serial, millis(issued.until), millis(now))
            .await?;
        tracing::info!(edge, serial = issued.serial, until = %issued.until, "an edge has a new certificate");
        let octets = |der: &[u8]| bytes::Bytes::copy_from_slice(der);
        Ok(Enrolled {
            edge: edge.to_owned(),
            chain: vec![octets(issued.certificate.der())],
            authorities: self
                .authorities()
                .iter()
                .map(|authority| octets(authority.der()))
                .collect(),
        })
    }
}

/// The public key of a request, whose sender has proven that it has the private one.
fn key_of(request: &[u8]) -> Result<rcgen::PublicKey, NotEnrolled> {
    if request.len() > REQUEST_BYTES_MAX {
        let why = format!("it has more than {REQUEST_BYTES_MAX} octets");
        return Err(NotEnrolled::BadRequest(why));
    }
    let read = CertificateSigningRequestParams::from_der(&request.into());
    let read = read.map_err(|error| NotEnrolled::BadRequest(error.to_string()))?;
    Ok(read.public_key)
}

fn hash(secret: &str) -> String {
    certificate::hex(&Sha256::digest(secret))
}
