//! The disk tier of this edge: Pingora adapters of its engine (`latencify-disk`), and what has to outlive a restart for it to
//! be believed.
//!
//! # Characters
//! - [`Disk`]: the tier as the rest of the edge holds it. Memory's [storage](crate::cache::MemoryStorage) asks it on a miss, and
//!   gives it what is fetched.
//! - [`look`]: what a look-up finds. [`DiskHit`]: a body that is read; [`DiskFill`]: one on its way; [`follow`]: whoever reads it meanwhile.
//! - [`header`]: what of an object's head is written.
//! - [`admission`]: what is worth a write, as the policy says.
//! - [`local_marks`]: what this edge purges alone, on disk.
//! - [`sweep`]: goes over the tier, so that marks may be forgotten. [`watch`]: tells of a folder that can't be used.
//!
//! # What is believed
//! One rule for every tier: same log, stamp at or above the floor, no matching hard mark above the stamp. The marks know the
//! floor of this tier ([`marks`](latencify_cache::marks)), and they outlive a restart: an ack waits until they are on disk. Without
//! them nothing of what is here is used.
//!
//! # Who waits
//! Nobody waits for a disk but the tier's threads, and requests as long as the deadlines here say. What takes longer, and whatever
//! is wrong with the folder, is a miss, and counted.

pub mod admission;
mod fill;
mod follow;
mod header;
mod hit;
pub mod local_marks;
mod look;
mod promote;
mod purging;
mod start;
mod sweep;
mod watch;

pub use fill::DiskFill;
pub use hit::{DiskHit, judge, length_of};
pub use look::{Found, FoundBody};
pub use promote::{PROMOTE_BYTES_MAX, PROMOTIONS_MAX};
pub use purging::purge_here;
pub use start::{end, start};

use crate::cache::{self, Fetched, StoredMeta, key_ref};
use admission::Admission;
use latencify_cache::{Identity, KeyRef, Marks, Stamp};
use latencify_disk::{
    Fault, FileSystem, Head, Judge, Layer, Refusal, Settings, SettingsError, Tier, TierCount,
};
use local_marks::{Began, Keeper, Later, MarksFile, Run};
use pingora::cache::CacheKey;
use promote::Promotions;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::time::timeout;

/// What is done less often than look-ups waits so many times as long: a body is verified before it is sent, a purge is written.
const LONG_WAITS: u32 = 4;
/// How long before the folder is tried again: another process may be about to give it back.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// A stop waits so long for the disk.
pub const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// The disk tier.
pub struct Disk {
    tier: Tier,
    folder: PathBuf,
    wait: Duration,
    marks: Arc<Marks>,
    admission: Admission,
    keeper: Keeper,
    promotions: Promotions,
    numbers: Numbers,
}

/// How large the tier is, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// An existing folder for it alone.
    pub folder: PathBuf,
    /// The most bytes of all files in it.
    pub bytes_max: u64,
    /// A look-up waits so long for the disk; then it is a miss.
    pub wait: Duration,
    /// Whether the edge is a member of a fleet.
    pub in_fleet: bool,
}

/// What is counted here.
#[derive(Debug, Default)]
struct Numbers {
    late: AtomicU64,
    unreadable: AtomicU64,
    not_admitted: AtomicU64,
}

/// Numbers for metrics.
#[derive(Debug)]
pub struct DiskCount {
    /// The tier's own.
    pub tier: TierCount,
    /// Look-ups that did not wait any longer.
    pub late: u64,
    /// Objects whose header is of another version.
    pub unreadable: u64,
    /// Responses that the policy did not admit.
    pub not_admitted: u64,
    /// Purges that were acknowledged before they were on disk.
    pub marks_late: u64,
    /// Failed attempts to write them.
    pub marks_failures: u64,
}

/// The marks, as the tier asks them.
struct Asked {
    marks: Arc<Marks>,
    file: MarksFile,
    later: Later,
}

impl Options {
    /// Whether a tier can be so; for people, with the remedy.
    pub fn check(&self) -> Result<(), String> {
        if self.folder.exists() && !self.folder.is_dir() {
            return Err(format!(
                "--disk {}: it is not a folder; name a folder for the disk tier alone",
                self.folder.display()
            ));
        }
        if self.wait.is_zero() {
            return Err("--disk-wait 0s finds nothing: give it some time, like 500ms".to_owned());
        }
        self.settings().check().map_err(|error| match error {
            SettingsError::TooSmall { least, .. } => format!(
                "--disk-bytes: a disk tier of {} bytes is too small; give it at least {least}",
                self.bytes_max
            ),
            error @ SettingsError::Layout { .. } => format!("--disk-bytes: {error}"),
        })
    }

    fn settings(&self) -> Settings {
        Settings {
            retry: RETRY_EVERY,
            ..Settings::new(&self.folder, self.bytes_max)
        }
    }
}

impl Disk {
    /// Opens the tier in its own time. The marks must stand as this edge left them, and [keep](Marks::keep) what outlives the process.
    pub fn open(options: &Options, marks: Arc<Marks>) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(FileSystem), options, marks)
    }

    fn open_on(
        layer: Arc<dyn Layer>,
        options: &Options,
        marks: Arc<Marks>,
    ) -> Result<Self, OpenError> {
        let (number, epoch) = marks.run().unwrap_or_default();
        let in_fleet = options.in_fleet;
        let began = Began { epoch, in_fleet };
        let file = MarksFile::new(&options.folder, Run { number, began });
        let keeper = Keeper::start(file.clone(), options.wait.saturating_mul(LONG_WAITS))?;
        let asked = Asked {
            marks: Arc::clone(&marks),
            file,
            later: keeper.later(),
        };
        Ok(Self {
            tier: Tier::open_on(layer, options.settings(), Arc::new(asked))?,
            folder: options.folder.clone(),
            wait: options.wait,
            marks,
            admission: Admission::default(),
            keeper,
            promotions: Promotions::default(),
            numbers: Numbers::default(),
        })
    }

    /// Begins to store what is fetched, beside memory; none: it is not stored here, which concerns nobody.
    pub fn begin(
        &self,
        key: &CacheKey,
        identity: &Identity,
        fetched: &Fetched,
        meta: &StoredMeta,
    ) -> Option<DiskFill> {
        let key = key_ref(key);
        let is_there = || self.tier.contains(key);
        if !self.admission.admits(fetched.disk, key, is_there) {
            self.numbers.not_admitted.fetch_add(1, Relaxed);
            self.tier.remove(key, None);
            return None;
        }
        let held = self.marks.hold(&fetched.fetch);
        let head = head_of(key, identity.clone(), fetched, meta);
        let begun = head.map(|head| self.tier.fill(head, meta.announced_bytes()));
        match begun {
            Some(Ok(writer)) => Some(DiskFill::new(writer, fetched.object_bytes_max, held)),
            Some(Err(Refusal::Older)) => None,
            Some(Err(_)) | None => {
                // What memory serves from now on is later than that.
                self.tier.remove(key, None);
                None
            }
        }
    }

    /// A 304 renewed what was found, `base`. If that was found here, the next look-up finds it renewed, unless the disk is slow; what
    /// was found in memory is renewed here in its own time.
    pub async fn renew(
        &self,
        key: &CacheKey,
        base: &cache::Hit,
        identity: &Identity,
        fetched: &Fetched,
        meta: &StoredMeta,
    ) {
        let key = key_ref(key);
        let of = base.on_disk();
        let there = || self.tier.version_of(key, base.fetch().generation);
        let Some(renewed) = of.or_else(there) else {
            return;
        };
        let Some(head) = head_of(key, identity.clone(), fetched, meta) else {
            return;
        };
        let ticket = self.tier.renew(renewed, head);
        if of.is_some() && timeout(self.wait, ticket).await.is_err() {
            self.numbers.late.fetch_add(1, Relaxed);
        }
    }

    /// What this edge purges alone, on disk.
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// The engine.
    pub fn tier(&self) -> &Tier {
        &self.tier
    }

    /// Before an answer begins, what it will be is verified; it waits so long for that, and is a miss if it takes longer.
    pub fn prove_within(&self) -> Duration {
        self.wait.saturating_mul(LONG_WAITS)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Why its folder can't be used now; none: it can, or is being opened.
    pub fn trouble(&self) -> Option<Fault> {
        self.tier.trouble()
    }

    /// Numbers for metrics.
    pub fn count(&self) -> DiskCount {
        DiskCount {
            tier: self.tier.count(),
            late: self.numbers.late.load(Relaxed),
            unreadable: self.numbers.unreadable.load(Relaxed),
            not_admitted: self.numbers.not_admitted.load(Relaxed),
            marks_late: self.keeper.late(),
            marks_failures: self.keeper.failures(),
        }
    }

    /// Writes what waits and gives the folder back. Blocks the calling thread, for [`CLOSE_WITHIN`] at most.
    pub fn close(&self) {
        self.close_within(CLOSE_WITHIN);
    }

    fn close_within(&self, limit: Duration) {
        let began = Instant::now();
        let folder = self.folder.display();
        if !self.keeper.finish(limit) {
            tracing::error!(
                %folder,
                "the disk hangs: what this edge purged alone and it has not taken after {limit:?} may be served from it after a restart"
            );
        }
        if !self.tier.close(limit.saturating_sub(began.elapsed())) {
            tracing::warn!(
                %folder,
                "the disk hangs: what it has not taken after {limit:?} is not stored"
            );
        }
    }
}

/// A tier can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A thread.
    #[error("a thread of the disk tier: {0}")]
    Thread(#[from] io::Error),
}

impl Judge for Asked {
    fn is_dead(&self, identity: &Identity, stamp: &Stamp) -> bool {
        self.marks.check_kept(identity, stamp).is_dead()
    }

    fn opened(&self, _folder: &Path) -> io::Result<()> {
        local_marks::inherit(&self.file, &self.marks, &self.later)
    }

    fn is_worth_keeping(&self, head: &Head) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_millis();
        head.keep_until_ms == 0 || u128::from(head.keep_until_ms) > now
    }
}

fn head_of(
    key: KeyRef<'_>,
    identity: Identity,
    fetched: &Fetched,
    meta: &StoredMeta,
) -> Option<Head> {
    Some(Head {
        key: key.to_key(),
        identity,
        fetch: fetched.fetch,
        keep_until_ms: header::keep_until_ms(meta),
        header: header::encode(meta)?.into(),
    })
}

#[cfg(test)]
mod tests;
