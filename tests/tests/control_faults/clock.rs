//! The wall clock steps back an hour, and forward, while control runs. Nothing is decided by it.
//!
//! librdkafka waits in `cnd_timedwait`, which libfaketime leaves alone, for moments by the clock that it fakes: with the log in
//! Kafka, a few lines of C ([`THREADS`]) bring those waits to a function that it knows.

use crate::writers::{Writers, all_are_there_once, embedded, on_kafka, until_ready};
use latencify_conf::api::{Edge, EdgeState};
use latencify_tests::{ControlOptions, Kafka, Origin, policy::one_route, reply, skip, wait_until};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Where Debian puts it.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];
/// In glibc, conditions and mutexes of C11 are those of POSIX.
const THREADS: &str = r"
#include <errno.h>
#include <pthread.h>
#include <threads.h>
int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until) {
  switch (pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until)) {
    case 0: return thrd_success;
    case ETIMEDOUT: return thrd_timedout;
    default: return thrd_error;
  }
}
";
/// Back an hour, forward two, more than a day forward, and right again.
const STEPS: [&str; 5] = ["-1h", "+1h", "+26h", "-1h", "+0"];

fn library() -> Option<&'static str> {
    LIBRARIES
        .into_iter()
        .find(|path| fs::exists(path).unwrap_or(false))
}

/// Control with a wall clock that a file sets; its monotonic clock is left alone, as a step of the wall clock leaves it.
fn with_clock(options: ControlOptions, library: &str) -> (ControlOptions, PathBuf) {
    let file = options.data().with_file_name("clock");
    fs::write(&file, "+0").unwrap();
    let options = options
        .environment("LD_PRELOAD", library)
        .environment("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap())
        .environment("FAKETIME_NO_CACHE", "1")
        .environment("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .environment("DONT_FAKE_MONOTONIC", "1");
    (options, file)
}

fn step(file: &PathBuf, to: &str) {
    let beside = file.with_extension("new");
    fs::write(&beside, to).unwrap();
    fs::rename(beside, file).unwrap();
}

async fn clock_steps(options: ControlOptions, clock: PathBuf) {
    let mut control = options.start().await;
    let origin = Origin::serve(|_| async { reply::text("x").max_age(60).done() }).await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let _edges = control.edges(["paris", "tokyo"]).await;
    let writers = Writers::start(&control, "clock", 2);
    let mut days = BTreeSet::new();
    for (round, to) in STEPS.into_iter().enumerate() {
        step(&clock, to);
        // Windows, leases and receipts do not depend on it: a purge is acknowledged by every edge, and none is cut off.
        let purge = control
            .purge_with(
                vec![latencify_conf::api::PurgeTarget::All(true)],
                latencify_conf::change::Mode::Hard,
                Some(&format!("step-{round}")),
            )
            .await;
        let receipt = control.receipt(&purge.id).await;
        assert_eq!(receipt.edges.len(), 2, "{receipt:?}");
        let again = control
            .purge_with(
                vec![latencify_conf::api::PurgeTarget::All(true)],
                latencify_conf::change::Mode::Hard,
                Some(&format!("step-{round}")),
            )
            .await;
        assert_eq!(
            (again.id, again.repeat),
            (purge.id.clone(), true),
            "a repeat at {to}"
        );
        let roster = control.roster().await;
        assert!(
            roster
                .edges
                .iter()
                .all(|edge| edge.state == EdgeState::Connected),
            "at {to}: {roster:?}"
        );
        // The clock was really stepped: entries say when they were written.
        let entry = control
            .log()
            .await
            .entries
            .into_iter()
            .find(|entry| entry.epoch == purge.epoch);
        let at = entry.unwrap().entry["at"].as_str().unwrap().to_owned();
        days.insert(at[..13].to_owned());
        until_ready(&control).await;
    }
    assert!(
        days.len() >= 3,
        "the clock of the entries did not step: {days:?}"
    );
    let acknowledged = writers.end().await;
    all_are_there_once(&control, &acknowledged).await;
    let ids: BTreeSet<_> = acknowledged.values().map(|accepted| &accepted.id).collect();
    assert_eq!(ids.len(), acknowledged.len(), "ids are not given twice");
    let log = control.log().await;
    // Started anew an hour back: what it promised, and what it has written, still holds.
    step(&clock, "-1h");
    control.stop().await;
    control.restart().await;
    wait_until("edges are back", Duration::from_secs(30), async || {
        let roster = control.roster().await;
        let is_back = |edge: &Edge| edge.state == EdgeState::Connected;
        if roster.edges.iter().all(is_back) {
            Ok(())
        } else {
            Err(format!("{roster:?}"))
        }
    })
    .await;
    let now = control.log().await;
    assert_eq!(now.entries[..log.entries.len()], log.entries[..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_steps_under_a_running_control() {
    let Some(library) = library() else {
        skip!("no libfaketime here: deploy/setup tools");
    };
    let (options, clock) = with_clock(embedded(), library);
    clock_steps(options, clock).await;
}

/// Builds [`THREADS`]; none: there is no C compiler here.
fn threads(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("threads.c"), folder.join("threads.so"));
    fs::write(&source, THREADS).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-pthread", "-o"])
        .args([&library, &source])
        .status();
    built
        .is_ok_and(|status| status.success())
        .then_some(library)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_steps_under_a_running_control_whose_log_is_in_kafka() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let options = on_kafka(&kafka, "clock");
    let (Some(library), Some(threads)) = (library(), threads(options.data().parent().unwrap()))
    else {
        skip!("no libfaketime or no C compiler here: deploy/setup tools");
    };
    let both = format!("{} {library}", threads.display());
    let (options, clock) = with_clock(options, &both);
    clock_steps(options, clock).await;
}
