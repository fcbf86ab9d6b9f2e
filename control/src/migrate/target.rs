//! The new log, being filled with the store's entries.

use super::Order;
use crate::{
    data,
    kafka::Cluster,
    log::{
        ChangeLog, LogError, Opening, Origin, Reader, kafka,
        opening::reach,
        sqlite::{self, SqliteLog},
    },
    output::Progress,
    store::{Store, entity::entries},
};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use latencify_conf::change::{Epoch, LogId, Moved, MovedTo};
use std::{fs, path::PathBuf, time::Duration};

/// Entries that are read from the store and appended at a time.
const BATCH: u64 = 512;
/// How long the new log may take to give its next entries.
const READ_WAIT: Duration = Duration::from_secs(20);

/// Where the new log is to be.
pub(super) struct Place {
    cluster: Option<Cluster>,
    /// `changes.db`.
    file: PathBuf,
    bound: LogId,
    data: PathBuf,
}

impl Place {
    pub(super) fn new(order: &Order, bound: LogId) -> Self {
        Self {
            cluster: order.to.clone(),
            file: order.file(),
            bound,
            data: order.data.clone(),
        }
    }

    /// The log that is there; none if none is. Nothing is begun.
    pub(super) async fn peek(&self) -> Result<Option<Origin>, LogError> {
        match &self.cluster {
            Some(cluster) => kafka::peek(cluster).await,
            None => match sqlite::peek(&self.being_filled()).await? {
                Some(origin) => Ok(Some(origin)),
                None => sqlite::peek(&self.file).await,
            },
        }
    }

    /// The file in which a log grows that is to take the place of another.
    fn being_filled(&self) -> PathBuf {
        self.file.with_extension("db.moving")
    }

    /// Where a log lies that was there before.
    fn set_aside(&self, log: LogId) -> PathBuf {
        self.file.with_extension(format!("db.moved-{log}"))
    }

    /// For people.
    pub(super) fn describe(&self) -> String {
        match &self.cluster {
            Some(cluster) => topic(cluster),
            None => self.file.display().to_string(),
        }
    }

    /// The flags that start control on it.
    pub(super) fn flags(&self) -> String {
        match &self.cluster {
            Some(cluster) => format!(
                "--data {} --kafka {} --kafka-prefix {}",
                self.data.display(),
                cluster.brokers,
                cluster.prefix
            ),
            None => format!("--data {} (without --kafka)", self.data.display()),
        }
    }

    fn how_to_clear(&self) -> String {
        match &self.cluster {
            Some(cluster) => format!(
                "delete it if it is not needed (kafka-topics.sh --bootstrap-server {} --delete --topic {}), or choose another \
                 --kafka-prefix",
                cluster.brokers,
                cluster.topic(kafka::TOPIC)
            ),
            None => format!(
                "move it away if it is not needed: {}",
                self.being_filled().display()
            ),
        }
    }
}

/// For people.
fn topic(cluster: &Cluster) -> String {
    format!(
        "the topic {} on {}",
        cluster.topic(kafka::TOPIC),
        cluster.brokers
    )
}

/// The new log.
pub(super) struct Target {
    log: Log,
    moved: Moved,
    /// It already lies where it belongs.
    is_in_place: bool,
    how_to_clear: String,
}

enum Log {
    Sqlite(SqliteLog),
    Kafka(std::sync::Arc<dyn ChangeLog>),
}

impl Target {
    /// Begins the log, or finds it again.
    pub(super) async fn open(place: &Place, moved: Moved) -> anyhow::Result<Self> {
        let opening = Opening::Move(moved);
        let (log, is_in_place) = if let Some(cluster) = &place.cluster {
            let log = reach(&place.data, Some(cluster.clone()), opening).await?;
            (Log::Kafka(log), true)
        } else {
            let in_place = sqlite::peek(&place.file).await?;
            let is_in_place = in_place
                .and_then(|origin| origin.from)
                .is_some_and(|from| from.log == place.bound);
            let file = if is_in_place {
                place.file.clone()
            } else {
                place.being_filled()
            };
            data::private(&file)?;
            (
                Log::Sqlite(SqliteLog::open_file(&file, opening).await?),
                is_in_place,
            )
        };
        let target = Self {
            log,
            moved,
            is_in_place,
            how_to_clear: place.how_to_clear(),
        };
        let origin = target.log().origin();
        if origin.from.map(|from| from.log) != Some(moved.log) {
            bail!(
                "{} holds log {} already, which does not go on from {}: {}",
                place.describe(),
                origin.log,
                moved.log,
                target.how_to_clear
            );
        }
        if origin.from.is_some_and(|from| from.entries < moved.entries) {
            bail!(
                "{} holds log {}, which was begun from a store with {} entries of log {}, and this one has {}: {}, and begin \
                 with the store that has most",
                place.describe(),
                origin.log,
                origin.from.map_or(0, |from| from.entries),
                moved.log,
                moved.entries,
                target.how_to_clear
            );
        }
        Ok(target)
    }

    fn log(&self) -> &dyn ChangeLog {
        match &self.log {
            Log::Sqlite(log) => log,
            Log::Kafka(log) => &**log,
        }
    }

    pub(super) fn identity(&self) -> LogId {
        self.log().identity()
    }

    pub(super) async fn head(&self) -> Result<Epoch, LogError> {
        self.log().head().await
    }

    pub(super) async fn reader(&self) -> Result<Box<dyn Reader>, LogError> {
        self.log().reader(Epoch(0)).await
    }

    /// Whether another store's move began it, and it has, or will have, more than this store.
    pub(super) fn is_anothers(&self) -> bool {
        self.log().origin().from != Some(self.moved)
    }

    /// How it is got rid of, before anything follows it.
    pub(super) fn how_to_clear(&self) -> &str {
        &self.how_to_clear
    }

    /// What the old log is marked with.
    pub(super) fn mark(&self, place: &Place) -> MovedTo {
        MovedTo {
            log: self.identity(),
            place: place.describe(),
            flags: place.flags(),
        }
    }

    /// Compares what it has with the store's entries, and appends the others.
    pub(super) async fn fill(&self, store: &Store, progress: &Progress) -> anyhow::Result<()> {
        progress.begin("writing the new log", self.moved.entries);
        let there = self
            .head()
            .await?
            .0
            .saturating_sub(1)
            .min(self.moved.entries);
        let mut rows = Rows::new(store);
        let mut reader = self.reader().await?;
        let (mut done, mut is_first) = (0, true);
        while done < there {
            let records = reader.next(READ_WAIT).await?;
            if records.is_empty() {
                bail!("the new log does not give the entries that it has, after {done}");
            }
            for record in records {
                if std::mem::take(&mut is_first) {
                    continue;
                }
                if done == there {
                    break;
                }
                let row = rows
                    .next()
                    .await?
                    .context("the store has fewer entries than before")?;
                if row.bytes != record.bytes {
                    bail!(
                        "entry {} of the new log is not the store's: two moves ran at a time, or somebody else wrote to it; \
                         nothing follows it yet, so {}, and run this again",
                        record.epoch,
                        self.how_to_clear
                    );
                }
                done += 1;
            }
            progress.at(done);
        }
        if self.is_anothers() {
            if !self.log().origin().is_complete(self.head().await?) {
                bail!(
                    "another store's move into the new log is not finished: finish that one first"
                );
            }
            return Ok(());
        }
        self.append_rest(rows, done, progress).await
    }

    async fn append_rest(
        &self,
        mut rows: Rows<'_>,
        mut done: u64,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        loop {
            let mut batch = Vec::with_capacity(BATCH as usize);
            while (batch.len() as u64) < BATCH {
                let Some(row) = rows.next().await? else { break };
                batch.push(Bytes::from(row.bytes));
            }
            if batch.is_empty() {
                return Ok(());
            }
            let further = batch.len() as u64;
            self.log().append_in_order(batch).await.with_context(|| {
                format!(
                    "{done} of {} entries and more are in the new log; run this again to go on",
                    self.moved.entries
                )
            })?;
            done += further;
            progress.at(done);
        }
    }

    /// Puts the new log in the old one's place if it is a file, and marks the old one as moved if that is a file. Says
    /// where the old one lies, if that is known.
    pub(super) async fn take_place(
        self,
        place: &Place,
        order: &Order,
    ) -> anyhow::Result<Option<String>> {
        let mark = self.mark(place);
        if let Log::Sqlite(log) = self.log {
            log.close().await?;
        }
        let before = sqlite::peek(&place.file).await?;
        let is_old = before.is_some_and(|origin| origin.log == place.bound);
        if is_old {
            sqlite::mark_as_moved(&place.file, &mark).await?;
        }
        let elsewhere = order.from.as_ref().map(topic);
        let shown = |file: PathBuf| file.exists().then(|| file.display().to_string());
        if place.cluster.is_some() {
            let here = || is_old.then(|| place.file.display().to_string());
            return Ok(elsewhere.or_else(here));
        }
        let old = place.set_aside(place.bound);
        if self.is_in_place {
            return Ok(elsewhere.or_else(|| shown(old)));
        }
        if let Some(before) = before {
            // A second name, so that there is no moment without a log.
            let aside = place.set_aside(before.log);
            let _ = fs::remove_file(&aside);
            fs::hard_link(&place.file, &aside).with_context(|| {
                format!("keeping {} as {}", place.file.display(), aside.display())
            })?;
        }
        let filled = place.being_filled();
        fs::File::open(&filled)?.sync_all()?;
        fs::rename(&filled, &place.file)
            .with_context(|| format!("putting {} in its place", filled.display()))?;
        fs::File::open(&place.data)?.sync_all()?;
        Ok(elsewhere.or_else(|| shown(old)))
    }
}

/// The store's entries after the first, in order.
struct Rows<'s> {
    store: &'s Store,
    after: Epoch,
    read: std::vec::IntoIter<entries::Model>,
    is_first: bool,
}

impl<'s> Rows<'s> {
    fn new(store: &'s Store) -> Self {
        Self {
            store,
            after: Epoch(0),
            read: Vec::new().into_iter(),
            is_first: true,
        }
    }

    async fn next(&mut self) -> anyhow::Result<Option<entries::Model>> {
        loop {
            if let Some(row) = self.read.next() {
                self.after = Epoch(row.epoch as u64);
                if std::mem::take(&mut self.is_first) {
                    continue;
                }
                return Ok(Some(row));
            }
            let rows = self.store.entries_after(self.after, BATCH).await?;
            if rows.is_empty() {
                return Ok(None);
            }
            self.read = rows.into_iter();
        }
    }
}
