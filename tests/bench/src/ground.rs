//! What a work is done on: a folder in memory, ports, a certificate, and the origin. Gone when the value goes away.

use crate::{
    process::{Process, Words},
    server, verify,
};
use anyhow::{Context as _, ensure};
use latencify_tests::{Authority, Port};
use std::{
    env, fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Where files are memory.
const MEMORY: &str = "/dev/shm";

/// So long nothing comes, when nothing more comes; and so long is waited for that.
const QUIET: Duration = Duration::from_millis(100);
const QUIET_WITHIN: Duration = Duration::from_secs(5);

/// The ground of one work.
pub struct Ground {
    origin: Process,
    origin_port: Port,
    sink_port: Port,
    folder: TempDir,
}

impl Ground {
    /// A folder and an origin on that core.
    pub fn new(load_core: u32) -> anyhow::Result<Self> {
        ensure!(
            Path::new(MEMORY).is_dir(),
            "there is no {MEMORY}: a tmpfs is wanted there"
        );
        let folder = tempfile::Builder::new()
            .prefix("latencify-bench-")
            .tempdir_in(MEMORY)
            .context("a folder in memory")?;
        // Some peers give up their rights before they look at their files.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let identity = Authority::new().issue(&[crate::load::HOST]);
        let (chain, key) = identity.write(folder.path(), "bench");
        let combined = [fs::read(chain)?, fs::read(key)?].concat();
        fs::write(folder.path().join("combined.pem"), combined)?;
        let (origin_port, sink_port) = (Port::reserve(), Port::reserve());
        let words = myself([
            "origin".to_owned(),
            origin_port.here().to_string(),
            sink_port.here().to_string(),
            folder.path().join("haproxy.log").display().to_string(),
        ])?;
        let log = folder.path().join("origin.out");
        let mut ground = Self {
            origin: Process::start("origin", load_core, &words, &log)?,
            origin_port,
            sink_port,
            folder,
        };
        verify::wait_until("the origin answers", || {
            ground.origin.must_run()?;
            verify::get(ground.origin(), server::COUNT).map(drop)
        })?;
        Ok(ground)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the origin listens.
    pub fn origin(&self) -> SocketAddr {
        self.origin_port.here()
    }

    /// Where records are taken.
    pub fn sink(&self) -> SocketAddr {
        self.sink_port.here()
    }

    /// How many requests the origin has heard.
    pub fn heard(&self) -> anyhow::Result<u64> {
        let told = verify::get(self.origin(), server::COUNT)?;
        String::from_utf8(told.body)?
            .parse()
            .context("the origin's count")
    }

    /// The same, when nothing more comes: what a peer still asks for after a round is charged to it, and to nobody else.
    pub fn heard_at_last(&self) -> anyhow::Result<u64> {
        let began = Instant::now();
        let mut heard = self.heard()?;
        loop {
            thread::sleep(QUIET);
            let again = self.heard()?;
            if again == heard || began.elapsed() > QUIET_WITHIN {
                return Ok(again);
            }
            heard = again;
        }
    }
}

/// This program with those arguments.
pub fn myself(arguments: impl IntoIterator<Item = String>) -> anyhow::Result<Words> {
    let program: PathBuf = env::current_exe().context("where this program is")?;
    let mut words = vec![program.display().to_string()];
    words.extend(arguments);
    Ok(words)
}
