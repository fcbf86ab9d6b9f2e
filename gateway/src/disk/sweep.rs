//! The task that goes over the tier, a little at a time: what is dead is forgotten, and what lives says how old a mark may be and
//! still be needed.
//!
//! While the folder can't be read (it is missing, or another process has it), no round ends, and no mark is forgotten: what lies there
//! is still to be judged when it comes back, and that it is dead could be written down nowhere else. Marks keep within their bound
//! meanwhile by purging more than was asked, never less; whoever gives up the folder starts the edge without `--disk`.

use super::Disk;
use latencify_cache::MarksCount;
use latencify_conf::change::Epoch;
use latencify_disk::Place;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// How long after a round the next one begins, if something was purged.
const ROUND_EVERY: Duration = Duration::from_mins(1);
/// How many objects it looks at before it lets the disk be …
const OBJECTS_PER_STEP: usize = 1_024;
/// … and for how long: a million objects take a quarter of an hour.
const STEP_EVERY: Duration = Duration::from_secs(1);

/// Sweeps for the life of the process.
pub async fn keep_swept(disk: Arc<Disk>, marks: Arc<latencify_cache::Marks>) {
    let mut changes = 0;
    loop {
        sleep(ROUND_EVERY).await;
        let MarksCount {
            changes: now,
            marks: kept,
            ..
        } = marks.count();
        if now != changes && kept > 0 && round(&disk, &marks).await.is_some() {
            changes = now;
        }
    }
}

/// None: the folder can't be read now.
async fn round(disk: &Disk, marks: &latencify_cache::Marks) -> Option<()> {
    let round = marks.begin_kept_round();
    let mut place = Place::default();
    let mut oldest: Option<(Epoch, u64)> = None;
    loop {
        let walked = disk.tier().walk(place, OBJECTS_PER_STEP).await.ok()?;
        if let Some((epoch, local)) = walked.oldest {
            let (low_epoch, low_local) = oldest.unwrap_or((epoch, local));
            oldest = Some((low_epoch.min(epoch), low_local.min(local)));
        }
        let Some(next) = walked.next else {
            break;
        };
        place = next;
        sleep(STEP_EVERY).await;
    }
    let floor = marks.end_kept_round(&round, oldest);
    disk.keeper().note_floor(floor);
    marks.forget_kept();
    Some(())
}
