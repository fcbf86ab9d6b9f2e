//! Whatever is wrong with the folder is a miss and a number, and no client sees it.

use super::*;
use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

/// Every one of so many paths, whatever has become of the disk.
async fn all_are_served(setting: &Setting, paths: usize) -> usize {
    let version = setting.version.load(Ordering::SeqCst);
    let mut hits = 0;
    for number in 0..paths {
        let path = format!("/{number}");
        let reply = setting.get(&path).await;
        let versions = (1..=version).map(|version| format!("{version} of {path}"));
        assert!(
            versions.into_iter().any(|text| text == reply.text()),
            "{reply:?}"
        );
        hits += usize::from(reply.is_hit());
    }
    hits
}

async fn store(setting: &Setting, paths: usize) {
    all_are_served(setting, paths).await;
    setting
        .until("all are stored", "stored_total", |stored| {
            stored >= paths as f64
        })
        .await;
}

fn faults(reason: &str) -> String {
    format!("faults_total{{reason=\"{reason}\"}}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_bits_are_misses() {
    let mut setting = Setting::new().await;
    store(&setting, 20).await;
    setting.store("/large").await;
    setting.stop().await;
    for segment in segments(&setting.folder()) {
        let mut bytes = fs::read(&segment).unwrap();
        // Behind the head of the segment, some in each frame.
        for at in (64..bytes.len()).step_by(300) {
            bytes[at] ^= 4;
        }
        fs::write(&segment, bytes).unwrap();
    }
    setting.restart().await;
    all_are_served(&setting, 20).await;
    assert_eq!(setting.get("/large").await.body, large(1));
    let metrics = setting.edge.metrics().await;
    let damaged = setting.disk("misses_total{reason=\"damaged\"}").await;
    let records = setting.disk(&faults("damaged_record")).await;
    assert!(damaged + records > 0.0, "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_damaged_is_a_miss_before_it_begins() {
    let mut setting = Setting::new().await;
    setting.store("/large").await;
    setting.stop().await;
    let segment = segments(&setting.folder()).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    // In one of the last chunks.
    let at = 2 << 20;
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();
    setting.restart().await;
    let reply = setting.get("/large").await;
    assert!(
        !reply.is_hit() && reply.body == large(1),
        "{:?}",
        reply.headers
    );
    assert_eq!(setting.origin.requests_for("/large"), 2);
    assert!(setting.disk("misses_total{reason=\"damaged\"}").await >= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_that_are_cut_off_or_gone_are_misses() {
    for cut in [true, false] {
        let mut setting = Setting::new().await;
        store(&setting, 20).await;
        setting.stop().await;
        for segment in segments(&setting.folder()) {
            if cut {
                let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
                file.set_len(file.metadata().unwrap().len() / 2).unwrap();
            } else {
                fs::remove_file(&segment).unwrap();
            }
        }
        setting.restart().await;
        let hits = all_are_served(&setting, 20).await;
        assert!(hits < 20, "{hits}");
        assert!(setting.disk(&faults("lost_segment")).await >= 1.0);
        setting.store("/more").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_taken_away_is_told_and_used_again_when_it_is_back() {
    let setting = Setting::new().await;
    store(&setting, 5).await;
    let (folder, aside) = (setting.folder(), setting.edge.folder().join("aside"));
    fs::rename(&folder, &aside).unwrap();
    setting.raise();
    all_are_served(&setting, 5).await;
    // What is open goes on; a new segment, or a snapshot, finds the folder gone.
    wait_until("it is told", SOON, async || {
        setting
            .get(&format!("/large{}", setting.origin.requests()))
            .await;
        match setting.disk("ready").await {
            ready if ready < 1.0 => Ok(()),
            ready => Err(ready),
        }
    })
    .await;
    let readyz = setting
        .edge
        .client()
        .get(setting.edge.admin(), "admin", "/readyz")
        .await;
    assert!(
        readyz.status == 200 && readyz.text().contains("missing_folder"),
        "{readyz:?}"
    );
    assert!(setting.disk(&faults("missing_folder")).await >= 1.0);
    fs::rename(&aside, &folder).unwrap();
    setting.until_ready().await;
    setting.store("/more").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_not_there_at_the_start_is_waited_for() {
    let (origin, version) = versioned().await;
    let options = with_disk(Edge::alone(&one_route(&origin.url(), "cache: true")));
    let folder = disk_of(&options);
    fs::remove_dir(&folder).unwrap();
    let mut edge = options.start().await;
    until(&edge, "it is told", &faults("missing_folder"), |told| {
        told > 0.0
    })
    .await;
    edge.process().says("the disk tier can't be used").await;
    let setting = Setting {
        origin,
        version,
        edge,
    };
    setting.is_new("/a").await;
    fs::create_dir(&folder).unwrap();
    setting.until_ready().await;
    setting.store("/b").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_edge_on_the_same_folder_does_without_it() {
    let setting = Setting::new().await;
    setting.store("/a").await;
    let second = Edge::alone(&one_route(&setting.origin.url(), "cache: true"))
        .flag("--disk", &setting.folder().display().to_string())
        .flag("--disk-bytes", "64MiB")
        .start()
        .await;
    until(&second, "it is told", &faults("locked"), |told| told > 0.0).await;
    assert_eq!(second.get(HOST, "/a").await.text(), "1 of /a");
    setting.is_kept("/a", 1).await;
}

/// Runs as somebody whom permissions bind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_may_not_be_written_is_told() {
    let (origin, version) = versioned().await;
    let options = with_disk(Edge::alone(&one_route(&origin.url(), "cache: true")));
    let folder = disk_of(&options);
    // Root may write everywhere but there.
    let mount = "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && exec \"$@\"";
    let folder_name = folder.display().to_string();
    if !in_namespace_of_mounts(&folder) {
        fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
        latencify_tests::skip!("no namespace of mounts may be made here");
    }
    let edge = options
        .by(&["unshare", "-m", "sh", "-c", mount, &folder_name])
        .start()
        .await;
    until(&edge, "it is told", &faults("read_only"), |told| told > 0.0).await;
    let setting = Setting {
        origin,
        version,
        edge,
    };
    setting.is_new("/a").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_hits_and_nothing_else() {
    let (origin, version) = versioned().await;
    let options = with_disk(Edge::alone(&one_route(&origin.url(), "cache: true")));
    let folder = disk_of(&options);
    if !in_namespace_of_mounts(&folder) {
        latencify_tests::skip!("no namespace of mounts may be made here");
    }
    let mount = "mount -t tmpfs -o size=8m none \"$0\" && exec \"$@\"";
    let folder_name = folder.display().to_string();
    let edge = options
        .by(&["unshare", "-m", "sh", "-c", mount, &folder_name])
        .start()
        .await;
    let setting = Setting {
        origin,
        version,
        edge,
    };
    setting.until_ready().await;
    for number in 0..8 {
        let reply = setting.get(&format!("/large{number}")).await;
        assert_eq!(reply.body, large(1), "{number}");
    }
    setting
        .until("it is told", &faults("disk_full"), |told| told > 0.0)
        .await;
    all_are_served(&setting, 5).await;
    assert!(setting.disk("ready").await > 0.0);
}

fn in_namespace_of_mounts(folder: &Path) -> bool {
    let tried = std::process::Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "-o", "size=64k", "none"])
        .arg(folder)
        .output();
    tried.is_ok_and(|tried| tried.status.success())
}
