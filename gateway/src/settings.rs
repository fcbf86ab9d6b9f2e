//! What the operator typed, and what the program obeys.

mod disk_tier;
mod member;

use crate::{disk, fleet};
use clap::{
    ArgMatches, CommandFactory as _, FromArgMatches as _, Parser,
    builder::{PossibleValuesParser, TypedValueParser},
};
use disk_tier::DiskTier;
use latencify_cache::Eviction;
use latencify_conf::document::text::{self, Text as _};
use member::Member;
use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

/// What the operator typed; each flag is also an environment variable.
#[derive(Debug, Parser)]
#[command(
    name = "latencify-gateway",
    version,
    about = "The edge of a latencify CDN.",
    max_term_width = 100,
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true
)]
pub struct Arguments {
    /// Policy file, or folder of YAML files: the edge stands alone.
    #[arg(
        long,
        env = "LATENCIFY_POLICY",
        value_name = "PATH",
        conflicts_with = "control"
    )]
    policy: Option<PathBuf>,
    /// Folder of the secrets that the policy names: one file a secret, named as the policy names it, that nobody else may
    /// read. For an edge that stands alone; in a fleet, control gives them.
    #[arg(
        long,
        env = "LATENCIFY_SECRETS",
        value_name = "DIR",
        conflicts_with = "control"
    )]
    secrets: Option<PathBuf>,
    #[command(flatten)]
    member: Member,
    /// Address for plain HTTP/1.1, like 0.0.0.0:80, an IPv6 address in brackets; repeatable.
    #[arg(
        long,
        env = "LATENCIFY_HTTP",
        value_name = "ADDR",
        value_delimiter = ','
    )]
    http: Vec<SocketAddr>,
    /// Address for HTTP/1.1 and HTTP/2 over TLS; repeatable.
    #[arg(
        long,
        env = "LATENCIFY_HTTPS",
        value_name = "ADDR",
        value_delimiter = ','
    )]
    https: Vec<SocketAddr>,
    /// Address of /metrics, /healthz and /readyz. It has neither token nor TLS: never make it public. Other than
    /// loopback, for a Prometheus in the same private network, it is warned of at start.
    #[arg(
        long,
        env = "LATENCIFY_ADMIN",
        value_name = "ADDR",
        default_value = "127.0.0.1:9180"
    )]
    admin: SocketAddr,
    /// GeoIP database (MMDB), read again when it changes; repeatable.
    #[arg(
        long,
        env = "LATENCIFY_GEOIP",
        value_name = "FILE",
        value_delimiter = ','
    )]
    geoip: Vec<PathBuf>,
    /// DNS server for names of origins, like 127.0.0.53:53; as /etc/resolv.conf says otherwise. /etc/hosts comes first.
    #[arg(long, env = "LATENCIFY_DNS", value_name = "ADDR")]
    dns: Option<SocketAddr>,
    /// Folder that relative certificate paths of the policy start at; the working folder otherwise.
    #[arg(
        long,
        env = "LATENCIFY_CERT_DIR",
        value_name = "DIR",
        default_value = "."
    )]
    cert_dir: PathBuf,
    /// File for access records, one JSON object a line; `-` is standard output. Reopened on SIGHUP.
    #[arg(long, env = "LATENCIFY_ACCESS_LOG", value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// Bytes of memory for stored responses, like 512MiB.
    #[arg(long, env = "LATENCIFY_CACHE_MEMORY", value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    cache_memory: u64,
    /// Which stored responses leave memory when it is full: s3-fifo keeps what is asked for again, and lets what is asked for once
    /// pass; lru, to compare with, takes out what was asked for longest ago.
    #[arg(long, env = "LATENCIFY_CACHE_EVICTION", value_name = "HOW", default_value = Eviction::default().name(), value_parser = eviction())]
    cache_eviction: Eviction,
    #[command(flatten)]
    disk: DiskTier,
    /// Worker threads; one a core otherwise.
    #[arg(long, env = "LATENCIFY_THREADS", value_name = "N")]
    threads: Option<usize>,
    /// How long requests under way may take after SIGTERM, or after SIGUSR2 has let a new process take over, like 30s.
    #[arg(long, env = "LATENCIFY_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    drain_timeout: Duration,
    /// File that receives the bound addresses and the process id as JSON when all listen.
    #[arg(long, env = "LATENCIFY_PORTS_FILE", value_name = "FILE")]
    ports_file: Option<PathBuf>,
    /// File that receives the process id while it serves; after an upgrade (SIGUSR2), that of the process that took over.
    #[arg(long, env = "LATENCIFY_PID_FILE", value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Form of the log on standard error.
    #[arg(
        long,
        env = "LATENCIFY_LOG",
        value_name = "FORM",
        default_value = "text"
    )]
    log: LogForm,
}

/// Form of the program's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogForm {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the program obeys.
#[derive(Debug)]
pub struct Settings {
    /// What the edge is called.
    pub name: String,
    /// Alone, or a member of a fleet.
    pub role: Role,
    /// Addresses for plain HTTP.
    pub http: Vec<SocketAddr>,
    /// Addresses for HTTP over TLS.
    pub https: Vec<SocketAddr>,
    /// The private address.
    pub admin: SocketAddr,
    /// GeoIP databases.
    pub geoip: Vec<PathBuf>,
    /// DNS server for names of origins; none: the system's.
    pub dns: Option<SocketAddr>,
    /// Where relative certificate paths start.
    pub cert_dir: PathBuf,
    /// Where access records go; none: nowhere.
    pub access_log: Option<PathBuf>,
    /// Bytes of memory for stored responses.
    pub cache_memory_bytes: u64,
    /// How it is made room for others.
    pub cache_eviction: Eviction,
    /// The disk tier; none: there is none.
    pub disk: Option<disk::Options>,
    /// Worker threads.
    pub threads: usize,
    /// The longest drain.
    pub drain_timeout: Duration,
    /// Where the bound addresses are written.
    pub ports_file: Option<PathBuf>,
    /// Where the process id is written.
    pub pid_file: Option<PathBuf>,
    /// Form of the program's own log.
    pub log: LogForm,
}

/// Where policies come from.
#[derive(Debug)]
pub enum Role {
    /// From files; purges are this edge's own.
    Alone {
        /// File or folder.
        policy: PathBuf,
        /// Folder of the secrets that it names.
        secrets: Option<PathBuf>,
    },
    /// From control, like purges.
    Member(fleet::Settings),
}

/// What the program is to do.
#[derive(Debug)]
pub enum Invocation {
    /// To serve.
    Serve(Box<Settings>),
    /// To get a certificate.
    Enroll(fleet::enroll::Enroll),
}

impl Invocation {
    /// Reads flags and environment; ends the process with code 2 and the usage when they are wrong.
    pub fn from_command_line() -> Self {
        Self::parse(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = Arguments::command().subcommand(fleet::enroll::Enroll::command());
        let matches = command.try_get_matches_from_mut(words)?;
        if let Some((_, chosen)) = matches.subcommand() {
            return fleet::enroll::Enroll::from_arg_matches(chosen).map(Self::Enroll);
        }
        Settings::read(&mut command, &matches).map(|settings| Self::Serve(Box::new(settings)))
    }
}

impl Settings {
    fn read(command: &mut clap::Command, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let typed = Arguments::from_arg_matches(matches)?;
        member::without_effect(matches)
            .and_then(|()| disk_tier::with_disk(matches))
            .and_then(|()| Self::resolve(typed))
            .map_err(|reason| command.error(clap::error::ErrorKind::ValueValidation, reason))
    }

    /// What is to be said of the admin address at start: that others can reach it, if they can.
    pub fn open_admin(&self) -> Option<String> {
        (!self.admin.ip().is_loopback()).then(|| {
            format!(
                "--admin {} is not a loopback address: whoever reaches it reads metrics and health without a token; keep \
                 it in a private network",
                self.admin
            )
        })
    }

    fn resolve(typed: Arguments) -> Result<Self, String> {
        let disk = typed.disk.options(typed.member.is_one())?;
        let name = typed.member.name();
        let role = match (typed.policy, typed.member.settings(disk.is_some())?) {
            (Some(policy), None) => Role::Alone {
                policy,
                secrets: typed.secrets,
            },
            (None, Some(member)) => Role::Member(member),
            (None, None) => {
                return Err("where is the policy? Give --policy PATH, or --control URL with --edge and --state".into());
            }
            (Some(_), Some(_)) => return Err("--policy and --control exclude each other".into()),
        };
        if typed.http.is_empty() && typed.https.is_empty() {
            return Err("nothing to listen on: give --http ADDR or --https ADDR, like --http 127.0.0.1:8000".into());
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            name,
            role,
            http: typed.http,
            https: typed.https,
            admin: typed.admin,
            geoip: typed.geoip,
            dns: typed.dns,
            cert_dir: typed.cert_dir,
            access_log: typed.access_log,
            cache_memory_bytes: typed.cache_memory,
            cache_eviction: typed.cache_eviction,
            disk,
            threads: typed.threads.unwrap_or(cores).max(1),
            drain_timeout: typed.drain_timeout,
            ports_file: typed.ports_file,
            pid_file: typed.pid_file,
            log: typed.log,
        })
    }
}

/// A size as policies write it.
fn size(text: &str) -> Result<u64, String> {
    text::Size::parse(text)
        .map(|size| size.0)
        .map_err(|flaw| flaw.to_string())
}

/// A way to evict by its name; the parser knows them all.
fn eviction() -> impl TypedValueParser<Value = Eviction> {
    PossibleValuesParser::new(Eviction::ALL.map(Eviction::name)).map(|name| {
        let named = Eviction::ALL.into_iter().find(|way| way.name() == name);
        named.unwrap_or_default()
    })
}

/// A duration as policies write it.
fn duration(text: &str) -> Result<Duration, String> {
    text::Duration::parse(text)
        .map(|duration| duration.0)
        .map_err(|flaw| flaw.to_string())
}

#[cfg(test)]
mod tests;
