//! Letting edges in, and sending them away.

use super::{Control, Refused};
use crate::pki::{
    PkiError,
    enrol::{Invited, OPEN_INVITATIONS_MAX},
    millis,
};
use latencify_conf::{
    change::{Change, Epoch, REVOKED_CERTIFICATES_MAX},
    link::replica::is_edge_name,
};
use std::time::Duration;
use time::OffsetDateTime;

/// An invitation may be used for so long at the most: it lies in somebody's notes meanwhile.
pub const INVITATION_MAX: Duration = Duration::from_hours(7 * 24);

/// An edge that was sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedEdge {
    /// How many certificates count no more.
    pub certificates: usize,
    /// The entry that says so; none: there was no certificate.
    pub epoch: Option<Epoch>,
}

impl From<PkiError> for Refused {
    fn from(error: PkiError) -> Self {
        match error {
            PkiError::Store(error) => Self::Store(error),
            other => Self::Conflict(other.to_string()),
        }
    }
}

impl Control {
    /// Makes a token that lets one edge in, once.
    pub async fn invite_edge(
        &self,
        by: &str,
        edge: &str,
        expires_in: Duration,
    ) -> Result<Invited, Refused> {
        if !is_edge_name(edge) {
            return Err(Refused::Invalid(format!(
                "edge name {edge:?}: 1 to 100 letters, digits, dots, hyphens and underscores"
            )));
        }
        if expires_in.is_zero() || expires_in > INVITATION_MAX {
            return Err(Refused::Invalid(
                "an invitation expires within 7 days, like 1h".to_owned(),
            ));
        }
        let invited = self.pki.invite(edge, by, expires_in).await?;
        invited.ok_or_else(|| {
            Refused::Conflict(format!(
                "{OPEN_INVITATIONS_MAX} invitations are neither used nor expired: wait until some are"
            ))
        })
    }

    /// Takes every certificate of an edge back, and lets it in again by a new invitation alone. Its live streams end, on every
    /// replica, when the entry is folded there.
    pub async fn revoke_edge(&self, by: &str, edge: &str) -> Result<RevokedEdge, Refused> {
        let now_ms = millis(OffsetDateTime::now_utc());
        let known = self.fleet.store.knows_edge(edge, now_ms).await?;
        if !known {
            return Err(Refused::NotFound(format!(
                "no certificate was issued to an edge {edge:?}, and no invitation is open for it"
            )));
        }
        let certificates = self.pki.send_away(edge).await?;
        let mut epoch = None;
        for some in certificates.chunks(REVOKED_CERTIFICATES_MAX) {
            let change = Change::CertificateRevoked {
                edge: edge.to_owned(),
                certificates: some.to_vec(),
            };
            epoch = Some(self.write(by, None, change).await?.epoch);
        }
        Ok(RevokedEdge {
            certificates: certificates.len(),
            epoch,
        })
    }
}
