//! The tier's beginning and end.

use super::{Disk, OpenError, Options, sweep::keep_swept, watch::keep_watched};
use crate::cache::MemoryStorage;
use std::sync::Arc;

/// Puts a disk tier below that storage, and its tasks into the present runtime. The folder is opened in its own time.
pub fn start(options: &Options, storage: &'static MemoryStorage) -> Result<(), OpenError> {
    let marks = storage.marks();
    let disk = Arc::new(Disk::open(options, Arc::clone(marks))?);
    tokio::spawn(keep_swept(disk.clone(), Arc::clone(marks)));
    tokio::spawn(keep_watched(disk.clone()));
    storage.set_disk(disk);
    Ok(())
}

/// Gives the folder back, if there is one. Nothing is served any more.
pub async fn end(storage: &MemoryStorage) {
    if let Some(disk) = storage.disk().cloned() {
        let closed = tokio::task::spawn_blocking(move || disk.close());
        if closed.await.is_err() {
            tracing::warn!("closing the disk tier failed");
        }
    }
}
