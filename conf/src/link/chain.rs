//! The hash chain over accepted entries: altering, dropping or reordering one changes every later hash.

use crate::{
    change::{Epoch, LogId, Position},
    digest::Digest,
};
use sha2::{Digest as _, Sha256};

/// The position before the first entry of a log.
pub fn genesis(log: LogId) -> Position {
    Position {
        log,
        epoch: Epoch(0),
        hash: Digest::of_parts([b"latencify change log 1".as_slice(), log.0.as_bytes()]),
    }
}

/// The position after one more accepted entry: SHA-256 over the previous hash, the epoch and the entry's bytes.
pub fn extend(previous: &Position, epoch: Epoch, entry: &[u8]) -> Position {
    let mut hasher = Sha256::new();
    hasher.update(previous.hash.0);
    hasher.update(epoch.0.to_be_bytes());
    hasher.update(entry);
    Position {
        log: previous.log,
        epoch,
        hash: Digest(hasher.finalize().into()),
    }
}
