//! An edge alone: its purges hold over a restart.

use super::*;
use latencify_tests::Client;

async fn ask(setting: &Setting, method: &str, path: &str) -> Reply {
    let request = Client::request(method, HOST, path)
        .body(body::empty())
        .unwrap();
    let client = setting.edge.client();
    client.send(setting.edge.http(), request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_holds_after_a_kill_that_follows_it_at_once() {
    let mut setting = Setting::new().await;
    for path in ["/a", "/b", "/c"] {
        setting.store(path).await;
    }
    for (path, method) in [("/a", "POST"), ("/b", "PURGE")] {
        let version = setting.raise();
        let reply = ask(&setting, method, path).await;
        assert!(reply.status.is_success(), "{reply:?}");
        setting.edge.process().kill();
        setting.restart().await;
        assert_eq!(
            setting.get(path).await.text(),
            format!("{version} of {path}")
        );
        setting.is_kept("/c", 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_of_an_earlier_run_spares_what_came_after_it() {
    let mut setting = Setting::new().await;
    setting.store("/a").await;
    let version = setting.raise();
    ask(&setting, "POST", "/a").await;
    setting.store("/a").await;
    for _ in 0..2 {
        setting.stop().await;
        setting.restart().await;
        setting.is_kept("/a", version).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_file_of_purges_nothing_of_before_is_used() {
    let mut setting = Setting::new().await;
    setting.store("/a").await;
    for damage in [false, true] {
        setting.stop().await;
        let file = setting.folder().join("owner-local-marks");
        if damage {
            let mut bytes = fs::read(&file).unwrap();
            bytes[10] ^= 1;
            fs::write(&file, bytes).unwrap();
        } else {
            fs::remove_file(&file).unwrap();
        }
        setting.raise();
        setting.restart().await;
        setting.is_new("/a").await;
        setting
            .until("it is stored again", "stored_total", |stored| stored > 0.0)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_that_the_folder_did_not_take_is_not_confirmed() {
    let setting = Setting::with("cache: true", |options| {
        let folder = disk_of(&options);
        options
            .flag("--disk", &folder.display().to_string())
            .flag("--disk-wait", "100ms")
    })
    .await;
    setting.get("/a").await;
    let (folder, aside) = (setting.folder(), setting.edge.folder().join("aside"));
    fs::rename(&folder, &aside).unwrap();
    let version = setting.raise();
    let refused = ask(&setting, "PURGE", "/a").await;
    let said = refused.text();
    assert!(
        refused.status == 503
            && refused.header("content-type") == "application/problem+json"
            && said.contains("purge_not_kept")
            && said.contains("purge again"),
        "{refused:?} {said}"
    );
    assert_eq!(
        setting.get("/a").await.text(),
        format!("{version} of /a"),
        "it is obeyed all the same"
    );
    fs::rename(&aside, &folder).unwrap();
    wait_until("the folder takes it", SOON, async || {
        let reply = ask(&setting, "PURGE", "/a").await;
        if reply.status == 200 {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;
}
