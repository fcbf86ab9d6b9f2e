//! A peer that runs.

use super::{Peer, command::Ports};
use crate::{
    ground::Ground,
    process::Process,
    settings::Settings,
    verify::{self, wait_until},
    works::Work,
};
use anyhow::Context as _;
use latencify_tests::Port;
use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Its processes; they end when the value goes away.
pub struct Running {
    /// Which it is.
    pub peer: Peer,
    /// The server, and who writes its records.
    processes: Vec<Process>,
    ports: Ports,
    log: Option<PathBuf>,
    store: PathBuf,
}

impl Running {
    /// Starts it and waits until it answers.
    pub fn start(
        peer: Peer,
        ground: &Ground,
        work: Work,
        settings: &Settings,
    ) -> anyhow::Result<Self> {
        let ports = Ports {
            http: Port::reserve(),
            https: Port::reserve(),
            admin: Port::reserve(),
        };
        let commands = peer.prepare(ground, &ports, work, settings)?;
        let mut running = Self {
            peer,
            processes: Vec::new(),
            ports,
            log: peer.access_log(ground),
            store: peer.store(ground),
        };
        for (number, words) in commands.iter().enumerate() {
            let output = ground.folder().join(format!("{peer}.{number}.out"));
            let name = peer.to_string();
            let process = Process::start(&name, settings.proxy_core, words, &output)?;
            running.processes.push(process);
            // Who writes the records needs the server.
            running.wait_until_it_answers()?;
        }
        Ok(running)
    }

    fn wait_until_it_answers(&mut self) -> anyhow::Result<()> {
        let (peer, http) = (self.peer, self.http());
        let answered = wait_until(&format!("{peer} answers"), || {
            self.processes.iter_mut().try_for_each(Process::must_run)?;
            let answer = verify::get(http, "/fix/1/ready")?;
            anyhow::ensure!(answer.status == 200, "status {}", answer.status);
            Ok(())
        });
        answered.with_context(|| self.last_words())
    }

    /// Where it listens for plain HTTP.
    pub fn http(&self) -> SocketAddr {
        self.ports.http.here()
    }

    /// Where it listens for TLS.
    pub fn https_port(&self) -> u16 {
        self.ports.https.number()
    }

    /// An error, if one of its processes has ended.
    pub fn must_run(&mut self) -> anyhow::Result<()> {
        self.processes.iter_mut().try_for_each(Process::must_run)
    }

    /// What its processes said last.
    pub fn last_words(&self) -> String {
        self.processes
            .iter()
            .map(Process::last_words)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Seconds of processor time so far.
    pub fn cpu_seconds(&self) -> f64 {
        self.processes.iter().map(Process::cpu_seconds).sum()
    }

    /// Octets of memory.
    pub fn memory_bytes(&self) -> u64 {
        self.processes.iter().map(Process::memory_bytes).sum()
    }

    /// Octets of its files in memory, the log not among them.
    pub fn store_bytes(&self) -> u64 {
        used(&self.store)
    }

    /// Takes the records away, which fill the memory otherwise; how many octets they had.
    pub fn empty_log(&self) -> u64 {
        let Some(path) = &self.log else {
            return 0;
        };
        let Ok(file) = File::options().write(true).open(path) else {
            return 0;
        };
        let blocks = file.metadata().map_or(0, |metadata| metadata.blocks());
        // A program that does not append goes on where it was: then the file has a hole, and takes no more memory.
        let _ = file.set_len(0);
        blocks * 512
    }

    /// Whether it is to leave records.
    pub fn has_log(&self) -> bool {
        self.log.is_some()
    }
}

/// Octets that a folder's files take.
fn used(folder: &Path) -> u64 {
    let mut sum = 0;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => open.push(entry.path()),
                Ok(metadata) => sum += metadata.blocks() * 512,
                Err(_) => {}
            }
        }
    }
    sum
}
