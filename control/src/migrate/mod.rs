//! `latencify-control migrate-log`: a new log with every entry that a store has folded, and the store follows it.
//!
//! # What it is for
//! From SQLite to Kafka and back; a log that was lost (the topic was deleted) while a store was kept; a data folder that was
//! restored from a backup, whose log has lost entries that edges obey. In all of them edges must see another log, so that
//! they start over from its head: a new identity says so.
//!
//! # Characters
//! - [`source`]: the store, brought up to the end of the old log as far as that is there.
//! - [`target`]: the new log, being filled. Its first entry names the old log and how many entries follow, so nobody
//!   follows it before they are there, and a move that was killed is known again.
//! - [`store`]: the new store: the old one's tokens and files, and all else folded from the new log, compared with the old.
//!
//! # The steps, each of which may be cut off and is then found done, half done or not begun
//! 1. The old log's last entries are folded into the store.
//! 2. The new log is begun, or found again: its entries so far must be the store's. The rest is appended, byte by byte.
//! 3. The new log is folded from its first entry, and compared with the store.
//! 4. The old log is marked as moved: in Kafka by a last entry, at which every fold stops and tells the flags of the new
//!    place. It holds only right behind the last entry that was moved, so nothing that was acknowledged is left behind; and
//!    while another replica is announced in the log, nothing is moved at all. A lost log can't be marked.
//! 5. The new store takes the old one's place. From here on control starts on the new log.
//!
//! # Rejected
//! - *Rewriting the epochs in the store*: everything that was folded is folded again instead, by the same fold as ever, so
//!   a move can't come to another state than the log that it wrote.
//! - *Leaving out what the fold refused*: the window of repeats counts entries, so the same entries must stand as far apart.

mod source;
mod store;
mod target;

use crate::{data, kafka::Cluster, log, output::Progress, store::Store};
use anyhow::{Context as _, bail};
use latencify_conf::change::{LogId, Moved};
use std::path::PathBuf;
use target::Target;

/// What is to be moved, and where to.
#[derive(Debug, Clone)]
pub struct Order {
    /// The data folder of the store.
    pub data: PathBuf,
    /// The new log is in this cluster; none: in the data folder.
    pub to: Option<Cluster>,
    /// The old log is in this cluster; none: in the data folder.
    pub from: Option<Cluster>,
    /// The old log is lost, or not to be read any more: what the store has folded is all there is.
    pub log_is_lost: bool,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The store follows the new log.
    Moved {
        /// The log before.
        from: LogId,
        /// The new one.
        to: LogId,
        /// How many entries it has.
        entries: u64,
        /// Where it is, for people.
        place: String,
        /// The flags that start control on it.
        flags: String,
        /// Where the old log still lies, marked, for people; none: it was lost.
        old: Option<String>,
    },
    /// It did so already.
    Already {
        /// The log.
        log: LogId,
        /// The flags that start control on it.
        flags: String,
    },
}

/// Moves the log.
pub async fn run(order: &Order, progress: &Progress) -> anyhow::Result<Done> {
    if !order.data.join(crate::store::FILE).is_file() {
        bail!(
            "--data {} holds no store of control, so there is no log to move",
            order.data.display()
        );
    }
    let _lock = data::hold(&order.data)?;
    let store = Store::open(&order.data)
        .await
        .context("opening the store")?;
    let Some(bound) = store.bound().await? else {
        bail!(
            "the store in {} has followed no log yet, so there is nothing to move: start control where its log shall be",
            order.data.display()
        );
    };
    let place = target::Place::new(order, bound);
    let there = place.peek().await?;
    if there.is_some_and(|origin| origin.log == bound)
        && (order.to.is_some() || !order.wants_anew())
    {
        if order.log_is_lost {
            bail!(
                "{} holds log {bound} still, which the store follows: delete it first, so that another log can take its place",
                place.describe()
            );
        }
        return Ok(Done::Already {
            log: bound,
            flags: place.flags(),
        });
    }

    let state = source::catch_up(order, &place, &store, bound, progress).await?;
    let entries = store.count_entries().await?;
    let moved = Moved {
        log: bound,
        entries: entries.saturating_sub(1),
    };
    let target = Target::open(&place, moved).await?;
    target.fill(&store, progress).await?;
    let fresh = store::refold(&order.data, &store, &target, progress).await?;
    store::compare(&order.data, &fresh, &state, &target).await?;
    source::end(order, &state, &target.mark(&place), target.how_to_clear()).await?;

    let (to, head) = (target.identity(), target.head().await?);
    fresh.close().await?;
    store.close().await?;
    let old = target.take_place(&place, order).await?;
    store::take_place(&order.data)?;
    Ok(Done::Moved {
        from: bound,
        to,
        entries: head.0,
        place: place.describe(),
        flags: place.flags(),
        old,
    })
}

impl Order {
    /// Whether the log in the data folder is to be begun anew although the store follows it.
    fn wants_anew(&self) -> bool {
        self.to.is_none() && self.from.is_none()
    }

    fn file(&self) -> PathBuf {
        self.data.join(log::sqlite::FILE)
    }
}
