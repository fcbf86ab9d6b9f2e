//! What an edge keeps on disk of what it obeys, and logs that are not the one it knew.

use super::{SOON, version_at, versioned};
use latencify_conf::api::{PurgeReceipt, PurgeTarget, ReceiptState};
use latencify_tests::{Control, Edge, Origin, policy::one_route, wait_until};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const STARTING_OVER: &str = "starting over here";

struct Setting {
    control: Control,
    edge: Edge,
    origin: Origin,
    version: Arc<AtomicU64>,
}

impl Setting {
    async fn new(acks: &str) -> Self {
        let (origin, version) = versioned().await;
        let control = Control::embedded().start().await;
        control
            .apply(&one_route(&origin.url(), "cache: true"))
            .await;
        let edge = Edge::member(&control, "paris")
            .flag("--acks", acks)
            .start()
            .await;
        control.everywhere(1).await;
        Self {
            control,
            edge,
            origin,
            version,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.edge.folder().join("state").join(name)
    }

    async fn purge(&self, path: &str) -> PurgeReceipt {
        let target = PurgeTarget::Url(format!("http://shop.example{path}"));
        let purge = self.control.purge(vec![target]).await;
        self.control.receipt(&purge.id).await
    }

    async fn saved(&self) -> u64 {
        self.edge
            .metric("latencify_gateway_state_saved_epoch")
            .await as u64
    }

    async fn until_saved(&self, epoch: u64) {
        wait_until("it is saved", SOON, async || match self.saved().await {
            saved if saved >= epoch => Ok(()),
            saved => Err(format!("{saved} is saved, not {epoch}")),
        })
        .await;
    }

    fn starts_over(&mut self) -> usize {
        self.edge.process().said().matches(STARTING_OVER).count()
    }

    /// Waits until it obeys everything again.
    async fn caught_up(&self) {
        wait_until("it obeys the head", SOON, async || {
            let metrics = self.edge.metrics().await;
            let isolated = metrics.lines().find(|line| {
                line.starts_with("latencify_gateway_isolated{") && line.ends_with(" 1")
            });
            isolated.map_or(Ok(()), |line| Err(line.to_owned()))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_an_edge_goes_on_from_what_it_saved() {
    for acks in ["saved", "obeyed"] {
        let mut setting = Setting::new(acks).await;
        for path in ["/a", "/b"] {
            let receipt = setting.purge(path).await;
            assert_eq!(receipt.edges[0].state, ReceiptState::Acked, "{receipt:?}");
            if acks == "saved" {
                let saved = setting.saved().await;
                assert!(saved >= receipt.epoch.0, "acked, but {saved} is saved");
            }
            setting.until_saved(receipt.epoch.0).await;
        }
        assert_eq!(setting.starts_over(), 1, "when it joined");
        setting.edge.process().kill();
        // Purged while it is down.
        let target = PurgeTarget::Url("http://shop.example/c".to_owned());
        let purge = setting.control.purge(vec![target]).await;
        setting.edge.restart().await;
        setting.caught_up().await;
        assert_eq!(setting.starts_over(), 1, "it went on where it had been");
        setting.until_saved(purge.epoch.0).await;
        assert_eq!(version_at(&setting.edge, "/a").await, 1);
    }
}

/// A file that somebody, or a disk, has altered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_as_it_was_written_is_told_and_not_believed() {
    let mut setting = Setting::new("obeyed").await;
    let receipt = setting.purge("/a").await;
    setting.until_saved(receipt.epoch.0).await;
    for file in ["marks.journal", "marks.snapshot"] {
        let before = setting.starts_over();
        setting.edge.process().kill();
        let mut bytes = fs::read(setting.file(file)).unwrap();
        bytes[80] ^= 1;
        fs::write(setting.file(file), bytes).unwrap();
        setting.edge.restart().await;
        setting.caught_up().await;
        assert_eq!(setting.starts_over(), before + 1, "{file}");
        let said = setting.edge.process().said();
        assert!(
            said.contains("nothing of it is believed") && said.contains(file),
            "{said}"
        );
        let receipt = setting.purge("/a").await;
        setting.until_saved(receipt.epoch.0).await;
    }
}

/// What the saver would write goes to a disk that is always full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_holds_back_acks_of_saved_marks_and_nothing_else() {
    for acks in ["saved", "obeyed"] {
        let mut setting = Setting::new(acks).await;
        version_at(&setting.edge, "/a").await;
        setting.edge.process().kill();
        let full = setting.file("marks.snapshot.new");
        std::os::unix::fs::symlink("/dev/full", &full).unwrap();
        setting.edge.restart().await;
        setting.caught_up().await;
        assert_eq!(version_at(&setting.edge, "/a").await, 1);
        let saved = setting.saved().await;
        setting.version.store(2, Ordering::SeqCst);
        let target = PurgeTarget::Url("http://shop.example/a".to_owned());
        let purge = setting.control.purge(vec![target]).await;
        wait_until("it is obeyed, and can't be saved", SOON, async || {
            let failing = setting
                .edge
                .metric("latencify_gateway_state_save_failing")
                .await;
            let obeyed = version_at(&setting.edge, "/a").await == 2;
            if obeyed && failing > 0.0 {
                Ok(())
            } else {
                Err(failing)
            }
        })
        .await;
        // The process that was killed is in the receipt as well, and acks nothing any more.
        let acked = async || {
            let path = format!("/v1/purges/{}", purge.id);
            let receipt: PurgeReceipt = setting.control.get(&path).await;
            let mut edges = receipt.edges.iter();
            let acked = edges.any(|edge| edge.state == ReceiptState::Acked);
            if acked {
                Ok(())
            } else {
                Err(format!("{receipt:?}"))
            }
        };
        if acks == "obeyed" {
            wait_until("it is acked", SOON, acked).await;
        } else {
            assert!(acked().await.is_err(), "acked, and not saved");
        }
        assert_eq!(setting.saved().await, saved, "nothing is claimed");
        setting.edge.process().says("can't be saved").await;
        fs::remove_file(&full).unwrap();
        setting.until_saved(purge.epoch.0).await;
        setting.edge.process().says("is saved again").await;
        wait_until("it is acked", SOON, acked).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_folder_is_one_process_s() {
    let setting = Setting::new("obeyed").await;
    let state = setting.edge.folder().join("state");
    // The second --state would be refused: the first one of these options is replaced by it.
    let second = Edge::member_in(&setting.control, "tokyo", &state);
    let (mut process, _folder) = second.start_in_vain();
    let status = process.ended(SOON).await;
    assert!(!status.success());
    let said = process.said();
    assert!(
        said.contains("is in use by another process") && said.contains("--state"),
        "{said}"
    );
    assert_eq!(
        version_at(&setting.edge, "/a").await,
        1,
        "the first goes on"
    );
}

/// The log is lost, with everything, control's CA too: control begins another, and an edge comes to it as a new one, by the join
/// token. What it saved is of no log that it is told of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_log_raises_the_floors() {
    let mut setting = Setting::new("obeyed").await;
    let policy = one_route(&setting.origin.url(), "cache: true");
    assert_eq!(version_at(&setting.edge, "/a").await, 1);
    setting.version.store(2, Ordering::SeqCst);
    setting.control.kill();
    let data = setting.control.folder().join("data");
    fs::remove_dir_all(&data).unwrap();
    // With the folder its CA and its keys are gone: the edge is enrolled anew.
    setting.edge.process().kill();
    for pinned in ["identity.pem", "policy-key.json"] {
        fs::remove_file(setting.edge.folder().join("state").join(pinned)).unwrap();
    }
    setting.control.restart().await;
    setting.edge.restart().await;
    setting.control.apply(&policy).await;
    setting.control.everywhere(1).await;
    setting.caught_up().await;
    assert_eq!(
        version_at(&setting.edge, "/a").await,
        2,
        "what was stored is suspect"
    );
    setting.edge.keeps("shop.example", "/a", "2").await;
    assert_eq!(setting.starts_over(), 2);
}

/// An older copy of the log was restored, and other entries followed: the same identity and epochs, another history.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rewound_log_raises_the_floors_when_its_hash_decides() {
    let mut setting = Setting::new("obeyed").await;
    let data = setting.control.folder().join("data");
    let copy = setting.control.folder().join("copy");
    setting.control.kill();
    copy_folder(&data, &copy);
    setting.control.restart().await;
    for path in ["/x", "/y", "/z"] {
        setting.purge(path).await;
    }
    assert_eq!(version_at(&setting.edge, "/a").await, 1);
    setting.version.store(2, Ordering::SeqCst);
    setting.control.kill();
    fs::remove_dir_all(&data).unwrap();
    copy_folder(&copy, &data);
    setting.control.restart().await;
    wait_until("the edge says that it is ahead", SOON, async || {
        let said = setting.edge.process().said();
        if said.contains("the edge obeys") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    // Until the replica has passed it, nobody knows whether this is the same history.
    let before = setting.starts_over();
    for number in 0..6 {
        let target = PurgeTarget::Url(format!("http://shop.example/other{number}"));
        setting.control.purge(vec![target]).await;
    }
    wait_until("the hash decides", SOON, async || {
        match setting.starts_over() {
            now if now > before => Ok(()),
            now => Err(now),
        }
    })
    .await;
    setting.caught_up().await;
    assert_eq!(version_at(&setting.edge, "/a").await, 2);
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
