//! Where a purge that a client sent to this edge goes: into the log of the fleet, or, alone, to this edge's own marks.

use crate::{cache::MemoryStorage, disk::purge_here};
use async_trait::async_trait;
use latencify_conf::change::{Epoch, Mode, SiteId, Target};

/// Takes a `PURGE` of one path to whoever makes it true.
#[async_trait]
pub trait PurgePort: Send + Sync {
    /// Purges all variants of a normal path of a site. `host` is what the client called the site: lower case, no port.
    /// `key` tells this purge from others; it is the client's idempotency key, if there is one.
    async fn purge(
        &self,
        site: SiteId,
        host: &str,
        path: &str,
        mode: Mode,
        key: &str,
    ) -> Result<Purged, PurgeRefused>;
}

/// The purge holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purged {
    /// Its id in the fleet; none: this edge alone.
    pub id: Option<String>,
    /// Its place in the log; none: this edge alone.
    pub epoch: Option<Epoch>,
}

/// The purge did not happen, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PurgeRefused {
    /// Control can't be reached; the same request may succeed later.
    #[error("control can't be reached: {0}")]
    Unreachable(String),
    /// This edge obeys it now, but can't keep it over a restart; the same request may succeed later.
    #[error(
        "the purge holds until this edge is restarted: the disk tier's folder can't be written"
    )]
    NotKept,
    /// Control refused it.
    #[error("control refused the purge: {0}")]
    Refused(String),
}

/// An edge alone: a purge is a mark of its own, and holds when it is made.
pub struct OwnMarks(pub &'static MemoryStorage);

#[async_trait]
impl PurgePort for OwnMarks {
    async fn purge(
        &self,
        site: SiteId,
        _host: &str,
        path: &str,
        mode: Mode,
        _key: &str,
    ) -> Result<Purged, PurgeRefused> {
        let path = path.to_owned();
        if !purge_here(self.0, &[Target::Url { site, path }], mode).await {
            return Err(PurgeRefused::NotKept);
        }
        Ok(Purged {
            id: None,
            epoch: None,
        })
    }
}
