//! The programs that are measured, and what each is started with.

mod command;
mod running;

pub use command::gateway;
pub use running::Running;

use clap::ValueEnum;
use std::{env, fmt, path::PathBuf};

/// A program that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Peer {
    /// nginx with `proxy_cache`.
    Nginx,
    /// Varnish.
    Varnish,
    /// Apache Traffic Server.
    #[value(name = "trafficserver")]
    TrafficServer,
    /// haproxy with its cache.
    Haproxy,
    /// A loop that answers a fixed buffer: no peer, but what no program on this machine is ahead of.
    Limit,
    /// Ours.
    Latencify,
}

impl Peer {
    /// All, in the order in which a table lists them.
    pub const ALL: [Self; 6] = [
        Self::Nginx,
        Self::Varnish,
        Self::TrafficServer,
        Self::Haproxy,
        Self::Limit,
        Self::Latencify,
    ];

    /// Whether it is one that users could choose instead of ours.
    pub fn is_rival(self) -> bool {
        !matches!(self, Self::Limit | Self::Latencify)
    }

    /// The programs that it is started with, of Debian.
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Nginx => &["nginx"],
            Self::Varnish => &["varnishd", "varnishncsa"],
            Self::TrafficServer => &["traffic_server"],
            Self::Haproxy => &["haproxy"],
            Self::Limit | Self::Latencify => &[],
        }
    }

    /// How it is asked for its version.
    pub fn version_flag(self) -> &'static str {
        match self {
            Self::Nginx | Self::Haproxy => "-v",
            Self::Varnish | Self::TrafficServer => "-V",
            Self::Limit | Self::Latencify => "--version",
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        formatter.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Where that program is. Debian keeps servers where only root looks.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders =
        env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}
