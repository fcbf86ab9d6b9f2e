//! What the user typed.

mod duration;
mod identity;
mod policy;
mod purge;
mod rollout;
mod secret;

pub use duration::parse as duration;
pub use identity::{
    AuditFilter, AuditVerb, LoginArgs, Outcome, RoleVerb, TokenVerb, UserChangeArgs, UserVerb,
};
pub use policy::{Apply, Diff, Explain, PolicyVerb, Revert};
pub use purge::PurgeVerb;
pub use rollout::{Command as RolloutCommandArgs, RolloutArgs, RolloutVerb};
pub use secret::{SecretValue, SecretVerb};

use crate::{dev::DevArgs, output::Format};
use clap::{Args, Parser, Subcommand};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// Where control is, unless said otherwise.
pub const SERVER_DEFAULT: &str = "http://127.0.0.1:8080";

/// Runs and asks a latencify CDN: policies, purges, edges; and, without any server, what a policy does to a request.
#[derive(Debug, Parser)]
#[command(
    name = "latencify",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 110,
    after_help = "\
Examples:
  latencify dev                               a small CDN on this machine; Ctrl-C ends it
  latencify policy validate shop.yaml         every error at once, with its line
  latencify policy explain --policy shop.yaml GET https://shop.example/cart
  latencify policy apply shop.yaml --wait     …and every edge runs it
  latencify purge tag article-7 --wait        …and no edge serves the old body any more

Exit codes: 0 done, 1 refused or failed, 2 wrong use."
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What it is about.
    #[command(subcommand)]
    pub noun: Noun,
}

/// What holds for every command.
#[derive(Debug, Args)]
pub struct Global {
    /// How answers are written.
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        env = "LATENCIFY_OUTPUT",
        hide_env = true
    )]
    pub output: Format,
    /// Where control is and how it is spoken to.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Where control is and how it is spoken to.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Control service")]
pub struct ServerArgs {
    /// Where control's API is.
    #[arg(long, global = true, value_name = "URL", env = "LATENCIFY_SERVER", default_value = SERVER_DEFAULT)]
    pub server: url::Url,
    /// The API token. Others on this machine can read it here; prefer a file, or LATENCIFY_API_TOKEN in the environment.
    #[arg(long, global = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// A file that holds the API token; wins over the token itself. In the environment: LATENCIFY_API_TOKEN_FILE; what is
    /// typed wins over the environment.
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// PEM file of the CAs that are trusted instead of the system's.
    #[arg(long, global = true, value_name = "FILE", env = "LATENCIFY_CA")]
    pub ca: Option<PathBuf>,
    /// SHA-256 of the certificate of the CA that is trusted instead of the system's, as control tells it of its own:
    /// sha256:… and 64 hexadecimal digits. Control shows that CA behind its certificate.
    #[arg(
        long,
        global = true,
        value_name = "FINGERPRINT",
        env = "LATENCIFY_CA_FINGERPRINT",
        conflicts_with = "ca"
    )]
    pub ca_fingerprint: Option<latencify_conf::digest::Digest>,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub enum Noun {
    /// Policies: check, explain, apply, follow.
    #[command(subcommand, arg_required_else_help = true)]
    Policy(PolicyVerb),
    /// Rollouts: policies reach the fleet in stages that undo themselves.
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Examples:\n  latencify policy apply shop.yaml --rollout canary=paris,50%,100% --soak 5m --max-5xx 1% --wait\n  \
                            latencify rollout status\n  latencify rollout abort"
    )]
    Rollout(RolloutVerb),
    /// Purges: stored objects stop being served, on every edge.
    #[command(subcommand, arg_required_else_help = true)]
    Purge(PurgeVerb),
    /// The roster of edges.
    #[command(subcommand, arg_required_else_help = true)]
    Edge(EdgeVerb),
    /// The replicas of the control service.
    #[command(subcommand, arg_required_else_help = true)]
    Replica(ReplicaVerb),
    /// Secrets that policies refer to by name: keys of origins, secrets of tokens.
    #[command(subcommand, arg_required_else_help = true)]
    Secret(SecretVerb),
    /// Logs in with a password; further commands are yours until you log out.
    #[command(
        after_help = "Example:\n  latencify login alice --server https://control.example:8080"
    )]
    Login(LoginArgs),
    /// Ends your session, on every replica and every edge.
    Logout,
    /// Who you are to control, and what you may do.
    Whoami,
    /// Accounts.
    #[command(subcommand, arg_required_else_help = true)]
    User(UserVerb),
    /// Roles: what accounts and tokens may do.
    #[command(subcommand, arg_required_else_help = true)]
    Role(RoleVerb),
    /// API tokens, for machines.
    #[command(subcommand, arg_required_else_help = true)]
    Token(TokenVerb),
    /// The audit log: who did what.
    #[command(subcommand, arg_required_else_help = true)]
    Audit(AuditVerb),
    /// Content events.
    #[command(subcommand, arg_required_else_help = true)]
    Event(EventVerb),
    /// The change log that control and every edge agree on.
    #[command(subcommand, arg_required_else_help = true)]
    Log(LogVerb),
    /// Where an address is.
    #[command(after_help = "Example:\n  latencify geo 127.20.0.9 --geoip loopback.mmdb")]
    Geo(Geo),
    /// Starts a small CDN on this machine: control, three edges, an origin in three places.
    Dev(DevArgs),
    /// A completion script for a shell, on stdout.
    #[command(
        after_help = "Examples:\n  latencify completion bash > ~/.local/share/bash-completion/completions/latencify\n  \
                            latencify completion zsh > \"${fpath[1]}/_latencify\"\n  \
                            latencify completion fish > ~/.config/fish/completions/latencify.fish"
    )]
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// The demo origin of `latencify dev`.
    #[command(hide = true)]
    DevOrigin(DevOrigin),
    /// Runs a program that ends when its parent does.
    #[command(hide = true)]
    DevChild(DevChild),
}

/// `latencify edge …`
#[derive(Debug, Subcommand)]
pub enum EdgeVerb {
    /// Every edge process that has joined and not left.
    List,
    /// Makes a token that lets one edge of this name in, once: it gets a certificate with it at its first start, or by
    /// `latencify edge enroll`.
    #[command(after_help = "Example:\n  latencify edge invite tokyo --expires 1h")]
    Invite {
        /// The edge's name.
        #[arg(value_name = "NAME")]
        edge: String,
        /// How long the token may be used; at most 7 days.
        #[arg(long, value_name = "DURATION", default_value = "1h")]
        expires: String,
    },
    /// Gets an edge its certificate with a join token: on the edge's machine, before it starts for the first time, or after its
    /// certificate was revoked or has expired. Key and certificate are written into its state folder; the key stays there.
    #[command(
        after_help = "Example:\n  latencify edge enroll --token-file invitation --control https://control.example:8081 --state /var/lib/latencify/edge"
    )]
    Enroll(Enroll),
    /// Takes an edge's certificates back: its live stream ends at once, and it gets nothing any more. Only a new invitation lets an
    /// edge of this name in again.
    #[command(after_help = "Example:\n  latencify edge revoke tokyo")]
    Revoke {
        /// The edge's name.
        #[arg(value_name = "NAME")]
        edge: String,
    },
    /// Takes a dead edge out of the roster, so that receipts no longer wait for it.
    #[command(after_help = "Example:\n  latencify edge remove tokyo")]
    Remove {
        /// The edge's name, or the id of one of its processes.
        #[arg(value_name = "NAME-OR-PROCESS")]
        edge: String,
    },
}

/// `latencify edge enroll`
#[derive(Debug, Args)]
pub struct Enroll {
    /// Control's fleet address, like https://control.example:8081.
    #[arg(long, value_name = "URL", env = "LATENCIFY_CONTROL")]
    pub control: String,
    /// The edge's state folder; made if it is missing.
    #[arg(long, value_name = "DIR", env = "LATENCIFY_STATE")]
    pub state: PathBuf,
    /// The edge's name, if the token does not say it.
    #[arg(long, value_name = "NAME", env = "LATENCIFY_EDGE")]
    pub edge: Option<String>,
    /// PEM file of the CAs that control's certificate is checked against, if the operator has given control one.
    #[arg(long, value_name = "FILE", env = "LATENCIFY_CONTROL_CA")]
    pub control_ca: Option<PathBuf>,
}

/// `latencify replica …`
#[derive(Debug, Subcommand)]
pub enum ReplicaVerb {
    /// Every replica that has announced itself in the log and not left. One that is gone for good is taken out by the one
    /// that takes its place: latencify-control --remove-replica ID.
    List,
}

/// `latencify event …`
#[derive(Debug, Subcommand)]
pub enum EventVerb {
    /// Sends a content event (CloudEvents 1.0, JSON): what it names is purged everywhere.
    #[command(after_help = "Example:\n  latencify event send - <<'EOF'\n  \
                            {\"specversion\":\"1.0\",\"type\":\"com.latencify.content.updated\",\"source\":\"cms\",\"id\":\"42\",\n   \
                            \"data\":{\"tags\":[\"article-7\"]}}\n  EOF")]
    Send {
        /// The event's file; - is stdin.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// `latencify log …`
#[derive(Debug, Subcommand)]
pub enum LogVerb {
    /// Entries of the change log, in order.
    List {
        /// Only entries after this epoch.
        #[arg(long, value_name = "EPOCH", default_value_t = 0)]
        after: u64,
        /// How many at most.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
    },
}

/// `latencify geo`
#[derive(Debug, Args)]
pub struct Geo {
    /// An IPv4 or IPv6 address.
    pub address: IpAddr,
    /// An MMDB file, repeatable. Default: those that set-up has installed.
    #[arg(
        long,
        value_name = "FILE",
        env = "LATENCIFY_GEOIP",
        value_delimiter = ','
    )]
    pub geoip: Vec<PathBuf>,
}

/// `latencify dev-origin`
#[derive(Debug, Args)]
pub struct DevOrigin {
    /// Where an instance stands and listens, repeatable.
    #[arg(long, value_name = "PLACE=ADDRESS", value_parser = place_and_address, required = true)]
    pub listen: Vec<(String, SocketAddr)>,
    /// Where the bound addresses are written.
    #[arg(long, value_name = "FILE")]
    pub ports_file: Option<PathBuf>,
}

/// `latencify dev-child`
#[derive(Debug, Args)]
pub struct DevChild {
    /// The process that must be alive.
    #[arg(long)]
    pub parent: i32,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub command: Vec<std::ffi::OsString>,
}

fn place_and_address(text: &str) -> Result<(String, SocketAddr), String> {
    let (place, address) = text
        .split_once('=')
        .ok_or("write PLACE=ADDRESS, as paris=127.0.0.1:9001")?;
    let address = address
        .parse()
        .map_err(|_| format!("{address} is no address with a port, as 127.0.0.1:9001"))?;
    Ok((place.to_owned(), address))
}
