//! A program on one core, with all its children, and what they cost.

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// So long may a program take to end by itself.
const END: Duration = Duration::from_secs(15);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A running program; ended when the value goes away.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it on that core; what it says is appended to the file. If this process ends in any way, so does it.
    pub fn start(name: &str, core: u32, command: &Words, log: &Path) -> anyhow::Result<Self> {
        let file = File::options().append(true).create(true).open(log)?;
        let child = pinned(core, command)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| {
                format!("{name}: setpriv or taskset (package util-linux) is missing")
            })?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// An error, if it has ended.
    pub fn must_run(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended: {status}\n{}", self.name, self.last_words());
        }
        Ok(())
    }

    /// The end of what it said.
    pub fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines
            .get(lines.len().saturating_sub(20)..)
            .unwrap_or_default()
            .join("\n")
    }

    /// Seconds of processor time since the start, of it and all its children.
    pub fn cpu_seconds(&self) -> f64 {
        let ticks: u64 = tree(self.child.id()).into_iter().map(ticks).sum();
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64
    }

    /// Octets in memory, of it and all its children; what they share counts once.
    pub fn memory_bytes(&self) -> u64 {
        tree(self.child.id()).into_iter().map(memory).sum()
    }

    /// Tells it and its children to end, and waits; whatever is left then is killed.
    fn end(&mut self) {
        let all: Vec<_> = tree(self.child.id())
            .into_iter()
            .filter_map(Member::of)
            .collect();
        for member in &all {
            member.signal(Signal::TERM);
        }
        let until = Instant::now() + END;
        while Instant::now() < until {
            let is_over = !matches!(self.child.try_wait(), Ok(None));
            if is_over && all.iter().all(Member::is_gone) {
                return;
            }
            thread::sleep(PAUSE);
        }
        for member in &all {
            member.signal(Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A program and its arguments.
pub type Words = Vec<String>;

/// That program on that core, ended when this process ends.
pub fn pinned(core: u32, words: &Words) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "TERM", "taskset", "-c", &core.to_string()])
        .args(words);
    command
}

/// The process and all its descendants.
fn tree(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(&pid) = all.get(at) {
        at += 1;
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().flat_map(str::parse::<u32>));
        }
    }
    all
}

/// Processor time in ticks, that of ended threads included.
fn ticks(pid: u32) -> u64 {
    // Behind the name, utime and stime are the 12th and 13th words.
    let times = [11, 12]
        .into_iter()
        .filter_map(|index| stat_word(pid, index));
    times.flat_map(|time| time.parse::<u64>()).sum()
}

/// Octets: its share of what it has in memory; all of that, where the kernel does not tell shares.
fn memory(pid: u32) -> u64 {
    let shares = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let status = || fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = kib(&shares, "Pss:").or_else(|| kib(&status(), "VmRSS:"));
    kib.unwrap_or_default() << 10
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A process, and when it began: its number may be another's later.
struct Member {
    pid: u32,
    began: String,
}

impl Member {
    fn of(pid: u32) -> Option<Self> {
        let began = stat_word(pid, 19)?;
        Some(Self { pid, began })
    }

    fn is_gone(&self) -> bool {
        stat_word(self.pid, 0).is_none_or(|state| state == "Z")
            || stat_word(self.pid, 19).as_ref() != Some(&self.began)
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| !self.is_gone()) {
            // It may have ended by now.
            let _ = kill_process(pid, signal);
        }
    }
}

/// A word of `/proc/PID/stat`, counted from behind the name, which may contain anything.
fn stat_word(pid: u32, index: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let words = stat.rsplit(')').next()?;
    words.split_whitespace().nth(index).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (tempfile::TempDir, Process) {
        let folder = tempfile::tempdir().unwrap();
        let words = ["sh", "-c", script].map(str::to_owned).to_vec();
        let process = Process::start("shell", 0, &words, &folder.path().join("log")).unwrap();
        (folder, process)
    }

    fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            assert!(began.elapsed() < Duration::from_mins(1), "in vain");
            thread::sleep(PAUSE);
        }
    }

    #[test]
    fn children_count_and_end_with_it() {
        let (_folder, process) = shell("sleep 1000 & wait");
        let all = wait_for(|| Some(tree(process.child.id())).filter(|all| all.len() == 2));
        let all: Vec<_> = all.into_iter().filter_map(Member::of).collect();
        assert!(wait_for(|| Some(process.memory_bytes()).filter(|&bytes| bytes > 0)) > 0);
        drop(process);
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(Member::is_gone));
    }

    #[test]
    fn time_is_counted_and_an_end_is_told() {
        let (_folder, process) = shell("while :; do :; done");
        wait_for(|| (process.cpu_seconds() > 0.0).then_some(()));
        let (_folder, mut process) = shell("echo broken; exit 3");
        let error = wait_for(|| process.must_run().err());
        assert!(error.to_string().contains("broken"), "{error}");
    }
}
