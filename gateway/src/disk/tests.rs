//! The adapters over a disk that stands still.

use super::*;
use crate::{
    cache::{self as adapters, MemoryStorage, Notes},
    context::Context,
    drain::Drain,
    observe::Metrics,
};
use bytes::Bytes;
use latencify_cache::{Eviction, LocalMark};
use latencify_conf::change::{Mode, SiteId, Target};
use latencify_decide::freshness::{Lifetime, LifetimeSource};
use latencify_disk::LayerFile;
use parking_lot::{Condvar, Mutex};
use pingora::{
    cache::{CacheMeta, ForcedFreshness, HitHandler, Storage as _, trace::Span},
    http::ResponseHeader,
};
use std::any::Any;

/// Longer than anything takes on any machine.
const LIMIT: Duration = Duration::from_mins(1);
const SITE: SiteId = SiteId(1);
const PATH: &str = "/a";

/// The machine's file system, whose reads may stand still.
#[derive(Clone, Default)]
struct Stalling(Arc<(Mutex<Stall>, Condvar)>);

#[derive(Default)]
struct Stall {
    is_stalled: bool,
    standing: usize,
}

struct StallingFile(Stalling, Arc<dyn LayerFile>);

impl Stalling {
    fn stall(&self, is_stalled: bool) {
        self.0.0.lock().is_stalled = is_stalled;
        self.0.1.notify_all();
    }

    /// Waits until somebody waits for it.
    async fn stands(&self) {
        let stands = async {
            while self.0.0.lock().standing == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LIMIT, stands).await.expect("nobody reads");
    }

    fn pass(&self) {
        let mut stall = self.0.0.lock();
        stall.standing += 1;
        while stall.is_stalled {
            self.0.1.wait(&mut stall);
        }
        stall.standing -= 1;
    }

    fn file(&self, file: Arc<dyn LayerFile>) -> Arc<dyn LayerFile> {
        Arc::new(StallingFile(self.clone(), file))
    }
}

impl Layer for Stalling {
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        FileSystem.lock(path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LayerFile>> {
        Ok(self.file(FileSystem.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LayerFile>> {
        Ok(self.file(FileSystem.open(path)?))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        FileSystem.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        FileSystem.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        FileSystem.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        FileSystem.sync_folder(folder)
    }

    fn nonce(&self) -> u64 {
        FileSystem.nonce()
    }
}

impl LayerFile for StallingFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.pass();
        self.1.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.1.write_at(bytes, offset)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.1.truncate(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.1.sync()
    }

    fn bytes(&self) -> io::Result<u64> {
        self.1.bytes()
    }
}

struct World {
    layer: Stalling,
    disk: Arc<Disk>,
    marks: Arc<Marks>,
    folder: Arc<tempfile::TempDir>,
    wait: Duration,
}

impl World {
    async fn new(wait: Duration) -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), wait).await
    }

    /// Another run of the same edge.
    async fn again(self) -> Self {
        let (disk, wait) = (self.disk, self.wait);
        tokio::task::spawn_blocking(move || disk.close())
            .await
            .unwrap();
        Self::on(self.folder, wait).await
    }

    async fn on(folder: Arc<tempfile::TempDir>, wait: Duration) -> Self {
        let (layer, marks) = (Stalling::default(), Marks::new());
        marks.keep();
        let options = Options {
            folder: folder.path().to_owned(),
            bytes_max: 64 << 20,
            wait,
            in_fleet: false,
        };
        let opened = Disk::open_on(Arc::new(layer.clone()), &options, Arc::clone(&marks));
        let world = Self {
            layer,
            disk: Arc::new(opened.unwrap()),
            marks,
            folder,
            wait,
        };
        world.until(|count| count.tier.is_ready).await;
        world
    }

    /// A memory that has nothing, above the disk.
    fn memory(&self) -> &'static MemoryStorage {
        let options = adapters::Options {
            bytes_max: 16 << 20,
            eviction: Eviction::default(),
            fill_lock_age: LIMIT,
        };
        let memory = MemoryStorage::open(options, Arc::clone(&self.marks));
        memory.set_disk(Arc::clone(&self.disk));
        memory
    }

    async fn until(&self, is_so: impl Fn(&DiskCount) -> bool) {
        let so = async {
            while !is_so(&self.disk.count()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = timeout(LIMIT, so).await;
        assert!(in_time.is_ok(), "{:?}", self.disk.count());
    }

    async fn put(&self, body: &'static [u8]) {
        let (memory, stored) = (self.memory(), self.disk.count().tier.stored);
        let meta = meta(memory, None);
        let span = Span::inactive();
        let mut miss = memory
            .get_miss_handler(&key(), &meta, &span.handle())
            .await
            .unwrap();
        miss.write_body(Bytes::from_static(body), true)
            .await
            .unwrap();
        miss.finish().await.unwrap();
        self.until(|count| count.tier.stored > stored).await;
    }
}

/// Of a response that is fetched now, and announces that length.
fn meta(memory: &MemoryStorage, length: Option<u64>) -> CacheMeta {
    let now = SystemTime::now();
    let mut header = ResponseHeader::build(200, None).unwrap();
    if let Some(length) = length {
        header.insert_header("content-length", length).unwrap();
    }
    let mut meta = CacheMeta::new(now + LIMIT, now, 5, 6, header);
    let lifetime = Lifetime {
        born: now,
        fresh: LIMIT,
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::ZERO,
        always_revalidate: false,
        must_revalidate: false,
        immutable: false,
        source: LifetimeSource::MaxAge,
    };
    let fetched = Fetched {
        fetch: *memory.begin_fetch(),
        tags: Arc::default(),
        object_bytes_max: 8 << 20,
        disk: latencify_conf::policy::DiskAdmission::Always,
        notes: Some(Notes { lifetime }),
    };
    adapters::fetched(&mut meta, fetched);
    meta
}

fn key() -> CacheKey {
    let mut key = CacheKey::new(PATH.as_bytes().to_vec(), "");
    adapters::name(&mut key, SITE, PATH.into());
    key
}

async fn find(memory: &'static MemoryStorage) -> Option<(CacheMeta, HitHandler)> {
    memory
        .lookup(&key(), &Span::inactive().handle())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_stands_still_is_a_miss_and_counted() {
    let world = World::new(Duration::from_millis(20)).await;
    world.put(b"stored").await;
    world.layer.stall(true);
    let memory = world.memory();
    assert!(find(memory).await.is_none());
    assert_eq!(world.disk.count().late, 1);
    world.layer.stall(false);
    let found = async {
        loop {
            // This machine may be slow as well.
            if let Some(found) = find(memory).await {
                return found;
            }
        }
    };
    let (meta, mut hit) = timeout(LIMIT, found).await.unwrap();
    assert!(adapters::hit(&meta).unwrap().is_on_disk());
    assert_eq!(hit.read_body().await.unwrap().unwrap(), "stored");
    assert!(hit.read_body().await.unwrap().is_none());
    let (meta, _) = find(memory).await.unwrap();
    assert!(
        !adapters::hit(&meta).unwrap().is_on_disk(),
        "it is in memory now"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_rises_into_memory_behind_the_request() {
    let world = World::new(LIMIT).await;
    let body: &'static [u8] = vec![7; 600 << 10].leak();
    world.put(body).await;
    let memory = world.memory();
    let (_, mut hit) = find(memory).await.unwrap();
    let mut read = Vec::new();
    while let Some(piece) = hit.read_body().await.unwrap() {
        read.extend_from_slice(&piece);
    }
    assert!(read == body);
    let rises = async {
        while memory.count().objects == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, rises).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_purged_is_found_in_neither() {
    let world = World::new(LIMIT).await;
    world.put(b"stored").await;
    let memory = world.memory();
    assert!(
        find(memory).await.is_some(),
        "from now on it is in memory, too"
    );
    let path = PATH.to_owned();
    assert!(purge_here(memory, &[Target::Url { site: SITE, path }], Mode::Hard).await);
    assert!(find(memory).await.is_none());
    assert!(find(world.memory()).await.is_none());
    assert_eq!(world.disk.count().marks_late, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_purged_while_it_is_verified_is_not_used() {
    let world = World::new(LIMIT).await;
    world.put(vec![7; 600 << 10].leak()).await;
    let world = world.again().await;
    let memory = world.memory();
    let (meta, hit) = find(memory).await.unwrap();
    assert!(adapters::hit(&meta).unwrap().is_on_disk());
    let metrics = Metrics::new().unwrap();
    let mut ctx = Context::new(Drain::new().request(), metrics.request_under_way());
    let is_dead = || memory.liveness(&meta).is_dead();
    let verdict = |_: &mut Context| {
        if is_dead() {
            ForcedFreshness::ForceMiss
        } else {
            ForcedFreshness::ForceFresh
        }
    };
    world.layer.stall(true);
    let purged = async {
        world.layer.stands().await;
        let path = PATH.to_owned();
        memory
            .marks()
            .local_purge(&Target::Url { site: SITE, path }, Mode::Hard);
        world.layer.stall(false);
    };
    let judged = judge(&hit, 0..u64::MAX, &mut ctx, |_| !is_dead(), verdict);
    let (judged, ()) = tokio::join!(judged, purged);
    assert!(matches!(judged, ForcedFreshness::ForceMiss), "{judged:?}");
    assert!(!ctx.caching.is_on_disk);

    world.layer.stall(true);
    let judged = judge(&hit, 0..u64::MAX, &mut ctx, |_| !is_dead(), verdict);
    let judged = timeout(LIMIT, judged).await;
    world.layer.stall(false);
    let judged = judged.expect("what is dead needs no proof");
    assert!(matches!(judged, ForcedFreshness::ForceMiss), "{judged:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_policy_refuses_leaves_nothing_older_on_disk() {
    let world = World::new(LIMIT).await;
    world.put(b"stored").await;
    let memory = world.memory();
    let larger = meta(memory, Some(9 << 20));
    let span = Span::inactive();
    let miss = memory
        .get_miss_handler(&key(), &larger, &span.handle())
        .await;
    assert!(miss.is_err());
    assert_eq!(world.disk.count().tier.objects, 0);
    assert!(find(memory).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_memory_has_no_room_for_is_stored_on_disk_alone() {
    let world = World::new(LIMIT).await;
    world.put(b"older").await;
    let memory = world.memory();
    // More than the quarter that one object may take.
    let piece = Bytes::from(vec![7; 1 << 20]);
    let (larger, key) = (meta(memory, Some(5 << 20)), key());
    let trace = Span::inactive().handle();
    let begun = memory.get_miss_handler(&key, &larger, &trace).await;
    let mut miss = begun.unwrap();
    let own = memory.lookup_streaming_write(&key, miss.streaming_write_tag(), &trace);
    let (_, mut own) = own.await.unwrap().unwrap();
    let is_led = || memory.lock().held() == 0 && !memory.is_uncacheable(&key);
    assert!(is_led(), "others wait for each other");
    miss.write_body(piece.clone(), false).await.unwrap();
    assert_eq!(own.read_body().await.unwrap().unwrap(), piece);
    let (meta, mut other) = find(memory).await.expect("who comes now follows it");
    assert!(adapters::hit(&meta).unwrap().is_filling());
    // It goes on although its own client has gone.
    drop(own);
    for _ in 1..5 {
        miss.write_body(piece.clone(), false).await.unwrap();
    }
    miss.finish().await.unwrap();
    let mut read = 0;
    while let Some(piece) = other.read_body().await.unwrap() {
        read += piece.len();
    }
    assert_eq!(read, 5 << 20);
    world.until(|count| count.tier.stored > 1).await;
    let (meta, mut hit) = find(memory).await.unwrap();
    assert!(adapters::hit(&meta).unwrap().is_on_disk());
    hit.seek((5 << 20) - 1, None).unwrap();
    assert_eq!(hit.read_body().await.unwrap().unwrap().len(), 1);
    assert_eq!(memory.count().objects, 0, "it does not rise into memory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_a_disk_that_hangs() {
    let world = World::new(LIMIT).await;
    let name = format!("{}local-marks.lock", latencify_disk::OWNERS_PREFIX);
    let taken = std::fs::File::open(world.folder.path().join(name)).unwrap();
    taken.lock().unwrap();
    let path = PATH.to_owned();
    world.disk.keeper().note(&LocalMark {
        target: Target::Url { site: SITE, path },
        mode: Mode::Hard,
        number: 1,
        at: world.marks.now(),
    });
    let disk = Arc::clone(&world.disk);
    let closes = tokio::task::spawn_blocking(move || disk.close_within(Duration::from_millis(20)));
    let closed = timeout(LIMIT, closes).await;
    drop(taken);
    closed.expect("it waits").unwrap();
}
