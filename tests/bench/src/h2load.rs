//! h2load, of the package nghttp2-client: HTTP/2 over TLS.

use crate::{load, process, sample::median};
use anyhow::{Context as _, bail, ensure};
use std::{fs, path::Path};

/// Connections, and streams on each.
const CONNECTIONS: u32 = 64;
const STREAMS: u32 = 10;

/// What it saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Requests that were answered by 200 in the measured time.
    pub requests: u64,
    /// Answers per second.
    pub rate: f64,
    /// Median latency in µs.
    pub p50_us: f64,
    /// The latency that one in a hundred exceeds, in µs.
    pub p99_us: f64,
}

/// Asks for so long; an answer that is not a 200 is an error.
pub fn run(
    core: u32,
    port: u16,
    path: &str,
    bytes: usize,
    seconds: u32,
    folder: &Path,
) -> anyhow::Result<Seen> {
    let log = folder.join("h2load.log");
    let _ = fs::remove_file(&log);
    let words = format!(
        "h2load -t 1 -c {CONNECTIONS} -m {STREAMS} -D {seconds} --log-file={} --connect-to=127.0.0.1:{port} https://{}:{port}{path}",
        log.display(),
        load::HOST
    );
    let words = words.split_whitespace().map(str::to_owned).collect();
    let output = process::pinned(core, &words)
        .output()
        .context("h2load is missing: deploy/setup bench")?;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "h2load: {}\n{told}", output.status);
    let latencies = fs::read_to_string(&log).with_context(|| log.display().to_string())?;
    let _ = fs::remove_file(&log);
    let (rate, requests) = read(&told, bytes)?;
    let (p50_us, p99_us) = percentiles(&latencies)?;
    Ok(Seen {
        requests,
        rate,
        p50_us,
        p99_us,
    })
}

/// Rate and number of requests, if all of them were answered rightly.
fn read(told: &str, bytes: usize) -> anyhow::Result<(f64, u64)> {
    let line = |start: &str| {
        let found = told.lines().find_map(|line| line.strip_prefix(start));
        found.with_context(|| format!("h2load did not tell {start}\n{told}"))
    };
    let number = |text: &str, unit: &str| -> Option<u64> {
        let before = text.split(unit).next()?.trim_end();
        before
            .rsplit(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    };
    let requests = line("requests:")?;
    let codes = line("status codes:")?;
    let finished = line("finished in")?;
    let succeeded = number(requests, " succeeded").context("succeeded")?;
    for unit in [" failed", " errored", " timeout"] {
        if number(requests, unit) != Some(0) {
            bail!("h2load: {}", requests.trim());
        }
    }
    // At the end it breaks off answers that have begun: these have a status, and have not succeeded.
    let has_begun = number(codes, " 2xx").is_some_and(|begun| begun >= succeeded);
    let is_right = [" 3xx", " 4xx", " 5xx"]
        .iter()
        .all(|class| number(codes, class) == Some(0));
    ensure!(
        succeeded > 0 && has_begun && is_right,
        "h2load: {succeeded} succeeded, {}",
        codes.trim()
    );
    let traffic = line("traffic:")?;
    let data = traffic
        .rsplit('(')
        .next()
        .and_then(|text| number(text, ") data"));
    let least = succeeded * bytes as u64;
    ensure!(
        data.is_some_and(|data| data >= least),
        "h2load: {} for {succeeded} answers",
        traffic.trim()
    );
    let rate = finished
        .split(',')
        .nth(1)
        .and_then(|text| text.trim().strip_suffix(" req/s")?.parse().ok());
    Ok((rate.context("req/s")?, succeeded))
}

/// Of the third column.
fn percentiles(log: &str) -> anyhow::Result<(f64, f64)> {
    let mut latencies = log
        .lines()
        .map(|line| line.split('\t').nth(2)?.parse().ok())
        .collect::<Option<Vec<f64>>>()
        .context("h2load's log has no third column")?;
    latencies.sort_by(f64::total_cmp);
    let p99 = latencies.get(latencies.len() * 99 / 100).copied();
    Ok((
        median(latencies).context("no request")?,
        p99.context("no request")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "\
finished in 3.00s, 30123.33 req/s, 31.22MB/s
requests: 90370 total, 91010 started, 90370 done, 90370 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 90370 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 93.66MB (98210350) total, 2.33MB (2440123) headers (space savings 90.00%), 88.25MB (92538880) data
";

    #[test]
    fn what_it_tells_is_read_and_whatever_is_wrong_is_an_error() {
        assert_eq!(read(TOLD, 1_024).unwrap(), (30_123.33, 90_370));
        for (right, wrong) in [
            ("0 failed", "1 failed"),
            ("0 timeout", "7 timeout"),
            ("90370 2xx", "90369 2xx"),
            ("0 5xx", "1 5xx"),
            ("(92538880) data", "(92538879) data"),
            ("finished in", "never"),
        ] {
            assert!(read(&TOLD.replace(right, wrong), 1_024).is_err(), "{wrong}");
        }
    }

    #[test]
    fn percentiles_come_from_the_log() {
        let lines: Vec<_> = (1..=200).map(|us| format!("17\t200\t{us}\n")).collect();
        let log = lines.concat();
        assert_eq!(percentiles(&log).unwrap(), (100.5, 199.0));
        assert!(percentiles("").is_err());
        assert!(percentiles("17\t200\n").is_err());
    }
}
