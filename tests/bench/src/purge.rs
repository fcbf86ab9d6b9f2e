//! What a purge by tag costs in a full cache and in a small one: instructions of the engine, in the program `purge_by_tag` of
//! `gateway/cache/examples`. By `perf stat` where the machine counts instructions, else by callgrind.

use crate::{output, process, settings::Settings};
use anyhow::{Context as _, bail, ensure};
use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// Objects in the small cache.
pub const FEW: u32 = 1_000;
/// Purges that are counted; what one costs is the mean.
const PURGES: u64 = 1_000;
/// So long `perf` is given to attach itself. Too short a time counts too little, in either cache.
const ATTACH: Duration = Duration::from_secs(1);

/// Instructions of one purge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Instructions {
    /// In a cache of [`FEW`] objects.
    pub few: f64,
    /// In a cache of so many.
    pub objects: u32,
    /// In that.
    pub many: f64,
    /// Who counted.
    pub by: Counter,
}

/// Who counts instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// The processor.
    Perf,
    /// A simulated processor.
    Callgrind,
}

impl Instructions {
    /// Full against small.
    pub fn ratio(&self) -> f64 {
        self.many / self.few
    }
}

impl Counter {
    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Perf => "perf stat",
            Self::Callgrind => "valgrind --tool=callgrind",
        }
    }

    fn find() -> anyhow::Result<Self> {
        let counts = Command::new("perf")
            .args(["stat", "-x,", "-e", "instructions:u", "true"])
            .output();
        // Virtual machines often say `<not supported>`.
        let counts =
            counts.is_ok_and(|output| of_perf(&String::from_utf8_lossy(&output.stderr)).is_some());
        if counts {
            return Ok(Self::Perf);
        }
        let has_valgrind = Command::new("valgrind").arg("--version").output();
        ensure!(
            has_valgrind.is_ok_and(|output| output.status.success()),
            "neither perf counts instructions here, nor is valgrind there: deploy/setup bench"
        );
        Ok(Self::Callgrind)
    }
}

/// Counts both.
pub fn run(settings: &Settings) -> anyhow::Result<Instructions> {
    let by = Counter::find()?;
    let count = |objects: u32| {
        output::note(&format!(
            "  {PURGES} purges by tag of {objects} objects, counted by {}",
            by.name()
        ));
        let counted = match by {
            Counter::Perf => perf(objects, settings),
            Counter::Callgrind => callgrind(objects, settings),
        };
        counted.map(|counted| counted as f64 / PURGES as f64)
    };
    Ok(Instructions {
        few: count(FEW)?,
        objects: settings.objects,
        many: count(settings.objects)?,
        by,
    })
}

fn example() -> anyhow::Result<PathBuf> {
    let path = env::current_exe()?
        .with_file_name("examples")
        .join("purge_by_tag");
    ensure!(
        path.is_file(),
        "{} is not there: cargo build --release -p latencify-cache --example purge_by_tag",
        path.display()
    );
    Ok(path)
}

fn words(before: &[&str], objects: u32) -> anyhow::Result<Vec<String>> {
    let mut words: Vec<_> = before.iter().map(|&word| word.to_owned()).collect();
    words.push(example()?.display().to_string());
    words.extend([objects.to_string(), PURGES.to_string()]);
    Ok(words)
}

fn callgrind(objects: u32, settings: &Settings) -> anyhow::Result<u64> {
    let before = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        "--toggle-collect=*measured_section*",
    ];
    let mut child = process::pinned(settings.proxy_core, &words(&before, objects)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("valgrind")?;
    go_on(&mut child)?;
    go_on(&mut child)?;
    let output = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "valgrind: {}\n{told}",
        output.status
    );
    let counted = told
        .lines()
        .find_map(|line| line.split("Collected : ").nth(1));
    let counted: u64 = counted
        .and_then(|text| text.trim().parse().ok())
        .with_context(|| format!("valgrind counted nothing\n{told}"))?;
    ensure!(
        counted > PURGES,
        "valgrind did not find the section that is measured\n{told}"
    );
    Ok(counted)
}

fn perf(objects: u32, settings: &Settings) -> anyhow::Result<u64> {
    let mut child = process::pinned(settings.proxy_core, &words(&[], objects)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut told = BufReader::new(child.stdout.take().context("its output")?).lines();
    let mut wait_for = |what: &str| match told.next() {
        Some(Ok(line)) if line == what => Ok(()),
        other => bail!("purge_by_tag said {other:?} instead of {what}"),
    };
    wait_for("ready")?;
    let counter = Command::new("perf")
        .args([
            "stat",
            "-x,",
            "-e",
            "instructions:u",
            "-p",
            &child.id().to_string(),
        ])
        .stderr(Stdio::piped())
        .spawn()?;
    thread::sleep(ATTACH);
    go_on(&mut child)?;
    wait_for("done")?;
    // It ends with the process that it counts.
    go_on(&mut child)?;
    let output = counter.wait_with_output()?;
    child.wait()?;
    let told = String::from_utf8_lossy(&output.stderr);
    of_perf(&told).with_context(|| format!("perf counted nothing\n{told}"))
}

fn go_on(child: &mut Child) -> anyhow::Result<()> {
    let input = child.stdin.as_mut().context("its input")?;
    input.write_all(b"\n").context("purge_by_tag ended early")
}

/// The count in what `perf stat -x,` says.
fn of_perf(told: &str) -> Option<u64> {
    let line = told.lines().find(|line| line.contains("instructions:u"))?;
    line.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perf_is_believed_when_it_counts() {
        assert_eq!(
            of_perf("123456,,instructions:u,100,100.00,,\n"),
            Some(123_456)
        );
        assert_eq!(
            of_perf("<not supported>,,instructions:u,0,100.00,,\n"),
            None
        );
        assert_eq!(of_perf(""), None);
    }

    #[test]
    fn a_ratio_is_full_against_small() {
        let purges = Instructions {
            few: 1_000.0,
            objects: 1_000_000,
            many: 1_050.0,
            by: Counter::Callgrind,
        };
        assert!((purges.ratio() - 1.05).abs() < 1e-9);
    }
}
