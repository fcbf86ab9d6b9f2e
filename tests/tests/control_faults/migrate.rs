//! `latencify-control migrate-log`: killed at random points and run again, refused where it would do harm, and proven to bring
//! everything over.

use crate::{
    moving::copy,
    writers::{SOON, Writers, all_are_there_once, embedded, on_kafka, purge},
};
use latencify_conf::api::{LogEntries, PurgeAccepted};
use latencify_tests::{
    Chance, Control, Kafka, Origin, Process, policy::one_route, program, reply, skip, wait_until,
};
use std::{collections::BTreeMap, process::Command, time::Duration};

const KILLS: usize = 20;
/// About as long as a move takes.
const KILLED_WITHIN: Duration = Duration::from_millis(1_500);

/// The command, on the data folder of a control that is stopped.
pub fn start_migrate_log(control: &Control, arguments: &[&str]) -> Process {
    let mut command = Command::new(program("latencify-control"));
    command
        .arg("migrate-log")
        .arg("--data")
        .arg(control.folder().join("data"))
        .args(arguments);
    let log = control.folder().join("migrate.log");
    let _ = std::fs::remove_file(&log);
    Process::start("migrate-log", command, &log)
}

/// Runs it to its end, and hands out what it said.
pub async fn migrate_log(control: &Control, arguments: &[&str]) -> String {
    let mut process = start_migrate_log(control, arguments);
    let status = process.ended(4 * SOON).await;
    assert!(status.success(), "{status}: {}", process.said());
    process.said()
}

/// Runs it where it must refuse, and hands out why.
pub async fn refused(control: &Control, arguments: &[&str]) -> String {
    let mut process = start_migrate_log(control, arguments);
    let status = process.ended(SOON).await;
    assert_eq!(status.code(), Some(1), "{}", process.said());
    let said = process.said();
    let error = said.lines().find(|line| line.starts_with("error: "));
    error
        .unwrap_or_else(|| panic!("no reason: {said}"))
        .to_owned()
}

/// Starts the move and kills it at random points, [`KILLS`] times. One that comes to its end before that is forgotten, and the
/// next attempt begins with the data folder as it was. Says which attempt is under way.
async fn killed<const N: usize>(
    control: &Control,
    chance: &mut Chance,
    to: impl Fn(usize) -> [String; N],
) -> usize {
    let (data, backup) = (
        control.folder().join("data"),
        control.folder().join("backup"),
    );
    copy(&data, &backup);
    let (mut kills, mut attempt) = (0, 0);
    while kills < KILLS {
        let arguments = to(attempt);
        let mut process = start_migrate_log(control, &arguments.each_ref().map(String::as_str));
        chance.moment(KILLED_WITHIN).await;
        match process.exited() {
            None => {
                process.kill();
                kills += 1;
            }
            Some(status) => {
                assert!(status.success(), "{}", process.said());
                attempt += 1;
                copy(&backup, &data);
            }
        }
    }
    attempt
}

/// What a log says apart from its own first entry, and from where it stands.
pub fn contents(log: &LogEntries) -> Vec<(String, String)> {
    let of_entry = |entry: &latencify_conf::api::LogEntry| {
        (format!("{:?}", entry.outcome), entry.entry.to_string())
    };
    log.entries.iter().skip(1).map(of_entry).collect()
}

/// A control that has done a bit of everything.
async fn busy(control: &mut Control, writes: usize) -> BTreeMap<String, PurgeAccepted> {
    let origin = Origin::serve(|_| async { reply::text("x").max_age(60).done() }).await;
    for _ in 0..3 {
        control
            .apply(&one_route(&origin.url(), "cache: true"))
            .await;
    }
    // A site that goes and comes back has another id.
    let none = format!(
        "version: 1\norigins: {{app: {{url: '{}'}}}}\nsites: {{}}\n",
        origin.url()
    );
    let _ = control.submit(&none).await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let writers = Writers::start(control, "before", 8);
    wait_until("much is written", 2 * SOON, async || {
        let applied = control
            .get::<LogEntries>("/v1/log?after=0&limit=1")
            .await
            .applied
            .0;
        if applied as usize > writes {
            Ok(())
        } else {
            Err(applied)
        }
    })
    .await;
    writers.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_to_kafka_that_is_killed_twenty_times_brings_everything_over() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let mut chance = Chance::new();
    let mut control = embedded().start().await;
    let acknowledged = busy(&mut control, 3_000).await;
    control.stop().await;
    // What is written at the very end, as it was.
    control.restart().await;
    let before = control.log().await;
    control.stop().await;

    let brokers = kafka.brokers();
    let to = |attempt: usize| {
        [
            "--kafka".to_owned(),
            brokers.clone(),
            "--kafka-prefix".to_owned(),
            format!("killed-{attempt}"),
        ]
    };
    let attempt = killed(&control, &mut chance, to).await;
    let arguments = to(attempt);
    let said = migrate_log(&control, &arguments.each_ref().map(String::as_str)).await;
    assert!(said.to_lowercase().contains("start control with"), "{said}");
    let prefix = &arguments[3];
    control.options().set("--kafka", Some(&brokers));
    control.options().set("--kafka-prefix", Some(prefix));
    control.restart().await;
    let after = control.log().await;
    assert_ne!(after.log, before.log);
    let (old, new) = (contents(&before), contents(&after));
    assert_eq!(
        new[..old.len()],
        old[..],
        "the same entries with the same outcomes"
    );
    all_are_there_once(&control, &acknowledged).await;
    // Idempotency keys survive.
    let (key, first) = acknowledged.first_key_value().unwrap();
    let again: PurgeAccepted = purge(control.api(), control.api_token(), key)
        .await
        .unwrap()
        .json();
    assert_eq!((again.repeat, &again.id), (true, &first.id));

    // Nobody goes on with the old one.
    control.stop().await;
    control.options().set("--kafka", None);
    control.options().set("--kafka-prefix", None);
    let process = control.restart_in_vain();
    process.ended(SOON).await;
    let said = process.said();
    assert!(
        said.contains(&format!("was moved to the topic {prefix}.changes")),
        "{said}"
    );
    assert!(said.contains(&format!("--kafka {brokers}")), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_within_the_data_folder_that_is_killed_brings_everything_over() {
    let mut chance = Chance::new();
    let mut control = embedded().start().await;
    let acknowledged = busy(&mut control, 2_000).await;
    control.stop().await;
    control.restart().await;
    let before = control.log().await;
    control.stop().await;
    killed(&control, &mut chance, |_| []).await;
    migrate_log(&control, &[]).await;
    control.restart().await;
    let after = control.log().await;
    assert_ne!(after.log, before.log);
    let (old, new) = (contents(&before), contents(&after));
    assert_eq!(new[..old.len()], old[..]);
    all_are_there_once(&control, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_and_back_again() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let brokers = kafka.brokers();
    let mut control = embedded().start().await;
    let acknowledged = busy(&mut control, 50).await;
    control.stop().await;
    migrate_log(&control, &["--kafka", &brokers, "--kafka-prefix", "there"]).await;
    control.options().set("--kafka", Some(&brokers));
    control.options().set("--kafka-prefix", Some("there"));
    control.restart().await;
    let reply = purge(control.api(), control.api_token(), "in-kafka")
        .await
        .unwrap();
    let in_kafka: PurgeAccepted = reply.json();
    control.stop().await;
    let again = migrate_log(&control, &["--kafka", &brokers, "--kafka-prefix", "there"]).await;
    assert!(again.contains("Nothing to do"), "{again}");
    // The store may be behind the topic, so it must be read, or be given up with a word.
    let why = refused(&control, &[]).await;
    assert!(
        why.contains("--from-kafka") && why.contains("--log-is-lost"),
        "{why}"
    );
    let said = migrate_log(
        &control,
        &["--from-kafka", &brokers, "--from-kafka-prefix", "there"],
    )
    .await;
    assert!(
        said.contains("not needed any more: the topic there.changes"),
        "{said}"
    );
    control.options().set("--kafka", None);
    control.options().set("--kafka-prefix", None);
    control.restart().await;
    all_are_there_once(&control, &acknowledged).await;
    let reply = purge(control.api(), control.api_token(), "in-kafka")
        .await
        .unwrap();
    let repeat: PurgeAccepted = reply.json();
    assert_eq!((repeat.repeat, repeat.id), (true, in_kafka.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_would_do_harm_is_refused() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let kafka = Kafka::shared().await;
    let brokers = kafka.brokers();
    // Another log is there.
    let other = on_kafka(&kafka, "taken").start().await;
    let mut control = embedded().start().await;
    let running = refused(&control, &["--kafka", &brokers, "--kafka-prefix", "free"]).await;
    assert!(
        running.contains("in use by another latencify-control"),
        "{running}"
    );
    control.stop().await;
    let taken = refused(&control, &["--kafka", &brokers, "--kafka-prefix", "taken"]).await;
    assert!(
        taken.contains("holds log") && taken.contains("--delete --topic taken.changes"),
        "{taken}"
    );
    drop(other);
    // A topic that forgets is none to move to.
    kafka.create_topic(
        "forgets.changes",
        "--partitions 1 --config retention.ms=1000000",
    );
    let forgets = refused(
        &control,
        &["--kafka", &brokers, "--kafka-prefix", "forgets"],
    )
    .await;
    assert!(forgets.contains("kafka-configs.sh"), "{forgets}");
    // Nothing was changed by all that.
    control.restart().await;
}
