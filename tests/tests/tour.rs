//! `latencify dev`, and the README's five-minute tour as it is written.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use latencify_tests::{Kafka, Process, program, repository, skip, wait_until};
use serde_json::Value;
use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// For everything to be up, on a busy machine.
const UP: Duration = Duration::from_mins(3);
/// For everything to be gone.
const GONE: Duration = Duration::from_mins(1);

/// A run of `latencify dev` in a folder of its own, with ports that the system chooses.
struct Dev {
    process: Process,
    /// Stands for the cache folder, in which the tour looks for `dev`.
    folder: TempDir,
    record: Value,
}

impl Dev {
    async fn start(options: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("latencify-dev-")
            .tempdir()
            .unwrap();
        let dir = folder.path().join("dev");
        let mut command = Command::new(program("latencify"));
        command
            .args(["dev", "--ephemeral", "--dir"])
            .arg(&dir)
            .args(options);
        let mut process = Process::start("dev", command, &folder.path().join("dev.log"));
        let record = wait_until("latencify dev is up", UP, async || {
            assert!(process.exited().is_none(), "{}", process.last_words());
            fs::read(dir.join("dev.json")).map(|bytes| serde_json::from_slice(&bytes).unwrap())
        });
        let record = record.await;
        Self {
            process,
            folder,
            record,
        }
    }

    /// The processes of control and the edges.
    fn children(&self) -> Vec<u64> {
        let edges = self.record["edges"].as_array().unwrap().iter();
        let all = edges.chain([&self.record["control"]]);
        all.map(|child| child["pid"].as_u64().unwrap()).collect()
    }

    /// Until none of the children runs any more.
    async fn children_gone(&self) {
        wait_until("the children are gone", GONE, async || {
            let alive: Vec<_> = self
                .children()
                .into_iter()
                .filter(|pid| is_running(*pid))
                .collect();
            if alive.is_empty() {
                Ok(())
            } else {
                Err(format!("{alive:?} run"))
            }
        })
        .await;
    }

    /// A shell as a user would have it after reading the run's variables.
    fn shell(&self) -> Command {
        let mut shell = Command::new("sh");
        shell
            .env("LATENCIFY_CACHE", self.folder.path())
            .stdin(Stdio::null());
        shell
    }
}

/// Whether a process runs; one that has ended and that nobody waits for does not.
fn is_running(pid: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .and_then(|rest| rest.trim_start().chars().next())
        .is_some_and(|state| state != 'Z')
}

/// The blocks of the README that are fenced as `sh tour`, as one script: a line `#=> TEXT` becomes a check that what was
/// printed since the last group of such lines contains TEXT.
fn tour(readme: &str, printed: &Path) -> String {
    let mut script = format!(
        "printed='{}'\nexec 3>&2 >>\"$printed\" 2>&1\n\
         contains() {{ grep -qF -- \"$1\" \"$printed\" && return; echo \"expected: $1\" >&3; cat \"$printed\" >&3; exit 9; }}\n",
        printed.display()
    );
    let mut in_tour = false;
    let mut checked = false;
    for line in readme.lines() {
        match line.strip_prefix("#=> ") {
            _ if line == "```sh tour" => in_tour = true,
            _ if line.starts_with("```") => in_tour = false,
            _ if !in_tour => {}
            Some(text) => {
                writeln!(script, "contains '{}'", text.replace('\'', r"'\''")).unwrap();
                checked = true;
            }
            None => {
                if std::mem::take(&mut checked) {
                    script.push_str(": > \"$printed\"\n");
                }
                writeln!(script, "{line}").unwrap();
            }
        }
    }
    script
}

#[tokio::test]
async fn the_readmes_tour_works_as_written_and_a_signal_ends_it_all() {
    let mut dev = Dev::start(&[]).await;
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let script = tour(&readme, &dev.folder.path().join("printed"));
    assert!(
        script.matches("contains '").count() >= 15,
        "the tour is marked as its comment says:\n{script}"
    );
    let walked = dev.shell().args(["-eu", "-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&walked.stderr);
    assert!(
        walked.status.success(),
        "{}\n{said}\n{script}",
        walked.status
    );

    dev.process.signal("TERM");
    let ended = dev.process.ended(GONE).await;
    assert!(ended.success(), "{ended}: {}", dev.process.last_words());
    dev.children_gone().await;
}

#[tokio::test]
async fn killed_it_leaves_nobody_behind() {
    let mut dev = Dev::start(&[]).await;
    assert!(dev.children().into_iter().all(is_running));
    dev.process.kill();
    dev.children_gone().await;
}

#[tokio::test]
async fn an_edge_that_was_upgraded_still_belongs_to_the_run() {
    let mut dev = Dev::start(&[]).await;
    let former = dev.record["edges"][0]["pid"].as_u64().unwrap();
    for _ in 0..2 {
        let upgrade = r#". "$LATENCIFY_CACHE/dev/env" && kill -USR2 "$PARIS_PID""#;
        let asked = dev.shell().args(["-c", upgrade]).status().unwrap();
        assert!(asked.success());
        let before = dev.record["edges"][0]["pid"].clone();
        let dir = dev.folder.path().join("dev");
        dev.record = wait_until(
            "dev.json names the process that took over",
            UP,
            async || {
                let record: Value =
                    serde_json::from_slice(&fs::read(dir.join("dev.json")).unwrap()).unwrap();
                if record["edges"][0]["pid"] == before {
                    Err(dev.process.last_words())
                } else {
                    Ok(record)
                }
            },
        )
        .await;
    }
    wait_until("the first has ended", GONE, async || {
        if is_running(former) {
            Err("it runs")
        } else {
            Ok(())
        }
    })
    .await;
    assert!(dev.children().into_iter().all(is_running));
    let said = dev.process.last_words();
    assert!(
        said.contains("has taken over") && !said.contains("paris ended"),
        "{said}"
    );

    dev.process.signal("TERM");
    let ended = dev.process.ended(GONE).await;
    assert!(ended.success(), "{ended}: {}", dev.process.last_words());
    dev.children_gone().await;
}

#[tokio::test]
async fn what_is_kept_is_there_again() {
    let mut dev = Dev::start(&[]).await;
    let policy = dev.record["policy"].as_str().unwrap().to_owned();
    let apply =
        ". \"$LATENCIFY_CACHE/dev/env\" && latencify policy apply \"$0\" --message again --wait";
    assert!(
        dev.shell()
            .args(["-c", apply, &policy])
            .output()
            .unwrap()
            .status
            .success()
    );
    dev.process.signal("INT");
    dev.process.ended(GONE).await;

    let dir = dev.folder.path().join("dev");
    let mut command = Command::new(program("latencify"));
    command
        .args(["dev", "--ephemeral", "--keep", "--dir"])
        .arg(&dir);
    fs::remove_file(dir.join("dev.json")).unwrap();
    dev.process = Process::start("dev", command, &dev.folder.path().join("dev.log"));
    wait_until("it is up again", UP, async || {
        fs::metadata(dir.join("dev.json"))
    })
    .await;
    let list = dev
        .shell()
        .args([
            "-c",
            ". \"$LATENCIFY_CACHE/dev/env\" && latencify policy list",
        ])
        .output()
        .unwrap();
    let list = String::from_utf8_lossy(&list.stdout);
    assert!(
        list.contains("2 (head)") && list.contains("again"),
        "{list}"
    );
}

#[tokio::test]
async fn with_kafka_an_event_from_the_broker_purges() {
    if !Kafka::durable() {
        skip!("no durable broker here: deploy/setup kafka");
    }
    let dev = Dev::start(&["--kafka"]).await;
    let produce = r#". "$LATENCIFY_CACHE/dev/env" &&
        echo '{"specversion":"1.0","type":"com.latencify.content.updated","source":"cms","id":"k1","data":{"tags":["page"]}}' |
        kcat -P -b "$KAFKA" -t latencify.events"#;
    assert!(
        dev.shell()
            .args(["-c", produce])
            .output()
            .unwrap()
            .status
            .success()
    );
    let look = r#". "$LATENCIFY_CACHE/dev/env" && latencify log list"#;
    wait_until("the event is in the log", GONE, async || {
        let log = dev.shell().args(["-c", look]).output().unwrap();
        let log = String::from_utf8_lossy(&log.stdout).into_owned();
        if log.contains("event:cms") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
}
