//! The edge's TLS listener held against RFC 9113 and RFC 7541, case by case, by h2spec. Each case passes, or stands in
//! [`EXPECTED`] with the reason; one that stands there and passes is an error too, so that the list says what is.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use latencify_tests::{Authority, Edge, Origin, cache_folder, reply, skip};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Stdio,
    time::Duration,
};
use tokio::{process::Command, time::timeout};

/// The name by which h2spec finds the edge, and asks for its certificate.
const HOST: &str = "localhost";
/// What an answer, or an end, is waited for: long on any machine.
const ANSWER_SECONDS: &str = "20";
const WITHIN: Duration = Duration::from_mins(9);
/// Cases that h2spec has at least, `--strict` included: fewer, and something was not run.
const CASES_MIN: usize = 140;

/// Cases that do not pass: section, what it does, and why that is so.
const EXPECTED: &[(&str, &str, &str)] = &[];

/// A case, by its section and what it does.
type Case = (String, String);

/// What h2spec found: the cases, and for those that failed what came instead.
#[derive(Debug, Default)]
struct Report {
    cases: BTreeSet<Case>,
    failed: BTreeMap<Case, String>,
    skipped: BTreeSet<Case>,
}

impl Report {
    /// Reads what `--junit-report` has written: a line for each element, by Go's own encoder.
    fn read(text: &str) -> Self {
        let mut report = Self::default();
        for element in text.split("<testcase ").skip(1) {
            let attribute = |name: &str| {
                let (_, rest) = element.split_once(&format!("{name}=\"")).unwrap();
                plain(rest.split_once('"').unwrap().0)
            };
            let case = (attribute("package"), attribute("classname"));
            let inside = element.split_once("</testcase>").unwrap().0;
            if inside.contains("<skipped>") {
                report.skipped.insert(case.clone());
            }
            for kind in ["failure", "error"] {
                if let Some((_, told)) = inside.split_once(&format!("<{kind}>")) {
                    let told = told.split_once(&format!("</{kind}>")).unwrap().0;
                    report.failed.insert(case.clone(), plain(told));
                }
            }
            report.cases.insert(case);
        }
        report
    }
}

/// Text as it was before XML.
fn plain(text: &str) -> String {
    [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#xA;", "\n"),
        ("&amp;", "&"),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (coded, octet)| {
        text.replace(coded, octet)
    })
}

fn h2spec() -> Option<PathBuf> {
    let path = cache_folder().join("bin/h2spec");
    path.is_file().then_some(path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_h2spec_passes_or_has_its_reason() {
    let Some(h2spec) = h2spec() else {
        skip!("no h2spec here: install Go, and run deploy/setup tools")
    };
    let origin = Origin::serve(|_| async { reply::text("hello").max_age(600).done() }).await;
    let authority = Authority::new();
    let edge = Edge::alone(&format!(
        "version: 1\n\
         certificates: {{main: {{chain: main.pem, key: main.key}}}}\n\
         origins: {{app: {{url: '{}'}}}}\n\
         sites: {{main: {{hosts: ['*'], certificate: main, routes: [{{origins: [app], cache: true}}]}}}}\n",
        origin.url()
    ))
    .certificate(&authority, "main", &[HOST])
    .start()
    .await;
    let found = edge.folder().join("h2spec.xml");
    let running = Command::new(h2spec)
        .args(["--strict", "--tls", "--insecure", "--host", HOST])
        .args(["--port", &edge.https().port().to_string()])
        .args(["--timeout", ANSWER_SECONDS, "--junit-report"])
        .arg(&found)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let run = timeout(WITHIN, running)
        .await
        .expect("h2spec ends")
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let text = fs::read_to_string(&found).unwrap_or_else(|error| panic!("{error}: {said}"));
    let report = Report::read(&text);
    assert!(
        report.cases.len() >= CASES_MIN,
        "{}: {said}",
        report.cases.len()
    );
    assert_eq!(report.skipped, BTreeSet::new(), "{said}");
    let expected: BTreeSet<Case> = EXPECTED
        .iter()
        .map(|(section, what, why)| {
            assert!(!why.is_empty());
            ((*section).to_owned(), (*what).to_owned())
        })
        .collect();
    let failed: BTreeSet<Case> = report.failed.keys().cloned().collect();
    assert_eq!(failed, expected, "{:#?}", report.failed);
}
