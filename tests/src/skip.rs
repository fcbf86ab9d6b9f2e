//! Tests that can't run here.

use std::{fs::OpenOptions, io::Write};

/// Ends the test that it stands in as skipped, by name and with a reason. Where Kafka is installed, `.ci/run` fails for
/// every test that does so.
///
/// ```
/// # use latencify_tests::{Kafka, skip};
/// # fn test() {
/// if !Kafka::durable() {
///     skip!("no durable broker here: deploy/setup kafka");
/// }
/// # }
/// ```
#[macro_export]
macro_rules! skip {
    ($why:expr) => {{
        $crate::report_skipped($why);
        return;
    }};
}

/// Says that the running test is skipped: on standard error, and in the file that `LATENCIFY_SKIPPED` names.
#[allow(clippy::print_stderr)] // what a test program says of itself
pub fn report_skipped(why: &str) {
    let thread = std::thread::current();
    let line = format!("{}: {why}\n", thread.name().unwrap_or("a test"));
    eprint!("skipped {line}");
    if let Some(path) = std::env::var_os("LATENCIFY_SKIPPED") {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        // One write: tests of several programs append to it.
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .unwrap_or_else(|error| panic!("LATENCIFY_SKIPPED={}: {error}", path.display()));
    }
}
