//! The disk is full, again and again, at random moments under writes; or it is read-only.

use crate::{
    small_disk::SmallDisk,
    writers::{SOON, Writers, all_are_there_once, embedded, on_kafka, until_fault, until_ready},
};
use latencify_tests::{Chance, ControlOptions, Kafka, skip};
use std::{fs, time::Duration};

const ROUNDS: usize = 20;
/// Every so many rounds control is killed while its disk is full.
const KILL_EVERY: usize = 5;
const DISK_BYTES: u64 = 48 << 20;
const WRITERS: usize = 4;

async fn fills_up(options: ControlOptions, disk: SmallDisk) {
    let mut chance = Chance::new();
    let mut control = options.by(&disk.enter()).start().await;
    let writers = Writers::start(&control, "full", WRITERS);
    for round in 1..=ROUNDS {
        chance.moment(Duration::from_millis(300)).await;
        disk.fill();
        let said = until_fault(&control, &["disk_full", "io"]).await;
        assert!(said.contains("can't be written"), "{said}");
        writers.see_refusals().await;
        if round % KILL_EVERY == 0 {
            control.kill();
            disk.clear();
            control.restart().await;
        } else {
            disk.clear();
        }
        until_ready(&control).await;
    }
    let acknowledged = writers.end().await;
    assert!(acknowledged.len() > ROUNDS, "{}", acknowledged.len());
    all_are_there_once(&control, &acknowledged).await;
    let lines = control.process().said();
    let told = lines
        .matches("writes are refused until it is mended")
        .count();
    assert!(
        (ROUNDS..=4 * ROUNDS).contains(&told),
        "told {told} times of {ROUNDS} faults, not once a write"
    );
    // And after a crash it is still so.
    control.kill();
    control.restart().await;
    all_are_there_once(&control, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_of_log_and_store_is_full_twenty_times() {
    let options = embedded();
    fs::create_dir(options.data()).unwrap();
    let Some(disk) = SmallDisk::at(&options.data(), DISK_BYTES).await else {
        skip!("no mount namespaces here: run as root, or allow user namespaces");
    };
    fills_up(options, disk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_of_the_store_is_full_twenty_times_with_the_log_in_kafka() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let options = on_kafka(&kafka, "full-store");
    fs::create_dir(options.data()).unwrap();
    let Some(disk) = SmallDisk::at(&options.data(), DISK_BYTES).await else {
        skip!("no mount namespaces here: run as root, or allow user namespaces");
    };
    fills_up(options, disk).await;
}

/// While control runs, the kernel remounts nothing read-only on request: its files are open for writing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_remounted_read_only_is_told_at_the_start() {
    let options = embedded();
    fs::create_dir(options.data()).unwrap();
    let Some(disk) = SmallDisk::at(&options.data(), DISK_BYTES).await else {
        skip!("no mount namespaces here: run as root, or allow user namespaces");
    };
    let mut control = options.by(&disk.enter()).start().await;
    let writers = Writers::start(&control, "remounted", WRITERS);
    writers.see_acknowledged().await;
    assert!(!disk.remount("ro"), "control's files are open for writing");
    control.kill();
    assert!(disk.remount("ro"));
    let process = control.restart_in_vain();
    let status = process.ended(SOON).await;
    let said = process.said();
    assert!(!status.success(), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(disk.remount("rw"));
    control.restart().await;
    until_ready(&control).await;
    let acknowledged = writers.end().await;
    all_are_there_once(&control, &acknowledged).await;
}

/// What a kernel does that finds a file system broken (`errors=remount-ro`): such a one is not writable again until it is
/// mounted anew, for which control has to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_becomes_read_only_under_control_is_told_and_refuses() {
    let options = embedded();
    fs::create_dir(options.data()).unwrap();
    let Some(disk) = SmallDisk::breakable(&options.data(), DISK_BYTES).await else {
        skip!("no loop devices or no mkfs.ext4 here: run as root");
    };
    let mut control = options.by(&disk.enter()).start().await;
    let writers = Writers::start(&control, "broken", WRITERS);
    writers.see_acknowledged().await;
    if !disk.break_down() {
        skip!("this kernel breaks no file system on request: trigger_fs_error");
    }
    let said = until_fault(&control, &["read_only", "io"]).await;
    assert!(said.contains("can't be written"), "{said}");
    writers.see_refusals().await;
    control.kill();
    assert!(disk.mount_anew());
    control.restart().await;
    until_ready(&control).await;
    let acknowledged = writers.end().await;
    all_are_there_once(&control, &acknowledged).await;
}
