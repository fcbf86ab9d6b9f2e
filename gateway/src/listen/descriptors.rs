//! File descriptors: as many as the system gives, and one kept to turn clients away by when there are none.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{fs::File, io, path::Path};
use tracing::{info, warn};

/// Below this many, an edge is told to be short of them.
const FEW: u64 = 16_384;

/// Raises the number of descriptors that this process may open to what the system lets it have, and returns it.
pub fn raise() -> u64 {
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        warn!(%error, "the number of file descriptors could not be raised");
    }
    let now = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    info!(
        descriptors = now,
        before = before.current,
        "file descriptors"
    );
    if now < FEW {
        warn!(
            descriptors = now,
            "few file descriptors: this edge can't hold many connections; raise LimitNOFILE= (systemd) or ulimit -n"
        );
    }
    now
}

/// Whether an accept failed because no descriptor, or no memory for one, is left.
pub fn is_exhaustion(error: &io::Error) -> bool {
    const EXHAUSTED: [rustix::io::Errno; 4] = [
        rustix::io::Errno::MFILE,
        rustix::io::Errno::NFILE,
        rustix::io::Errno::NOBUFS,
        rustix::io::Errno::NOMEM,
    ];
    rustix::io::Errno::from_io_error(error).is_some_and(|code| EXHAUSTED.contains(&code))
}

/// Descriptors that are held for the moment when there is no other: given up, one lets one connection be accepted, which
/// is then closed. Without them clients would hang in the backlog until they give up by themselves.
#[derive(Debug)]
pub struct Spare(Vec<File>);

/// More than one: whoever else wants a descriptor may be quicker to take what is given up.
const SPARES: usize = 4;

impl Spare {
    /// Takes them.
    pub fn new() -> Self {
        let mut spare = Self(Vec::with_capacity(SPARES));
        spare.refill();
        spare
    }

    /// Gives one up, if one is there, for as long as `take` runs.
    pub fn lend(&mut self, take: impl FnOnce()) {
        if self.0.pop().is_some() {
            take();
        }
        self.refill();
    }

    fn refill(&mut self) {
        while self.0.len() < SPARES
            && let Some(file) = open()
        {
            self.0.push(file);
        }
    }
}

fn open() -> Option<File> {
    File::open(Path::new("/dev/null")).ok()
}
