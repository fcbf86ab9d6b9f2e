//! The tier as its owner sees it. Nothing here waits for the disk.

use crate::{
    count::TierCount,
    engine,
    fill::{Fill, Follower, Writer},
    hash::KeyHash,
    head::{Head, Judge, Version},
    index::Entry,
    layer::{FileSystem, Layer},
    outcome::{Fault, Miss, Refusal},
    pool::Lane,
    queue::{Operation, Renewal},
    record::{Record, RecordError},
    settings::{Settings, SettingsError},
    shared::{BodyPermit, Shared},
    stored::Stored,
    sweep::{Place, Walked, walk},
    ticket::{Ticket, promise},
};
use latencify_cache::{KeyRef, TAGS_MAX};
use parking_lot::Mutex;
use std::{
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// A disk tier. Dropped, it closes in its own time; [`close`](Self::close) waits for that.
pub struct Tier {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What a look-up found without waiting.
#[derive(Debug)]
pub enum Look {
    /// Nothing.
    Miss(Miss),
    /// A fill under way: newer than what is stored.
    Following(Follower),
    /// The index knows it; the disk is asked. The marks have been asked when the answer comes, and whoever serves it later asks
    /// them again.
    Reading(Ticket<Result<Stored, Miss>>),
}

impl Tier {
    /// Opens a folder of the machine's, in its own time: until then, and whenever the folder is not there, every look-up is
    /// a miss.
    pub fn open(settings: Settings, judge: Arc<dyn Judge>) -> Result<Self, SettingsError> {
        Self::open_on(Arc::new(FileSystem), settings, judge)
    }

    /// The same, on a file system of the caller's.
    pub fn open_on(
        layer: Arc<dyn Layer>,
        settings: Settings,
        judge: Arc<dyn Judge>,
    ) -> Result<Self, SettingsError> {
        settings.check()?;
        let readers = settings.readers.max(1);
        let shared = Arc::new(Shared::new(settings, layer, judge));
        let mut threads = Vec::with_capacity(readers + 1);
        let named = |name: String| std::thread::Builder::new().name(name);
        let writing = Arc::clone(&shared);
        threads.extend(
            named("disk-write".to_owned())
                .spawn(move || engine::run(&writing))
                .ok(),
        );
        for number in 0..readers {
            let reading = Arc::clone(&shared);
            let reader = named(format!("disk-read-{number}"));
            threads.extend(reader.spawn(move || reading.pool.work()).ok());
        }
        Ok(Self {
            shared,
            threads: Mutex::new(threads),
        })
    }

    /// Looks a key up. Never waits: what has to be read is read by a thread of the tier.
    pub fn find(&self, key: KeyRef<'_>) -> Look {
        match self.try_find(key) {
            Ok(look) => look,
            Err(miss) => {
                self.shared.counters.add(miss);
                Look::Miss(miss)
            }
        }
    }

    fn try_find(&self, key: KeyRef<'_>) -> Result<Look, Miss> {
        let shared = &self.shared;
        // Before the folder is open, the index may know what is older than what it will know.
        let opening = shared.queue.opening().ok_or(Miss::NotReady)?;
        let hash = KeyHash::of(key);
        let entry = shared.index.hit(hash);
        if let Some(fill) = shared.fills.offer(hash, key)
            && entry.is_none_or(|entry| entry.order < fill.order)
        {
            let permit = shared.body_permit().ok_or(Miss::TooManyReaders)?;
            if let Some(follower) = Follower::new(Arc::clone(shared), fill, permit) {
                return Ok(Look::Following(follower));
            }
        }
        // Once more: a fill may have been stored between both questions.
        let Some(entry) = entry.or_else(|| shared.index.hit(hash)) else {
            return Err(Miss::Absent);
        };
        let permit = shared.body_permit().ok_or(Miss::TooManyReaders)?;
        let (promise, ticket) = promise();
        let (reading, key) = (Arc::clone(shared), key.to_key());
        let job = Box::new(move || {
            if promise.is_wanted() {
                let found = read(&reading, &entry, key.as_ref(), permit);
                let is_open = reading.queue.opening() == Some(opening);
                let found = found.and_then(|found| is_open.then_some(found).ok_or(Miss::NotReady));
                match &found {
                    Ok(_) => _ = reading.numbers.found.fetch_add(1, Ordering::Relaxed),
                    Err(miss) => reading.counters.add(*miss),
                }
                promise.keep(found);
            }
        });
        if shared.pool.push(Lane::LookUps, job) {
            Ok(Look::Reading(ticket))
        } else {
            Err(Miss::QueueFull)
        }
    }

    /// Whether the index knows the key: a hint, for admission.
    pub fn contains(&self, key: KeyRef<'_>) -> bool {
        self.shared.index.get(KeyHash::of(key)).is_some()
    }

    /// Begins to store an object, whose body has that length if it is known. A refusal does not concern the client.
    ///
    /// A generation of 0 is an earlier run's: it is stored where there is nothing.
    pub fn fill(&self, head: Head, expected: Option<u64>) -> Result<Writer, Refusal> {
        let begun = self.try_fill(head, expected);
        if let Err(refusal) = &begun {
            self.shared.counters.add(*refusal);
        }
        begun
    }

    fn try_fill(&self, head: Head, expected: Option<u64>) -> Result<Writer, Refusal> {
        let shared = &self.shared;
        if !shared.queue.is_ready() {
            return Err(Refusal::NotReady);
        }
        let head_bytes = self.check(&head)?;
        if expected.is_some_and(|bytes| bytes > shared.settings.object_bytes_max()) {
            return Err(Refusal::TooLarge);
        }
        let hash = KeyHash::of(head.key.as_ref());
        let order = shared.order(head.fetch.generation);
        let is_old = |entry: Entry| entry.order >= order || head.fetch.generation == 0;
        if shared.index.get(hash).is_some_and(is_old) {
            return Err(Refusal::Older);
        }
        let charge = shared.memory.charge(head_bytes).ok_or(Refusal::QueueFull)?;
        let chunk_bytes = u64::from(shared.settings.layout.chunk_bytes);
        let fill = shared.fills.begin(hash, |id| {
            Fill::new((id, hash, order), head, expected, chunk_bytes, charge)
        })?;
        Ok(Writer::new(Arc::clone(shared), fill))
    }

    /// Puts another head to the body that was validated, if it is still that version.
    pub fn renew(&self, of: Version, head: Head) -> Ticket<Result<(), Refusal>> {
        let refused = |refusal| {
            self.shared.counters.add(refusal);
            Ticket::kept(Err(refusal))
        };
        let charge = self
            .check(&head)
            .and_then(|bytes| self.shared.memory.charge(bytes).ok_or(Refusal::QueueFull));
        let charge = match charge {
            Ok(charge) => charge,
            Err(refusal) => return refused(refusal),
        };
        let (promise, ticket) = promise();
        let renewal = Renewal {
            of,
            head,
            charge,
            promise,
        };
        match self.shared.queue.push(Operation::Renew(renewal)) {
            Ok(()) => ticket,
            Err(refusal) => refused(refusal),
        }
    }

    fn check(&self, head: &Head) -> Result<u64, Refusal> {
        let bytes = head.bytes();
        let bytes_max = u64::from(self.shared.settings.layout.head_bytes_max / 2);
        if bytes > bytes_max || head.identity.tags.len() > TAGS_MAX {
            return Err(Refusal::HeadTooLarge);
        }
        Ok(bytes)
    }

    /// Takes an object out: that version or an older one; none: whatever there is. True: it was there. Obeyed at once,
    /// and written down soon: after a power loss in between it may be back, to be judged by the marks like any other. While the
    /// folder is not open, it is obeyed when it is.
    pub fn remove(&self, key: KeyRef<'_>, version: Option<Version>) -> bool {
        let order = version.map_or(u64::MAX, |version| version.0);
        self.shared.remove_up_to(KeyHash::of(key), order)
    }

    /// Asks the judge about what is stored, from a place on: at least so many records, unless that was all. What is dead is
    /// forgotten. The outcome says where to go on.
    pub fn walk(&self, from: Place, records: usize) -> Ticket<Result<Walked, Miss>> {
        let (promise, ticket) = promise();
        let shared = Arc::clone(&self.shared);
        let job = Box::new(move || {
            if promise.is_wanted() {
                promise.keep(walk(&shared, from, records));
            }
        });
        self.shared.pool.push(Lane::Background, job);
        ticket
    }

    /// The version that is stored for a key, if a fetch of that generation brought it (0: an earlier run's). A hint: it is asked
    /// for again when it is renewed or removed.
    pub fn version_of(&self, key: KeyRef<'_>, generation: u64) -> Option<Version> {
        let opening = self.shared.queue.opening()?;
        let entry = self.shared.index.get(KeyHash::of(key))?;
        let is_it = self.shared.generation(entry.order) == generation
            && self.shared.queue.opening() == Some(opening);
        is_it.then_some(Version(entry.order))
    }

    /// Why the folder is not open; none: it is, or is being opened for the first time.
    pub fn trouble(&self) -> Option<Fault> {
        self.shared.trouble()
    }

    /// Whether the folder is open.
    pub fn is_ready(&self) -> bool {
        self.shared.queue.is_ready()
    }

    /// Blocks the calling thread until the folder is open, for so long at most.
    pub fn wait_ready(&self, limit: Duration) -> bool {
        self.shared.queue.wait_ready(limit)
    }

    /// Asks for the index to be written down soon.
    pub fn save(&self) {
        self.shared.queue.want_snapshot();
    }

    /// Numbers for metrics.
    pub fn count(&self) -> TierCount {
        TierCount::of(&self.shared)
    }

    /// How often something was found wrong with the folder or the disk.
    pub fn faults(&self, fault: Fault) -> u64 {
        self.shared.counters.read(fault)
    }

    /// Writes what waits, and the index, and gives the folder back; blocks the calling thread for so long at most. False: a disk
    /// that hangs is left to itself.
    pub fn close(&self, limit: Duration) -> bool {
        self.begin_close();
        let deadline = Instant::now() + limit;
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            while !thread.is_finished() {
                if Instant::now() >= deadline {
                    return false;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            // A thread that panicked has said so.
            let _ = thread.join();
        }
        true
    }

    fn begin_close(&self) {
        self.shared.queue.close();
        self.shared.pool.close();
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// Reads what an entry speaks of, and believes it only if everything agrees.
fn read(
    shared: &Arc<Shared>,
    entry: &Entry,
    key: KeyRef<'_>,
    permit: BodyPermit,
) -> Result<Stored, Miss> {
    let segment = shared.segments.get(entry.segment).ok_or(Miss::Evicted)?;
    let record = Record::read(&segment, entry).map_err(|error| {
        let (fault, miss) = match error {
            RecordError::Damaged => (Fault::DamagedRecord, Miss::Damaged),
            RecordError::ReadFailed => (Fault::ReadFailed, Miss::ReadFailed),
        };
        shared.counters.add(fault);
        shared.forget(entry);
        miss
    })?;
    let head = &record.head.head;
    if head.key.as_ref() != key {
        return Err(Miss::OtherKey);
    }
    if shared.judge.is_dead(&head.identity, &head.fetch.stamp) {
        shared.forget(entry);
        return Err(Miss::Dead);
    }
    Stored::new(shared, *entry, record, permit).ok_or_else(|| {
        shared.forget(entry);
        Miss::Evicted
    })
}

impl Drop for Tier {
    fn drop(&mut self) {
        self.begin_close();
    }
}

impl std::fmt::Debug for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tier")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}
