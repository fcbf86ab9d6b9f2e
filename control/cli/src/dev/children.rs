//! The processes of a run: started in groups of their own, logged to files, ended in order.

use super::{
    heir::{self, Heir},
    layout::Layout,
};
use crate::failure::Failure;
use futures::future::{FutureExt as _, select_all};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    env,
    ffi::OsString,
    fmt,
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    process::{Child as Process, Command},
    time::timeout,
};

/// What a child gets to end by itself.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a log's end is shown.
const TAIL_BYTES: u64 = 4 * 1024;
/// How many lines of it.
const TAIL_LINES: usize = 12;

/// Who ends before whom: an edge says goodbye to control, control writes to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// First.
    Edge,
    /// When no edge is left.
    Control,
    /// When nobody asks any more.
    Support,
}

/// A program to start.
pub struct Program {
    /// What people, logs and files call it.
    pub name: String,
    /// When it ends.
    pub rank: Rank,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What it finds in its environment besides ours. Settings of ours (`LATENCIFY_…`) are not handed down, so that what
    /// stands in the user's shell changes nothing here.
    pub environment: Vec<(&'static str, String)>,
}

/// A child that has ended.
pub struct Ended {
    name: String,
    status: Option<ExitStatus>,
    log: PathBuf,
}

/// What became of a child.
pub enum News {
    /// It has ended.
    Ended(Ended),
    /// It has ended, and a process that it started goes on in its place.
    TookOver {
        /// What the child is called.
        name: String,
        /// The process that goes on.
        pid: u32,
    },
}

struct Child {
    name: String,
    rank: Rank,
    process: Process,
    /// Its process id, which is its group's too.
    group: Option<Pid>,
    /// Who has taken over from it.
    heir: Option<Heir>,
    /// Where it says which addresses it has bound.
    ports: PathBuf,
    log: PathBuf,
}

/// The processes of a run. Dropping them kills what still runs.
pub struct Children {
    launcher: PathBuf,
    running: Vec<Child>,
}

impl Children {
    /// None yet.
    pub fn new() -> Result<Self, Failure> {
        let launcher = env::current_exe().map_err(|error| {
            Failure::failed(format!("the path of this program can't be found: {error}"))
        })?;
        heir::adopt_orphans()?;
        Ok(Self {
            launcher,
            running: Vec::new(),
        })
    }

    /// This program itself, for children that are subcommands.
    pub fn this_program(&self) -> PathBuf {
        self.launcher.clone()
    }

    /// Starts a program and answers with its process id.
    pub fn start(&mut self, program: Program, layout: &Layout) -> Result<u32, Failure> {
        let log = layout.log(&program.name);
        let unloggable = |error: std::io::Error| Failure::file("write", &log, &error);
        let out = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(unloggable)?;
        let err = out.try_clone().map_err(unloggable)?;

        let mut command = Command::new(&self.launcher);
        command
            .arg("dev-child")
            .arg("--parent")
            .arg(std::process::id().to_string())
            .arg("--");
        command.arg(&program.path).args(&program.arguments);
        for (name, _) in env::vars_os().filter(|(name, _)| is_setting(name)) {
            command.env_remove(name);
        }
        command.envs(program.environment);
        command
            .current_dir(&layout.dir)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        // A group of its own: Ctrl-C reaches this program alone, which then ends the others in order.
        command.process_group(0).kill_on_drop(true);
        let process = command.spawn().map_err(|error| {
            Failure::failed(format!(
                "{} can't be started: {error}",
                program.path.display()
            ))
        })?;
        let id = process.id().unwrap_or_default();
        self.running.push(Child {
            ports: layout.ports(&program.name),
            name: program.name,
            rank: program.rank,
            process,
            group: i32::try_from(id).ok().and_then(Pid::from_raw),
            heir: None,
            log,
        });
        Ok(id)
    }

    /// The next child that ends, or that another process takes over from; none when none is left.
    pub async fn next(&mut self) -> Option<News> {
        if self.running.is_empty() {
            return None;
        }
        let waits = self.running.iter_mut().map(|child| child.wait().boxed());
        let (status, index, _) = select_all(waits).await;
        let child = self.running.get_mut(index)?;
        if let Some(pid) = child.find_heir() {
            return Some(News::TookOver {
                name: child.name.clone(),
                pid,
            });
        }
        let child = self.running.remove(index);
        Some(News::Ended(Ended {
            name: child.name.clone(),
            status,
            log: child.log.clone(),
        }))
    }

    /// Ends all: edges, then control, then the rest; what does not end in time is killed.
    pub async fn end(&mut self) {
        for rank in [Rank::Edge, Rank::Control, Rank::Support] {
            for child in self.running.iter().filter(|child| child.rank == rank) {
                child.signal(Signal::TERM);
            }
            for child in self.running.iter_mut().filter(|child| child.rank == rank) {
                if timeout(END_TIMEOUT, child.wait_all()).await.is_err() {
                    child.signal(Signal::KILL);
                    child.wait_all().await;
                }
            }
            self.running.retain(|child| child.rank != rank);
        }
    }
}

impl Child {
    /// Until it, or who has taken over from it, ends.
    async fn wait(&mut self) -> Option<ExitStatus> {
        match &self.heir {
            Some(heir) => heir.wait().await,
            None => self.process.wait().await.ok(),
        }
    }

    /// Until nobody goes on in its place.
    async fn wait_all(&mut self) {
        loop {
            self.wait().await;
            if self.find_heir().is_none() {
                // Nothing is left to signal.
                self.group = None;
                return;
            }
        }
    }

    /// After it has ended: the process id of who has taken over.
    fn find_heir(&mut self) -> Option<u32> {
        let group = self.group.filter(|_| self.rank == Rank::Edge)?;
        let former = self.heir.as_ref().map_or(group, |heir| heir.pid);
        self.heir = Some(Heir::find(&self.ports, group, former)?);
        let pid = self.heir.as_ref()?.pid.as_raw_pid();
        u32::try_from(pid).ok()
    }

    /// To the whole group, which lives as long as one of its processes does. A child that has been waited for without an
    /// heir has none any more, so no stranger is hit.
    fn signal(&self, signal: Signal) {
        let lives = self.heir.is_some() || self.process.id().is_some();
        if let Some(group) = self.group.filter(|_| lives) {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => writeln!(f, "{} ended: {status}", self.name)?,
            None => writeln!(f, "{} ended", self.name)?,
        }
        for line in tail(&self.log) {
            writeln!(f, "  | {line}")?;
        }
        write!(f, "  its log: {}", self.log.display())
    }
}

/// Settings of ours, except where set-up puts things.
fn is_setting(name: &std::ffi::OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| name.starts_with("LATENCIFY_") && name != "LATENCIFY_CACHE")
}

/// The last lines of a log.
fn tail(log: &Path) -> Vec<String> {
    let read = || {
        let mut file = File::open(log)?;
        let from = fs::metadata(log)?.len().saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.into_iter().rev().take(TAIL_LINES).rev().collect()
}
