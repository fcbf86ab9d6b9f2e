//! A child process whose words are kept, and which never outlives its test.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// So many lines of a process's words are shown when a test fails.
const LINES_SHOWN: usize = 80;
/// So long may its words be on their way.
const PATIENCE: Duration = Duration::from_mins(1);
/// So long may a process take to stand still, and the pause between two looks.
const STOPPED_WITHIN: Duration = Duration::from_mins(1);
const STOPPED_PAUSE: Duration = Duration::from_millis(1);

/// A running program. Killed (SIGKILL) when it goes away; if a test fails by then, its last words are shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// The processes that took over from the child, one after the other: nobody's children here.
    successors: Vec<u32>,
    log: PathBuf,
}

impl Process {
    /// Starts it; standard output and error are appended to the file.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Self {
        let file = append(log);
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {command:?}: {error}"));
        Self {
            name: name.to_owned(),
            child,
            successors: Vec::new(),
            log: log.to_owned(),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.successors.last().copied().unwrap_or(self.child.id())
    }

    /// From now on that process is meant, which took over; the former ones are still killed at the end.
    pub fn follow(&mut self, successor: u32) {
        self.successors.push(successor);
    }

    /// The processes that were followed from and still run.
    pub fn predecessors(&mut self) -> Vec<u32> {
        let pid = self.pid();
        // A child that nobody waits for stays as a zombie.
        let _ = self.child.try_wait();
        let all = std::iter::once(self.child.id()).chain(self.successors.iter().copied());
        all.filter(|former| *former != pid && runs(*former))
            .collect()
    }

    /// Sends it a signal, by name: `HUP`, `TERM`, `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) {
        // The shell's own `kill`: signalling by libc would be unsafe code.
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {}", self.pid())])
            .status()
            .expect("sh is there");
        assert!(
            status.success(),
            "{} (pid {}) took no SIG{signal}",
            self.name,
            self.pid()
        );
        if signal == "STOP" {
            until_stopped(self.pid());
        }
    }

    /// How the program that was started here ended, if it did: not that of a successor.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it ends.
    pub async fn ended(&mut self, at_most: Duration) -> ExitStatus {
        let what = format!("{} ended", self.name);
        crate::wait_until(&what, at_most, async || self.exited().ok_or("it runs")).await
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        for successor in self.successors.drain(..).filter(|pid| runs(*pid)) {
            let _ = Command::new("sh")
                .args(["-c", &format!("kill -KILL {successor}")])
                .status();
        }
        // An error means that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// All that it and its predecessors on this log have said.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until it has said that: its words may come after its deeds.
    pub async fn says(&self, words: &str) {
        let what = format!("{} says {words:?}", self.name);
        crate::wait_until(&what, PATIENCE, async || {
            if self.said().contains(words) {
                Ok(())
            } else {
                Err(self.last_words())
            }
        })
        .await;
    }

    /// The last of what it said, under a heading.
    pub fn last_words(&self) -> String {
        let said = self.said();
        let lines: Vec<_> = said.lines().collect();
        let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
        format!(
            "--- {} (pid {}) said:\n{}\n",
            self.name,
            self.pid(),
            shown.join("\n")
        )
    }
}

impl Drop for Process {
    #[allow(clippy::print_stderr)] // belongs to the failure's report
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprint!("{}", self.last_words());
        }
    }
}

/// Waits until every thread stands still: the first one that runs has to tell the others, and on a busy machine they go on
/// until then.
fn until_stopped(pid: u32) {
    let stands = |task: std::io::Result<std::fs::DirEntry>| {
        let stat = task.and_then(|task| std::fs::read_to_string(task.path().join("stat")));
        // A thread that has ended meanwhile does nothing, either.
        stat.map_or(true, |stat| {
            (stat.rsplit(") ").next()).is_some_and(|rest| rest.starts_with(['T', 't', 'Z', 'X']))
        })
    };
    let end = Instant::now() + STOPPED_WITHIN;
    loop {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
        if tasks.map_or(true, |mut tasks| tasks.all(stands)) {
            return;
        }
        assert!(Instant::now() < end, "process {pid} runs after SIGSTOP");
        std::thread::sleep(STOPPED_PAUSE);
    }
}

/// Whether there is such a process, other than as a zombie.
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('Z'))
    })
}

fn append(path: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
