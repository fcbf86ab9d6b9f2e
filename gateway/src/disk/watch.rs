//! Tells of a folder that can't be used, and of one that can be again.

use super::Disk;
use latencify_disk::Fault;
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks for the life of the process.
pub async fn keep_watched(disk: Arc<Disk>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was = (false, None);
    loop {
        ticks.tick().await;
        let is = (disk.tier().is_ready(), disk.trouble());
        if is == was {
            continue;
        }
        let folder = disk.folder().display();
        match is {
            (true, _) => {
                let objects = disk.tier().count().objects;
                info!(%folder, objects, "the disk tier is open");
            }
            (false, Some(Fault::Locked)) => warn!(
                %folder,
                "another process has the disk tier's folder: nothing is found there until it has ended; if it is not one that this \
                 one takes over from, give each edge a folder of its own (--disk)"
            ),
            (false, Some(fault)) => error!(
                %folder, reason = fault.name(),
                "the disk tier can't be used, so that nothing is found there: {fault}; {}; it is tried again until it succeeds",
                remedy(fault)
            ),
            (false, None) => {}
        }
        was = is;
    }
}

fn remedy(fault: Fault) -> &'static str {
    match fault {
        Fault::MissingFolder => "make it, or mount it",
        Fault::ReadOnly => "make it writable for this user",
        Fault::DiskFull => "make room",
        _ => "look at the disk",
    }
}
