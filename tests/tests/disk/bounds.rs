//! The bytes of the tier are bounded, however much is stored.

use super::*;

const BYTES_MAX: u64 = 64 << 20;
/// Beside the tier's own files: what this edge purged alone, and its locks.
const SLACK: u64 = 64 << 10;

fn bytes_of(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap();
    // A file may go while it is looked at.
    let bytes = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len()));
    bytes.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_writes_stays_within_the_bytes() {
    let setting = Setting::new().await;
    let mut peak = 0;
    for round in 0..12 {
        let fetches = (0..4).map(|number| {
            let path = format!("/large/{round}/{number}");
            let setting = &setting;
            async move { assert_eq!(setting.get(&path).await.body, large(1)) }
        });
        futures::future::join_all(fetches).await;
        peak = peak.max(bytes_of(&setting.folder()));
    }
    setting
        .until("something was evicted", "evicted_total", |evicted| {
            evicted > 0.0
        })
        .await;
    peak = peak.max(bytes_of(&setting.folder()));
    assert!(peak <= BYTES_MAX + SLACK, "{peak} bytes");
    let told = setting.disk("bytes").await;
    assert!(told <= BYTES_MAX as f64, "{told}");
}
