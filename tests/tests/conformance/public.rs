//! The public suite `http-cache-tests` (cache-tests.fyi), against an edge. What is not as it wants stands in
//! `public/expected.txt`, with the reason; so does every answer to what it only asks.

use latencify_tests::{Edge, Port, Process, cache_folder, repository, skip, wait_until};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// So often a test is run that is not as expected: it goes by seconds, and so may a busy machine.
const RUNS_MAX: usize = 4;
/// The longest that the suite's origin takes to listen.
const READY: Duration = Duration::from_mins(1);

/// What was found of a test.
#[derive(Debug, Clone, Deserialize)]
struct Found {
    id: String,
    kind: String,
    outcome: String,
    why: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_public_suite_finds_nothing_that_is_not_known() {
    let package = cache_folder().join("http-cache-tests/node_modules/http-cache-tests");
    if !package.join("package.json").is_file() || Command::new("node").arg("-v").output().is_err() {
        skip!("no Node, or no http-cache-tests here: deploy/setup tools");
    }
    let known = read_table();
    let scratch = tempfile::tempdir().unwrap();
    let port = Port::reserve();
    let _origin = start_origin(&package, &port, scratch.path());
    wait_until("the suite's origin listens", READY, async || {
        TcpStream::connect(port.here()).map_err(|error| error.to_string())
    })
    .await;
    let edge = Edge::alone(&policy(&port)).start().await;
    let base = format!("http://{}", edge.http());

    let mut wrong: Vec<Found> = run(&package, &base, &[]);
    let mut seen: Vec<_> = wrong.iter().map(|found| found.id.clone()).collect();
    for _ in 0..RUNS_MAX {
        wrong.retain(|found| !is_as_known(found, &known));
        if wrong.is_empty() {
            break;
        }
        let again: Vec<_> = wrong.iter().map(|found| found.id.clone()).collect();
        wrong = run(&package, &base, &again);
    }
    wrong.retain(|found| !is_as_known(found, &known));
    seen.sort();
    let gone: Vec<_> = known
        .keys()
        .filter(|id| seen.binary_search(id).is_err())
        .collect();
    let mut report = String::new();
    for found in &wrong {
        let _ = writeln!(
            report,
            "{} {}: {} ({})",
            found.kind, found.id, found.outcome, found.why
        );
    }
    assert!(
        report.is_empty() && gone.is_empty(),
        "not as public/expected.txt has it:\n{report}in the table, but not in the suite: {gone:?}"
    );
}

/// What passes needs no line; what is only asked has one, whatever the answer.
fn is_as_known(found: &Found, known: &BTreeMap<String, String>) -> bool {
    known.get(&found.id).map_or("pass", String::as_str) == found.outcome
}

/// Everything that the suite asks for is turned on. Its own fields have to reach its origin.
fn policy(port: &Port) -> String {
    format!(
        "version: 1\n\
         origins: {{app: {{url: 'http://{}'}}}}\n\
         sites:\n  all:\n    hosts: ['*']\n    routes:\n      - origins: [app]\n        cache:\n          \
         heuristic: {{fraction: 0.1, max: 1d}}\n          \
         set_cookie: store\n          \
         surrogate_control: true\n          \
         forward_headers: [req-num, test-id, abc, foo, bar, baz]\n",
        port.here()
    )
}

fn start_origin(package: &Path, port: &Port, scratch: &Path) -> Process {
    let mut command = Command::new("node");
    command
        .arg("--no-warnings")
        .arg(package.join("server/server.mjs"))
        .current_dir(scratch)
        .env("npm_config_protocol", "http")
        .env("npm_config_port", port.number().to_string())
        .env("npm_config_pidfile", scratch.join("pid"));
    Process::start("the suite's origin", command, &scratch.join("origin.log"))
}

fn run(package: &Path, base: &str, ids: &[String]) -> Vec<Found> {
    let output = Command::new("node")
        .arg("--no-warnings")
        .arg(here().join("run.mjs"))
        .arg(package)
        .arg(base)
        .args(ids)
        .output()
        .expect("node runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("outcomes as JSON")
}

/// `ID OUTCOME REASON…`, as test → outcome; a `#` begins a comment.
fn read_table() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(here().join("expected.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut words = line.splitn(3, char::is_whitespace);
            let mut word = || words.next().unwrap_or_default().trim().to_owned();
            let (id, outcome, reason) = (word(), word(), word());
            assert!(
                matches!(outcome.as_str(), "yes" | "no") || !reason.is_empty(),
                "{id}: a deviation needs its reason"
            );
            (id, outcome)
        })
        .collect()
}

fn here() -> PathBuf {
    repository().join("tests/tests/conformance/public")
}
