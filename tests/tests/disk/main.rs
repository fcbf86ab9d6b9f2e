//! What an edge keeps on disk: it survives a restart, purges reach it whenever they come, and nothing that is wrong with the
//! disk reaches a client.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

mod bounds;
mod flags;
mod fleet;
mod folders;
mod large;
mod purges;
mod restarts;

use latencify_tests::{
    Call, Edge, EdgeOptions, Origin, Reply, body, policy::one_route, reply, wait_until,
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const SOON: Duration = Duration::from_mins(1);
const HOST: &str = "shop.example";
/// A body of many chunks.
const LARGE_BYTES: usize = 3 << 20;

/// An origin whose content has a version that the test raises, and an edge with a disk tier in front of it.
struct Setting {
    origin: Origin,
    version: Arc<AtomicU64>,
    edge: Edge,
}

/// What the origin has: under `/large` a body that says of each place where it is.
async fn versioned() -> (Origin, Arc<AtomicU64>) {
    let version = Arc::new(AtomicU64::new(1));
    let current = Arc::clone(&version);
    let origin = Origin::serve(move |call| {
        let now = current.load(Ordering::SeqCst);
        async move { answer(&call, now) }
    })
    .await;
    (origin, version)
}

fn answer(call: &Call, now: u64) -> http::Response<body::Body> {
    let etag = format!("\"{now}\"");
    if call.request.method() != http::Method::GET {
        return reply::text("done").no_store().done();
    }
    let answer = if call.path().starts_with("/large") {
        reply::of(body::full(large(now)))
    } else if call.path().starts_with("/validated") && call.header("if-none-match") == etag {
        reply::status(304)
    } else {
        reply::text(format!("{now} of {}", call.path()))
    };
    let seconds = if call.path().starts_with("/validated") {
        0
    } else {
        600
    };
    answer
        .max_age(seconds)
        .tag("all-of-it")
        .header("etag", etag)
        .done()
}

fn large(now: u64) -> Vec<u8> {
    (0..LARGE_BYTES / 8)
        .flat_map(|place| (place as u64 * 31 + now).to_le_bytes())
        .collect()
}

/// The folder of the tier, beside the edge's own things.
fn disk_of(options: &EdgeOptions) -> PathBuf {
    let folder = options.folder().join("disk");
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn with_disk(options: EdgeOptions) -> EdgeOptions {
    let folder = disk_of(&options);
    options
        .flag("--disk", &folder.display().to_string())
        .flag("--disk-bytes", "64MiB")
        // However slow this machine is, what is there is found.
        .flag("--disk-wait", "60s")
}

impl Setting {
    async fn new() -> Self {
        Self::with("cache: true", with_disk).await
    }

    async fn with(cache: &str, options: impl FnOnce(EdgeOptions) -> EdgeOptions) -> Self {
        let (origin, version) = versioned().await;
        let edge = options(Edge::alone(&one_route(&origin.url(), cache)))
            .start()
            .await;
        let setting = Self {
            origin,
            version,
            edge,
        };
        setting.until_ready().await;
        setting
    }

    fn folder(&self) -> PathBuf {
        self.edge.folder().join("disk")
    }

    async fn get(&self, path: &str) -> Reply {
        let reply = self.edge.get(HOST, path).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply
    }

    /// Fetches it, and waits until the disk has it.
    async fn store(&self, path: &str) {
        let before = self.disk("stored_total").await;
        self.get(path).await;
        self.until(&format!("{path} is on disk"), "stored_total", |stored| {
            stored > before
        })
        .await;
    }

    async fn disk(&self, name: &str) -> f64 {
        disk(&self.edge, name).await
    }

    async fn until(&self, what: &str, name: &str, is_so: impl Fn(f64) -> bool) {
        until(&self.edge, what, name, is_so).await;
    }

    async fn until_ready(&self) {
        self.until("the folder is open", "ready", |ready| ready > 0.0)
            .await;
    }

    async fn restart(&mut self) {
        self.edge.restart().await;
        self.until_ready().await;
    }

    /// Ends it as an operator does.
    async fn stop(&mut self) {
        self.edge.signal("TERM");
        let status = self.edge.process().ended(SOON).await;
        assert!(
            status.success(),
            "{status}\n{}",
            self.edge.process().last_words()
        );
    }

    fn raise(&self) -> u64 {
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// It is served from disk, without asking the origin.
    async fn is_kept(&self, path: &str, version: u64) {
        let asked = self.origin.requests_for(path);
        let reply = self.get(path).await;
        assert!(reply.is_hit(), "{path}: {reply:?}");
        assert_eq!(reply.text(), format!("{version} of {path}"));
        assert_eq!(self.origin.requests_for(path), asked, "{path}");
    }

    /// What comes is what the origin has now.
    async fn is_new(&self, path: &str) {
        let version = self.version.load(Ordering::SeqCst);
        assert_eq!(self.get(path).await.text(), format!("{version} of {path}"));
    }
}

async fn disk(edge: &Edge, name: &str) -> f64 {
    edge.metric(&format!("latencify_gateway_disk_{name}")).await
}

async fn until(edge: &Edge, what: &str, name: &str, is_so: impl Fn(f64) -> bool) {
    wait_until(what, SOON, async || {
        let value = disk(edge, name).await;
        if is_so(value) {
            Ok(())
        } else {
            Err(format!("disk_{name} {value}"))
        }
    })
    .await;
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut segments: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    segments.sort();
    segments
}
