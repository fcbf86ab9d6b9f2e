//! What this edge purges alone.

use crate::cache::MemoryStorage;
use latencify_cache::LocalMark;
use latencify_conf::change::{Mode, Target};
use latencify_disk::Fault;

/// Purges on this edge alone. When this comes back, every look-up obeys. True: after a restart, too. False: the disk tier's folder
/// did not take it in time, which is counted; it is tried again, and only a process that is killed before forgets it.
pub async fn purge_here(storage: &MemoryStorage, targets: &[Target], mode: Mode) -> bool {
    let marks = storage.marks();
    let mut noted = None;
    for target in targets {
        let at = marks.now();
        let number = marks.local_purge(target, mode);
        if let Some(disk) = storage.disk() {
            let target = target.clone();
            noted = Some(disk.keeper().note(&LocalMark {
                target,
                mode,
                number,
                at,
            }));
        }
    }
    if let (Some(noted), Some(disk)) = (noted, storage.disk()) {
        // A folder that can't be used keeps nobody waiting; one that another process has, does take it.
        if disk.trouble().is_none_or(|fault| fault == Fault::Locked) {
            return disk.keeper().saved(noted).await;
        }
        disk.keeper().is_late();
        return false;
    }
    true
}
