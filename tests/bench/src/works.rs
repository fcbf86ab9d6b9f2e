//! What is asked for, and what must come out of it.

use crate::peers::Peer;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Work {
    /// 1 KiB from the cache.
    #[value(name = "hit-1k")]
    Hit1k,
    /// The same at a rate that does not wait for answers.
    Open,
    /// 64 KiB from the cache.
    #[value(name = "hit-64k")]
    Hit64k,
    /// 1 MiB from the cache.
    #[value(name = "hit-1m")]
    Hit1m,
    /// 1 KiB from the cache over TLS and HTTP/2.
    H2,
    /// 1 KiB from a cache full of objects of which few are popular.
    Zipf,
    /// What no one has asked for before.
    Miss,
    /// What no cache may keep.
    Pass,
    /// A purge by tag in a full cache against one in a small one.
    Purge,
}

/// What the work compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Answers per second: more is better.
    Rate,
    /// The 99th percentile of latency: less is better.
    P99,
}

/// Whom ours is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// That one.
    One(Peer),
    /// Whichever is the best of the peers; the limit is none of them.
    Best,
}

/// A ratio to keep: at least, of rates; at most, of latencies.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    /// Times what.
    pub against: Against,
    /// The ratio.
    pub ratio: f64,
}

/// What the answers' origin must have heard in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nothing: all answers are hits.
    Silent,
    /// Next to nothing: of so many objects a few may have been dropped; and h2load breaks requests off at the end, of which some peers make
    /// what they will. What it heard is told.
    NearlySilent,
    /// Of every request.
    Asked,
}

/// What is asked for, one request after the other. The load is told it as JSON.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Paths {
    /// That one, again and again.
    One(String),
    /// Each a new one, from this number on.
    Unique(u64),
    /// Of so many objects, each once, in order.
    Each(u32),
    /// Of so many objects, number `k` as often as `1/k^exponent` says.
    Zipf {
        /// How many.
        objects: u32,
        /// How steep.
        exponent: f64,
        /// The same seed asks for the same.
        seed: u64,
    },
}

/// How steep popularity falls: as in measured traffic of the web.
pub const ZIPF_EXPONENT: f64 = 0.9;

impl Work {
    /// All, in the order in which they are run.
    pub const ALL: [Self; 9] = [
        Self::Hit1k,
        Self::Open,
        Self::Hit64k,
        Self::Hit1m,
        Self::H2,
        Self::Zipf,
        Self::Miss,
        Self::Pass,
        Self::Purge,
    ];

    /// What people read.
    pub fn title(self) -> &'static str {
        match self {
            Self::Hit1k => "1 KiB hit, HTTP/1.1 keepalive, 64 connections",
            Self::Open => "1 KiB hit, open loop at 70% of nginx's maximum",
            Self::Hit64k => "64 KiB hit, 64 connections",
            Self::Hit1m => "1 MiB hit, 16 connections",
            Self::H2 => "1 KiB hit, HTTPS HTTP/2, h2load 64 × 10 streams",
            Self::Zipf => "1 KiB hits over many objects, Zipf 0.9",
            Self::Miss => "miss and store, 1 KiB unique",
            Self::Pass => "pass-through, 1 KiB",
            Self::Purge => "purge by tag",
        }
    }

    /// How many octets an answer has.
    pub fn bytes(self) -> usize {
        match self {
            Self::Hit64k => 64 << 10,
            Self::Hit1m => 1 << 20,
            _ => 1 << 10,
        }
    }

    /// How many connections ask.
    pub fn connections(self) -> usize {
        if self == Self::Hit1m { 16 } else { 64 }
    }

    /// What is asked for in that round.
    pub fn paths(self, round: usize, objects: u32) -> Paths {
        match self {
            Self::Zipf => Paths::Zipf {
                objects,
                exponent: ZIPF_EXPONENT,
                seed: round as u64,
            },
            Self::Miss => Paths::Unique((round as u64 + 1) * 1_000_000_000),
            Self::Pass => Paths::One("/pass/1024/a".to_owned()),
            _ => Paths::One(format!("/fix/{}/a", self.bytes())),
        }
    }

    /// What the origin hears of it.
    pub fn origin(self) -> Origin {
        match self {
            Self::Miss | Self::Pass => Origin::Asked,
            Self::Zipf | Self::H2 => Origin::NearlySilent,
            _ => Origin::Silent,
        }
    }

    /// What is compared.
    pub fn measure(self) -> Measure {
        if self == Self::Open {
            Measure::P99
        } else {
            Measure::Rate
        }
    }

    /// Whether that peer can do it.
    pub fn is_for(self, peer: Peer) -> bool {
        match peer {
            Peer::Limit => matches!(self, Self::Hit1k | Self::Open | Self::Hit64k | Self::Hit1m),
            // Debian's does not speak TLS.
            Peer::Varnish => self != Self::H2,
            _ => true,
        }
    }

    /// Below it, the cache is not fit to be chosen.
    pub fn floor(self) -> Demand {
        let (peer, ratio) = match self {
            Self::Hit1k => (Peer::Nginx, 1.3),
            Self::Open => (Peer::Nginx, 1.2),
            Self::Hit64k => (Peer::Nginx, 0.85),
            Self::Hit1m => (Peer::Varnish, 0.9),
            Self::H2 => (Peer::Nginx, 1.0),
            Self::Zipf => (Peer::Nginx, 1.2),
            Self::Miss => (Peer::Nginx, 0.9),
            Self::Pass => (Peer::Nginx, 0.75),
            // Against itself with few objects.
            Self::Purge => (Peer::Latencify, 1.1),
        };
        Demand {
            against: Against::One(peer),
            ratio,
        }
    }

    /// What we are after.
    pub fn goal(self) -> Demand {
        let (against, ratio) = match self {
            Self::Hit1k | Self::H2 => (Against::One(Peer::Haproxy), 1.0),
            Self::Open | Self::Miss => (Against::Best, 1.0),
            Self::Hit64k | Self::Pass => (Against::One(Peer::Nginx), 1.0),
            Self::Hit1m => (Against::One(Peer::Varnish), 1.0),
            Self::Zipf => (Against::One(Peer::Nginx), 1.5),
            Self::Purge => (Against::One(Peer::Latencify), 1.1),
        };
        Demand { against, ratio }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        formatter.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl Measure {
    /// Whether the ratio keeps the demand.
    pub fn keeps(self, ratio: f64, demand: Demand) -> bool {
        match self {
            Self::Rate => ratio >= demand.ratio,
            Self::P99 => ratio <= demand.ratio,
        }
    }
}
