//! What a start has begun, and what its end has to end: whether the replica serves, or the start failed.
//!
//! The data folder is let go of when its databases are closed, apart from one that was just being opened when the start was
//! stopped: nobody has it yet who could close it. The process ends at once then, and it with it.
//!
//! A run is taken out of the log again whose start was stopped or failed behind its announcement, or while that was being
//! written: what takes it out comes behind it. If the log takes nothing meanwhile, it may stay announced, as after a crash.
//!
//! Nothing that a client does or leaves undone keeps a run in the log that was told to stop: [`serve`](crate::serve) cuts it
//! off in time. The run leaves when nobody decides anything any more, sessions and servers, and not before: whoever comes
//! next counts on that.

use crate::{
    log::ChangeLog,
    presence::{Presence, Unsettled},
    serve::FINISH_MAX,
    store::Store,
};
use std::{fs, sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long what is under way may take after a stop: what is served, the entry in the log, and who looks at metrics. The unit
/// gives the process more.
const DRAIN_MAX: Duration = Duration::from_secs(2 * FINISH_MAX.as_secs() + 10);
/// How long the databases may take to be closed, at least.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// What was begun.
#[derive(Default)]
pub(super) struct Begun {
    /// First told to stop: sessions, then servers; last the fold and what is written behind.
    pub(super) stop_serving: CancellationToken,
    pub(super) stop_working: CancellationToken,
    pub(super) servers: Vec<JoinHandle<()>>,
    pub(super) admin: Option<JoinHandle<()>>,
    pub(super) workers: Vec<JoinHandle<()>>,
    pub(super) sessions: TaskTracker,
    /// Once it announces itself.
    pub(super) unsettled: Option<Unsettled>,
    /// Once the run is announced.
    pub(super) presence: Option<Presence>,
    pub(super) log: Option<Arc<dyn ChangeLog>>,
    pub(super) store: Option<Store>,
    /// Held so that no second replica works on the data folder.
    pub(super) lock: Option<fs::File>,
}

impl Begun {
    /// Finishes what is under way, says in the log that the run is over, closes the databases, and only then lets go of the
    /// data folder: whoever holds it next may put other files there.
    pub(super) async fn end(mut self) {
        let drained = Instant::now() + DRAIN_MAX;
        if tokio::time::timeout_at(drained, self.drain())
            .await
            .is_err()
        {
            let after_s = DRAIN_MAX.as_secs();
            if self.presence.is_some() {
                tracing::warn!(
                    after_s,
                    "not everything under way was finished, and the run stays announced in the log, as after a crash: with the \
                     log in Kafka, the next run waits for --log-unread-max and a lease before it calls an edge fenced that it \
                     has not heard of"
                );
            } else {
                tracing::warn!(after_s, "not everything under way was finished");
            }
        }
        let closed = drained.max(Instant::now() + CLOSE_MAX);
        let is_closed = tokio::time::timeout_at(closed, self.close()).await.is_ok();
        if !is_closed {
            tracing::warn!(
                "the databases could not be closed: the data folder is held until this process has ended"
            );
            std::mem::forget(self.lock.take());
        }
    }

    async fn drain(&mut self) {
        self.stop_serving.cancel();
        self.sessions.close();
        self.sessions.wait().await;
        // Who panicked has been reported by its panic.
        for server in self.servers.drain(..) {
            let _ = server.await;
        }
        // Nothing is served any more; the fold still works.
        match (&self.presence, &self.unsettled) {
            (Some(presence), _) => presence.leave().await,
            (None, Some(unsettled)) => unsettled.leave().await,
            (None, None) => {}
        }
        (self.presence, self.unsettled) = (None, None);
        self.stop_working.cancel();
        for worker in self.admin.take().into_iter().chain(self.workers.drain(..)) {
            let _ = worker.await;
        }
    }

    async fn close(&self) {
        // Whatever was not finished finds its databases shut.
        self.stop_working.cancel();
        if let Some(log) = &self.log {
            log.shut().await;
        }
        if let Some(store) = &self.store {
            store.shut().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        log, run,
        testing::{API_TOKEN, Replica, settings},
    };
    use std::path::{Path, PathBuf};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    /// What this process has open in a folder, and what an open database leaves beside it.
    fn open_in(folder: &Path) -> Vec<PathBuf> {
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
        let links = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        let beside = ["changes.db-wal", "store.db-wal"].map(|name| folder.join(name));
        let open = links.filter(|link| link.starts_with(folder));
        open.chain(beside.into_iter().filter(|file| file.exists()))
            .collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_run_that_has_ended_has_nothing_open_in_its_folder() {
        let replica = Replica::start().await;
        replica.apply(&["shop"]).await;
        assert!(open_in(replica.data()).len() > 3, "it is looked for");
        let replica = replica
            .restart_after(async |data| assert_eq!(open_in(&data), Vec::<PathBuf>::new()))
            .await;
        // What keeps waiting for an answer is given up half way.
        for _ in 0..8 {
            let asks = replica.get("/v1/log?after=0");
            let _ = tokio::time::timeout(std::time::Duration::from_micros(300), asks).await;
        }
        replica
            .restart_after(async |data| assert_eq!(open_in(&data), Vec::<PathBuf>::new()))
            .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_start_that_fails_leaves_nothing_open() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let settings = settings(&data, &[]);
        run::start(&settings).await.unwrap().stop().await;
        std::fs::remove_file(data.join(log::sqlite::FILE)).unwrap();
        for _ in 0..3 {
            let Err(error) = run::start(&settings).await else {
                panic!("it starts without its log");
            };
            assert!(format!("{error:#}").contains("--log-is-lost"), "{error:#}");
            assert_eq!(open_in(&data), Vec::<PathBuf>::new());
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_start_that_fails_after_it_was_announced_leaves_the_log() {
        let mut replica = Replica::start().await;
        let file = replica.data().join("not-there/ports.json");
        replica = replica
            .restart_after(async |data| {
                let settings = settings(&data, &["--ports-file", file.to_str().unwrap()]);
                let Err(error) = run::start(&settings).await else {
                    panic!("it can't write its ports");
                };
                assert!(format!("{error:#}").contains("ports.json"), "{error:#}");
            })
            .await;
        let log = replica.get("/v1/log?after=0").await.body;
        let count = |kind: &str| log.to_string().matches(&format!("\"{kind}\"")).count();
        let (joined, left) = (count("replica_joined"), count("replica_left"));
        assert_eq!((joined, left), (3, 2), "{log:#}");
    }

    /// A request of which nothing more comes keeps the run from its end for a while, and not in the log.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_run_that_is_stopped_under_a_request_without_an_end_leaves_the_log() {
        let replica = Replica::start().await;
        let mut client = TcpStream::connect(replica.running.api).await.unwrap();
        let half = format!(
            "POST /v1/purges HTTP/1.1\r\nhost: api\r\nauthorization: Bearer {API_TOKEN}\r\n\
             content-type: application/json\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n"
        );
        client.write_all(half.as_bytes()).await.unwrap();
        // The handler waits for the body.
        let mut asked = [0; 12];
        client.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"HTTP/1.1 100");
        let replica = replica.restart().await;
        let log = replica.get("/v1/log?after=0").await.body;
        let count = |kind: &str| log.to_string().matches(&format!("\"{kind}\"")).count();
        let (joined, left) = (count("replica_joined"), count("replica_left"));
        assert_eq!((joined, left), (2, 1), "{log:#}");
        drop(client);
    }
}
