//! What is known of an object beside its body, as the owner of the tier sees it.

use bytes::Bytes;
use latencify_cache::{Fetch, Identity, Key, Stamp};
use std::{io, path::Path};

/// What is known of an object beside its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its key.
    pub key: Key,
    /// What purges can name.
    pub identity: Identity,
    /// The fetch, or the validation, that brought it. Of what an earlier run stored, the generation is 0.
    pub fetch: Fetch,
    /// Milliseconds since 1970 after which it is of no use, stale or not; 0: it always is. The tier hands it to its
    /// [`Judge`] and otherwise believes it opaque.
    pub keep_until_ms: u64,
    /// Whatever the owner keeps: status, header, lifetimes. The tier never looks inside.
    pub header: Bytes,
}

/// Which version of an object it is: what a validation renews, and what a removal removes, by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub(crate) u64);

/// Asks the marks. Called on threads of the tier, never under a lock of it.
pub trait Judge: Send + Sync + 'static {
    /// Whether it may not be served: another log, below the tier's floor, or a matching hard mark.
    fn is_dead(&self, identity: &Identity, stamp: &Stamp) -> bool;

    /// The folder is this process's now, and nothing of what is in it has been asked about. An error: it can't be used now,
    /// and is tried again later.
    fn opened(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Whether an object that is asked for often is still worth a second writing. No: its lifetime is over.
    fn is_worth_keeping(&self, _head: &Head) -> bool {
        true
    }
}

impl<F: Fn(&Identity, &Stamp) -> bool + Send + Sync + 'static> Judge for F {
    fn is_dead(&self, identity: &Identity, stamp: &Stamp) -> bool {
        self(identity, stamp)
    }
}

impl Head {
    /// About what it takes on disk, without what it says of the body.
    pub(crate) fn bytes(&self) -> u64 {
        let tags: usize = self.identity.tags.iter().map(|tag| tag.len() + 4).sum();
        128 + self.key.bytes()
            + self.identity.path.len() as u64
            + tags as u64
            + self.header.len() as u64
    }
}
