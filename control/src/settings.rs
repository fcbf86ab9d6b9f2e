//! What the operator says on the command line and in the environment.

use crate::{kafka::Cluster, migrate::Order, seal::SealSettings};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};
use latencify_conf::document::text::{self, Text as _};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Less than this for `--log-unread-max` is told of: one slow election among brokers takes longer.
const UNREAD_SANE_MIN: Duration = Duration::from_secs(30);

/// The control service of a latencify fleet: policies, purges, edges, content events.
#[derive(Debug, Clone, Parser)]
#[command(name = "latencify-control", version)]
pub struct Settings {
    /// Folder of the change log and the store; made if it is missing.
    #[arg(long, env = "LATENCIFY_DATA", value_name = "DIR")]
    pub data: PathBuf,
    /// Address of the API. Port 0: the system chooses.
    #[arg(
        long,
        env = "LATENCIFY_API",
        default_value = "127.0.0.1:8080",
        value_name = "ADDR"
    )]
    pub api: SocketAddr,
    /// Address that edges attach to.
    #[arg(
        long,
        env = "LATENCIFY_FLEET",
        default_value = "127.0.0.1:8081",
        value_name = "ADDR"
    )]
    pub fleet: SocketAddr,
    /// Address of /metrics, /healthz and /readyz. It has neither token nor TLS: never make it public. Other than
    /// loopback, for a Prometheus in the same private network, it is warned of at start.
    #[arg(
        long,
        env = "LATENCIFY_ADMIN",
        default_value = "127.0.0.1:8082",
        value_name = "ADDR"
    )]
    pub admin: SocketAddr,
    /// Kafka brokers: then the change log is a topic, and content events are consumed.
    #[arg(long, env = "LATENCIFY_KAFKA", value_name = "HOST:PORT,…")]
    pub kafka: Option<String>,
    /// What the names of Kafka topics and groups begin with.
    #[arg(long, env = "LATENCIFY_KAFKA_PREFIX", default_value = "latencify", value_name = "NAME", value_parser = prefix)]
    pub kafka_prefix: String,
    /// Take a replica that is gone for good out of the log, by the id that the refusal to start beside it tells. One that
    /// is alive after all stops as soon as it reads that.
    #[arg(long, env = "LATENCIFY_REMOVE_REPLICA", value_name = "ID", value_parser = replica)]
    pub remove_replica: Option<uuid::Uuid>,
    /// PEM file of the certificate chain of the API and the fleet address, instead of one that control issues itself. Edges then
    /// need --control-ca. Without it, the fleet address shows a certificate of the fleet's own CA, and so does the API unless
    /// it listens on loopback alone, where it is plain HTTP.
    #[arg(
        long,
        env = "LATENCIFY_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's private key.
    #[arg(
        long,
        env = "LATENCIFY_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,
    /// A name or address by which the API is asked for, in the certificate that control issues for it; repeatable. This
    /// machine's name, localhost and the addresses that are listened on are in it anyway. With it, the API speaks HTTPS on
    /// loopback, too.
    #[arg(
        long = "api-name",
        env = "LATENCIFY_API_NAME",
        value_name = "NAME",
        value_delimiter = ',',
        value_parser = server_name,
        conflicts_with = "tls_cert"
    )]
    pub api_names: Vec<String>,
    /// How long certificates of edges and of control hold; each is replaced when two thirds of that are over. For tests.
    #[arg(long, env = "LATENCIFY_CERTIFICATE_LIFETIME", default_value = "30d", value_name = "DURATION", value_parser = lifetime, hide = true)]
    pub certificate_lifetime: Duration,
    /// The API token, instead of one that is made at the first start; at least 16 characters.
    #[arg(
        long = "api-token",
        env = "LATENCIFY_API_TOKEN",
        hide_env_values = true,
        hide = true
    )]
    pub api_token: Option<String>,
    /// The join token, instead of one that is made at the first start; at least 16 characters.
    #[arg(
        long = "join-token",
        env = "LATENCIFY_JOIN_TOKEN",
        hide_env_values = true,
        hide = true
    )]
    pub join_token: Option<String>,
    /// Where the keys are that secrets and private keys are sealed with.
    #[command(flatten)]
    pub seal: SealSettings,
    /// For experts: an edge that is cut off for longer is isolated, and purges don't wait for it any more. Edges say five
    /// times as often that they live. 1s to 1h.
    #[arg(long, env = "LATENCIFY_EDGE_LEASE", default_value = "10s", value_name = "DURATION", value_parser = lease)]
    pub edge_lease: Duration,
    /// For experts: the log in Kafka may be out of reach for so long before edges are not answered any more, and are
    /// isolated. A control that is started on a copy of this one's data, or in its place, waits for as long before it calls
    /// an edge fenced that it has not heard of; not after a clean stop. The same on all that follow one log. 10s to 1h.
    #[arg(long, env = "LATENCIFY_LOG_UNREAD_MAX", default_value = "2m", value_name = "DURATION", value_parser = unread)]
    pub log_unread_max: Duration,
    /// File that tells the bound addresses as JSON, once all listen.
    #[arg(long, env = "LATENCIFY_PORTS_FILE", value_name = "FILE")]
    pub ports_file: Option<PathBuf>,
    /// Form of the log on standard error.
    #[arg(
        long,
        env = "LATENCIFY_LOG",
        default_value = "text",
        value_name = "FORM"
    )]
    pub log: LogForm,
}

/// What the program is to do.
#[derive(Debug, Clone)]
pub enum Invocation {
    /// To serve.
    Serve(Settings),
    /// To move the log.
    MigrateLog(MigrateLog),
}

impl Invocation {
    /// Reads a command line; its error is also a wish for help.
    pub fn read<I, T>(arguments: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        let command = Settings::command()
            .subcommand(MigrateLog::command())
            .subcommand_negates_reqs(true)
            .args_conflicts_with_subcommands(true);
        let matches = command.try_get_matches_from(arguments)?;
        match matches.subcommand() {
            Some((_, chosen)) => MigrateLog::from_arg_matches(chosen).map(Self::MigrateLog),
            None => Settings::from_arg_matches(&matches).map(Self::Serve),
        }
    }
}

/// Moves the change log: to Kafka, to the data folder, or to a new log after one was lost or restored.
///
/// Writes a new log with every entry that the store in the data folder has folded, proves it by folding it anew, and lets
/// the store follow it. Policies, site ids, the roster, idempotency keys and tokens stay as they are. Stop control first. It
/// may be cut off at any time: run it again, and it goes on where it stopped.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "migrate-log",
    after_help = "Examples:\n  from SQLite to Kafka:\n    latencify-control migrate-log --data DIR --kafka BROKERS\n  from Kafka \
                  to SQLite:\n    latencify-control migrate-log --data DIR --from-kafka BROKERS\n  the topic was deleted, and is \
                  to be made again from what the store has:\n    latencify-control migrate-log --data DIR --kafka BROKERS \
                  --log-is-lost\n  an older copy of the data folder was restored, and edges obey more than its log has:\n    \
                  latencify-control migrate-log --data DIR"
)]
pub struct MigrateLog {
    /// Folder of the store, and of the change log unless that is in Kafka.
    #[arg(long, env = "LATENCIFY_DATA", value_name = "DIR")]
    pub data: PathBuf,
    /// Kafka brokers of the new log; without it, the new log is in the data folder.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub kafka: Option<String>,
    /// What the name of the new log's topic begins with.
    #[arg(long, default_value = "latencify", value_name = "NAME", value_parser = prefix)]
    pub kafka_prefix: String,
    /// Kafka brokers of the old log, if it was in Kafka and is not lost.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub from_kafka: Option<String>,
    /// What the name of the old log's topic begins with.
    #[arg(long, default_value = "latencify", value_name = "NAME", value_parser = prefix)]
    pub from_kafka_prefix: String,
    /// The old log is lost, or has lost entries: what the store has folded is all that is moved.
    #[arg(long, conflicts_with = "from_kafka")]
    pub log_is_lost: bool,
}

impl MigrateLog {
    /// As it is carried out.
    pub fn order(&self) -> Order {
        let cluster = |brokers: &Option<String>, prefix: &str| {
            brokers.clone().map(|brokers| Cluster {
                brokers,
                prefix: prefix.to_owned(),
            })
        };
        Order {
            data: self.data.clone(),
            to: cluster(&self.kafka, &self.kafka_prefix),
            from: cluster(&self.from_kafka, &self.from_kafka_prefix),
            log_is_lost: self.log_is_lost,
        }
    }
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Settings {
    /// Whether the API speaks TLS: where others can reach it, tokens and policies don't travel in the clear.
    pub fn api_needs_tls(&self) -> bool {
        self.tls_cert.is_some() || !self.api_names.is_empty() || !self.api.ip().is_loopback()
    }

    /// What is to be said at start of a time for which the log may be unread that is too short, if it is: one slow answer of its
    /// brokers then isolates every edge.
    pub fn hasty_unread(&self) -> Option<String> {
        (self.kafka.is_some() && self.log_unread_max < UNREAD_SANE_MIN).then(|| {
            format!(
                "--log-unread-max {:?}: the brokers may take seconds to say where the log ends, and are asked again when they fail; \
                 when they are slow for a moment, or one of them is elected anew, every edge is isolated. Give it \
                 {UNREAD_SANE_MIN:?} or more",
                self.log_unread_max
            )
        })
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
}

fn server_name(text: &str) -> Result<String, String> {
    match rustls::pki_types::ServerName::try_from(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("neither a DNS name nor an IP address".to_owned()),
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = text::Duration::parse(text)
        .map_err(|flaw| flaw.to_string())?
        .0;
    let bounds = Duration::from_secs(1)..=Duration::from_hours(365 * 24);
    if bounds.contains(&lifetime) {
        Ok(lifetime)
    } else {
        Err("a certificate holds for 1s to 365d".to_owned())
    }
}

fn lease(text: &str) -> Result<Duration, String> {
    let lease = within_an_hour(text, Duration::from_secs(1))?;
    lease.ok_or_else(|| "a lease is 1s to 1h".to_owned())
}

fn unread(text: &str) -> Result<Duration, String> {
    // One question about the log's end may take nearly as long.
    let unread = within_an_hour(text, Duration::from_secs(10))?;
    unread.ok_or_else(|| "the log may be unread for 10s to 1h".to_owned())
}

fn within_an_hour(text: &str, shortest: Duration) -> Result<Option<Duration>, String> {
    let duration = text::Duration::parse(text)
        .map_err(|flaw| flaw.to_string())?
        .0;
    let bounds = shortest..=Duration::from_hours(1);
    Ok(bounds.contains(&duration).then_some(duration))
}

fn replica(text: &str) -> Result<uuid::Uuid, String> {
    text.parse().map_err(|_| {
        "not the id of a replica: `latencify replica list` shows them, as does the refusal to start beside one".to_owned()
    })
}

fn prefix(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=200).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("a prefix is 1 to 200 letters, digits, dots, hyphens and underscores, as Kafka allows in names".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_none_is_answered_with_where_ids_are_found() {
        let of = |id| Settings::try_parse_from(["c", "--data", "d", "--remove-replica", id]);
        let said = of("xyz").unwrap_err().to_string();
        assert!(said.contains("latencify replica list"), "{said}");
        let id = "0193e3a6-7f5c-7d6e-8b1a-2f3c4d5e6f70";
        assert!(of(id).unwrap().remove_replica.is_some());
    }

    #[test]
    fn the_api_is_plain_on_loopback_alone() {
        let cases: [(&[&str], bool); 6] = [
            (&[], false),
            (&["--api", "[::1]:0", "--fleet", "0.0.0.0:0"], false),
            (&["--api", "0.0.0.0:8080"], true),
            (&["--api", "192.0.2.1:8080"], true),
            (&["--api-name", "control.example"], true),
            (&["--tls-cert", "c.pem", "--tls-key", "k.pem"], true),
        ];
        for (flags, speaks_tls) in cases {
            let arguments = ["latencify-control", "--data", "d"].iter().chain(flags);
            let settings = Settings::try_parse_from(arguments).unwrap();
            assert_eq!(settings.api_needs_tls(), speaks_tls, "{flags:?}");
        }
        for (lifetime, allowed) in [("1s", true), ("30d", true), ("0s", false), ("366d", false)] {
            let flags = ["c", "--data", "d", "--certificate-lifetime", lifetime];
            assert_eq!(
                Settings::try_parse_from(flags).is_ok(),
                allowed,
                "{lifetime}"
            );
        }
        let odd = ["c", "--data", "d", "--api-name", "a b"];
        assert!(Settings::try_parse_from(odd).is_err());
        for (admin, is_open) in [
            ("127.0.0.1:0", false),
            ("[::1]:0", false),
            ("0.0.0.0:8082", true),
            ("10.0.0.7:8082", true),
        ] {
            let arguments = ["latencify-control", "--data", "d", "--admin", admin];
            let warning = Settings::try_parse_from(arguments).unwrap().open_admin();
            assert_eq!(warning.is_some(), is_open, "{admin}");
            assert!(warning.is_none_or(|warning| warning.contains(admin)));
        }
        for (flags, is_told) in [
            (&["--log-unread-max", "10s"][..], false),
            (&["--log-unread-max", "10s", "--kafka", "k:9092"], true),
            (&["--log-unread-max", "30s", "--kafka", "k:9092"], false),
            (&["--kafka", "k:9092"], false),
        ] {
            let arguments = ["latencify-control", "--data", "d"].iter().chain(flags);
            let warning = Settings::try_parse_from(arguments).unwrap().hasty_unread();
            assert_eq!(warning.is_some(), is_told, "{flags:?}");
        }
        let lone = ["latencify-control", "--data", "d", "--tls-cert", "c.pem"];
        assert!(
            Settings::try_parse_from(lone).is_err(),
            "a certificate needs its key"
        );
        let odd = ["latencify-control", "--data", "d", "--kafka-prefix", "a/b"];
        assert!(Settings::try_parse_from(odd).is_err());
        for (duration, is_lease, is_unread) in [
            ("1s", true, false),
            ("9999ms", true, false),
            ("10s", true, true),
            ("1h", true, true),
            ("999ms", false, false),
            ("61m", false, false),
            ("5", false, false),
        ] {
            for (flag, allowed) in [("--edge-lease", is_lease), ("--log-unread-max", is_unread)] {
                let typed = ["latencify-control", "--data", "d", flag, duration];
                assert_eq!(
                    Settings::try_parse_from(typed).is_ok(),
                    allowed,
                    "{flag} {duration}"
                );
            }
        }
    }
}
