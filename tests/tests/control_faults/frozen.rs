//! The files of log and store become read-only while control runs, and writable again.

use crate::writers::{Writers, all_are_there_once, embedded, until_fault, until_ready};
use latencify_tests::{Chance, skip};
use std::{path::Path, process::Command, time::Duration};

const ROUNDS: usize = 20;

/// Makes every database file immutable, or not: with files that are open for writing, a read-only mount would be refused.
fn freeze(data: &Path, flag: &str, names: &[&str]) -> bool {
    let files = names
        .iter()
        .map(|name| data.join(name))
        .filter(|file| file.exists());
    Command::new("chattr")
        .arg(flag)
        .args(files)
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Lets go of the files whatever happens: immutable ones could not be removed.
struct Thaw<'p>(&'p Path);

impl Drop for Thaw<'_> {
    fn drop(&mut self) {
        freeze(self.0, "-i", &FILES);
    }
}

const FILES: [&str; 4] = ["changes.db", "changes.db-wal", "store.db", "store.db-wal"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_only_files_are_told_of_and_nothing_is_lost() {
    let mut chance = Chance::new();
    let mut control = embedded().start().await;
    let data = control.folder().join("data");
    if !freeze(&data, "+i", &["lock"]) {
        skip!("no immutable files here: run as root, on a file system that has them");
    }
    freeze(&data, "-i", &["lock"]);
    let thaw = Thaw(&data);
    let writers = Writers::start(&control, "frozen", 4);
    for round in 0..ROUNDS {
        chance.moment(Duration::from_millis(200)).await;
        // The log, the store, or both.
        let names = match round % 3 {
            0 => &FILES[..2],
            1 => &FILES[2..],
            _ => &FILES[..],
        };
        assert!(freeze(&data, "+i", names));
        let said = until_fault(&control, &["read_only", "io"]).await;
        assert!(said.contains("can't be written"), "{said}");
        writers.see_refusals().await;
        assert!(freeze(&data, "-i", names));
        until_ready(&control).await;
    }
    drop(thaw);
    let acknowledged = writers.end().await;
    all_are_there_once(&control, &acknowledged).await;
    control.kill();
    control.restart().await;
    all_are_there_once(&control, &acknowledged).await;
}
