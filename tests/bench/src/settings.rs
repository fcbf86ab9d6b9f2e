//! What was typed.

use crate::{load::Plan, peers::Peer, works::Work};
use clap::Parser;
use std::{net::SocketAddr, path::PathBuf};

/// latencify beside its peers.
#[derive(Debug, Parser)]
#[command(name = "latencify-bench", version, max_term_width = 100)]
pub enum Command {
    /// Runs the works and writes the table.
    Run(Settings),
    /// Asks as the plan (JSON) says, and prints what it saw as JSON. Started by `run`.
    #[command(hide = true)]
    Load {
        /// The plan.
        #[arg(value_parser = plan)]
        plan: Box<Plan>,
    },
    /// An origin that counts what it hears. Started by `run`.
    #[command(hide = true)]
    Origin {
        /// Where it listens.
        listen: SocketAddr,
        /// Where it takes records of programs that do not write files.
        sink: SocketAddr,
        /// Where it writes these records.
        records: PathBuf,
    },
    /// A loop that reads, and answers a fixed buffer: the limit of what a program on one core can do. Started by `run`.
    #[command(hide = true)]
    Limit {
        /// Where it listens.
        listen: SocketAddr,
        /// The length of the body.
        bytes: usize,
    },
}

/// What is run, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Which works; all otherwise.
    #[arg(long, value_delimiter = ',', value_name = "WORK")]
    pub works: Vec<Work>,
    /// Which peers; all otherwise. Ours is always there.
    #[arg(long, value_delimiter = ',', value_name = "PEER")]
    pub peers: Vec<Peer>,
    /// How many rounds.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rounds: u32,
    /// How many seconds a round takes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// How many objects the full cache holds.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=50_000_000))]
    pub objects: u32,
    /// The core of the proxy.
    #[arg(long, default_value_t = 0, value_name = "CORE")]
    pub proxy_core: u32,
    /// The core of load and origin.
    #[arg(long, default_value_t = 1, value_name = "CORE")]
    pub load_core: u32,
    /// Our program; the one beside this program otherwise.
    #[arg(long, value_name = "FILE")]
    pub gateway: Option<PathBuf>,
    /// Where the table goes. Otherwise a whole run (all works and peers, at least 7 rounds) writes tests/bench/results/peers.md,
    /// and any other only prints it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// So many rounds make a median that may stand in the repository.
pub const WHOLE_ROUNDS: u32 = 7;
/// So many objects fill a cache.
pub const WHOLE_OBJECTS: u32 = 1_000_000;

impl Command {
    /// Reads the command line; ends the process with code 2 and the usage when it is wrong.
    pub fn from_command_line() -> Self {
        Self::parse()
    }
}

impl Settings {
    /// The works that are asked for, in their order.
    pub fn works(&self) -> Vec<Work> {
        let is_asked = |work: &Work| self.works.is_empty() || self.works.contains(work);
        Work::ALL.into_iter().filter(is_asked).collect()
    }

    /// The peers that are asked for, in their order.
    pub fn peers(&self) -> Vec<Peer> {
        let is_asked = |peer: &Peer| {
            self.peers.is_empty() || self.peers.contains(peer) || *peer == Peer::Latencify
        };
        Peer::ALL.into_iter().filter(is_asked).collect()
    }

    /// Whether it may stand in the repository.
    pub fn is_whole(&self) -> bool {
        self.works().len() == Work::ALL.len()
            && self.peers().len() == Peer::ALL.len()
            && self.rounds >= WHOLE_ROUNDS
            && self.objects >= WHOLE_OBJECTS
    }
}

fn plan(text: &str) -> Result<Box<Plan>, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Settings {
        let words = [&["latencify-bench", "run"], words].concat();
        match Command::try_parse_from(words).unwrap() {
            Command::Run(settings) => settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parts_can_be_run_and_are_no_whole() {
        let whole = read(&[]);
        assert!(whole.is_whole());
        assert_eq!(whole.works(), Work::ALL);
        let part = read(&["--works", "pass,hit-1k", "--peers", "nginx"]);
        assert_eq!(part.works(), [Work::Hit1k, Work::Pass]);
        assert_eq!(part.peers(), [Peer::Nginx, Peer::Latencify]);
        for words in [
            ["--rounds", "6"],
            ["--objects", "5000"],
            ["--works", "zipf"],
            ["--peers", "nginx"],
        ] {
            assert!(!read(&words).is_whole(), "{words:?}");
        }
    }
}
