//! What the user typed.

mod duration;
mod policy;
mod purge;

pub use duration::parse as duration;
pub use policy::{Apply, Explain, PolicyVerb};
pub use purge::PurgeVerb;

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
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub enum Noun {
    /// Policies: check, explain, apply, follow.
    #[command(subcommand, arg_required_else_help = true)]
    Policy(PolicyVerb),
    /// Purges: stored objects stop being served, on every edge.
    #[command(subcommand, arg_required_else_help = true)]
    Purge(PurgeVerb),
    /// The roster of edges.
    #[command(subcommand, arg_required_else_help = true)]
    Edge(EdgeVerb),
    /// The replicas of the control service.
    #[command(subcommand, arg_required_else_help = true)]
    Replica(ReplicaVerb),
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
    /// Takes a dead edge out of the roster, so that receipts no longer wait for it.
    #[command(after_help = "Example:\n  latencify edge remove tokyo")]
    Remove {
        /// The edge's name, or the id of one of its processes.
        #[arg(value_name = "NAME-OR-PROCESS")]
        edge: String,
    },
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
