//! What the operator typed, and what the program obeys.

use crate::{disk, fleet, upgrade};
use clap::{
    ArgMatches, CommandFactory as _, FromArgMatches as _, Parser,
    builder::{PossibleValuesParser, TypedValueParser},
    parser::ValueSource,
};
use latencify_cache::Eviction;
use latencify_conf::document::text::{self, Text as _};
use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

/// What the operator typed; each flag is also an environment variable.
#[derive(Debug, Parser)]
#[command(
    name = "latencify-gateway",
    version,
    about = "The edge of a latencify CDN.",
    max_term_width = 100
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
    /// Control's fleet address, like https://control.example:8081: the edge is a member of a fleet.
    #[arg(long, env = "LATENCIFY_CONTROL", value_name = "URL", requires_all = ["edge", "state"])]
    control: Option<String>,
    /// The name of this edge: in the fleet, and in Via, CDN-Loop and Cache-Status. Two edges in a row need two names.
    #[arg(long, env = "LATENCIFY_EDGE", value_name = "NAME")]
    edge: Option<String>,
    /// Folder for the last good policy and the position in the log.
    #[arg(long, env = "LATENCIFY_STATE", value_name = "DIR")]
    state: Option<PathBuf>,
    /// File that holds the token with which edges join; LATENCIFY_JOIN_TOKEN holds it instead.
    #[arg(long, env = "LATENCIFY_JOIN_TOKEN_FILE", value_name = "FILE")]
    join_token_file: Option<PathBuf>,
    /// What to do with stored responses while control is out of reach for longer than a lease, and after a start until
    /// everything is caught up: validate them at their origins, serve them all the same (purges then wait for this edge), or
    /// answer 503.
    #[arg(
        long,
        env = "LATENCIFY_WHEN_ISOLATED",
        value_name = "WHAT",
        default_value = "revalidate"
    )]
    when_isolated: fleet::WhenIsolated,
    /// What it means that this edge has acknowledged a purge: that every request obeys it, or also that it is on disk.
    #[arg(
        long,
        env = "LATENCIFY_ACKS",
        value_name = "WHEN",
        default_value = "obeyed"
    )]
    acks: fleet::Acks,
    /// PEM file of the CAs that control's certificate is checked against; the system's otherwise.
    #[arg(long, env = "LATENCIFY_CONTROL_CA", value_name = "FILE")]
    control_ca: Option<PathBuf>,
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
    /// Existing folder, for it alone, of the disk tier: stored responses that a restart survives. Without it, there is none.
    /// Empty the folder if this edge has run without it: what was purged then is not known there. What is larger than a quarter of
    /// --cache-memory is stored there alone.
    #[arg(long, env = "LATENCIFY_DISK", value_name = "DIR")]
    disk: Option<PathBuf>,
    /// The most bytes of all files in that folder.
    #[arg(long, env = "LATENCIFY_DISK_BYTES", value_name = "SIZE", default_value = "10GiB", value_parser = size)]
    disk_bytes: u64,
    /// How long a request waits for the disk tier to find something before it goes to the origin, like 500ms; four times as long for a
    /// body to be verified before it is sent, and for a purge of this edge alone to be on disk.
    #[arg(long, env = "LATENCIFY_DISK_WAIT", value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    disk_wait: Duration,
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
    },
    /// From control, like purges.
    Member(fleet::Settings),
}

/// Flags that only a member of a fleet obeys.
const MEMBERS_ONLY: [&str; 5] = [
    "state",
    "join_token_file",
    "when_isolated",
    "acks",
    "control_ca",
];
/// Environment variable that holds the join token.
pub const JOIN_TOKEN_VARIABLE: &str = "LATENCIFY_JOIN_TOKEN";

impl Settings {
    /// Reads flags and environment; ends the process with code 2 and the usage when they are wrong.
    pub fn from_command_line() -> Self {
        Self::parse(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = Arguments::command();
        let matches = command.try_get_matches_from_mut(words)?;
        let typed = Arguments::from_arg_matches(&matches)?;
        without_effect(&matches)
            .and_then(|()| with_disk(&matches))
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
        let disk = typed.disk.map(|folder| disk::Options {
            folder,
            bytes_max: typed.disk_bytes,
            wait: typed.disk_wait,
            in_fleet: typed.control.is_some(),
        });
        disk.as_ref().map_or(Ok(()), disk::Options::check)?;
        let name = typed.edge.clone().unwrap_or_else(|| "latencify".to_owned());
        let role = match (typed.policy, typed.control) {
            (Some(policy), None) => Role::Alone { policy },
            (None, Some(control)) => Role::Member(fleet::Settings {
                control,
                edge: typed.edge.ok_or("--control needs --edge NAME")?,
                state: typed.state.ok_or("--control needs --state DIR")?,
                token: fleet::JoinToken::new(join_token(typed.join_token_file.as_deref())?),
                control_ca: typed.control_ca,
                about: Vec::new(),
                when_isolated: typed.when_isolated,
                // What a disk keeps over a restart is judged by marks that a disk keeps, too.
                acks: disk.as_ref().map_or(typed.acks, |_| fleet::Acks::Saved),
                takes_over: std::env::var_os(upgrade::VARIABLE).is_some(),
            }),
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

/// A flag of a member of a fleet, typed for an edge that stands alone, would be believed to protect and do nothing. What
/// stands in an environment that several programs share is not meant for each of them.
fn without_effect(matches: &ArgMatches) -> Result<(), String> {
    let is_typed = |flag: &&&str| matches.value_source(flag) == Some(ValueSource::CommandLine);
    if matches.contains_id("control") {
        return Ok(());
    }
    match MEMBERS_ONLY.iter().find(is_typed) {
        Some(flag) => Err(format!(
            "--{} has no effect without --control URL: leave it out, or make the edge a member of a fleet",
            flag.replace('_', "-")
        )),
        None => Ok(()),
    }
}

/// What is said of a disk tier has to go with one.
fn with_disk(matches: &ArgMatches) -> Result<(), String> {
    let source = |flag: &str| matches.value_source(flag);
    if !matches.contains_id("disk") {
        let is_typed = |flag: &&&str| source(flag) == Some(ValueSource::CommandLine);
        return match ["disk_bytes", "disk_wait"].iter().find(is_typed) {
            Some(flag) => Err(format!(
                "--{} has no effect without --disk DIR: leave it out, or name the folder of a disk tier",
                flag.replace('_', "-")
            )),
            None => Ok(()),
        };
    }
    let acks = matches.get_one("acks");
    let is_said = source("acks") != Some(ValueSource::DefaultValue);
    if is_said && acks == Some(&fleet::Acks::Obeyed) {
        return Err(
            "--acks obeyed can't be with --disk: a purge that was acknowledged must hold after a restart; leave --acks out"
                .into(),
        );
    }
    Ok(())
}

fn join_token(file: Option<&std::path::Path>) -> Result<String, String> {
    let token = match file {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| format!("join token file {}: {error}", file.display()))?,
        None => std::env::var(JOIN_TOKEN_VARIABLE).map_err(|_| {
            format!("--control needs --join-token-file FILE or {JOIN_TOKEN_VARIABLE}")
        })?,
    };
    match token.trim() {
        "" => Err("the join token is empty".into()),
        token => Ok(token.to_owned()),
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
