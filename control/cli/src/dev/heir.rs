//! An edge that has taken over from its predecessor after SIGUSR2: a process of the child's group, and the one that the
//! ports file names. It becomes this program's child when its predecessor ends, because this program asked for orphans.

use crate::failure::Failure;
use rustix::process::{Pid, WaitOptions, getpgid, getpid, set_child_subreaper, waitpid};
use serde::Deserialize;
use std::{fs, os::unix::process::ExitStatusExt as _, path::Path, process::ExitStatus};
use tokio::signal::unix::{SignalKind, signal};

/// What a ports file says of its writer.
#[derive(Deserialize)]
struct Written {
    pid: i32,
}

/// A process that took over.
pub struct Heir {
    /// Its process id, which is nobody else's until it has been waited for.
    pub pid: Pid,
}

/// Asks the kernel for orphans: whoever a child leaves behind becomes a child of this program.
pub fn adopt_orphans() -> Result<(), Failure> {
    set_child_subreaper(Some(getpid()))
        .map_err(|error| Failure::failed(format!("the kernel hands over no orphans: {error}")))
}

impl Heir {
    /// The process that took over from `former`, which has ended; none: nobody did.
    pub fn find(ports: &Path, group: Pid, former: Pid) -> Option<Self> {
        let written: Written = serde_json::from_slice(&fs::read(ports).ok()?).ok()?;
        let pid = Pid::from_raw(written.pid).filter(|pid| *pid != former)?;
        (getpgid(Some(pid)).ok()? == group).then_some(Self { pid })
    }

    /// Until it has ended; none: how is not told.
    pub async fn wait(&self) -> Option<ExitStatus> {
        // Listened for before the first look, so that no end is missed.
        let mut ends = signal(SignalKind::child()).ok()?;
        loop {
            match waitpid(Some(self.pid), WaitOptions::NOHANG) {
                Ok(None) => ends.recv().await?,
                Ok(Some((_, status))) => return Some(ExitStatus::from_raw(status.as_raw())),
                Err(_) => return None,
            }
        }
    }
}
