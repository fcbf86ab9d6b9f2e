//! `latencify policy …`

use clap::{Args, Subcommand};
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// The verbs of policies.
#[derive(Debug, Subcommand)]
pub enum PolicyVerb {
    /// Checks a policy here, without a server: every error at once, with file, line and column.
    #[command(
        after_help = "Examples:\n  latencify policy validate shop.yaml\n  latencify policy validate policies/ -o json"
    )]
    Validate {
        /// A policy file, or a folder whose *.yaml and *.yml make one policy together; - is stdin.
        path: PathBuf,
    },
    /// The JSON Schema of policy files, so that editors complete them.
    #[command(
        after_help = "Example:\n  latencify policy schema > latencify.schema.json\n  \
                            # and as the first line of a policy: # yaml-language-server: $schema=latencify.schema.json"
    )]
    Schema,
    /// What happens to a request, step by step, without sending it.
    Explain(Explain),
    /// Makes a policy the target of the fleet.
    #[command(
        after_help = "Examples:\n  latencify policy apply shop.yaml --message 'longer ttl' --wait\n  \
                            latencify policy apply policies/ --base 7      # only if 7 is still the head\n  \
                            latencify policy apply shop.yaml --dry-run              # checks, and shows what would change\n  \
                            latencify policy apply shop.yaml --rollout canary=paris,10%,50%,100% --soak 5m --max-5xx 1% --wait"
    )]
    Apply(Apply),
    /// What differs between two revisions, or a revision and files here: routes, keys and limits as they are obeyed.
    #[command(
        after_help = "Examples:\n  latencify policy diff                 # what the head changed of the revision before it\n  \
                            latencify policy diff 7 9\n  latencify policy diff shop.yaml       # what applying it would change\n  \
                            latencify policy diff 7 policies/ -o json\nSecrets are never shown: only that they differ."
    )]
    Diff(Diff),
    /// Makes the files of an earlier revision a new one, and so the target of the fleet.
    #[command(
        after_help = "Examples:\n  latencify policy revert 7 --message 'checkout is slow'\n  \
                            latencify policy revert 7 --base 9      # only if 9 is still the head"
    )]
    Revert(Revert),
    /// All revisions, newest first.
    List,
    /// The files of a revision.
    Show {
        /// A number, or `head`.
        #[arg(default_value = "head")]
        revision: String,
    },
    /// Who runs a revision, and who can't and why.
    Status {
        /// A number, or `head`.
        #[arg(default_value = "head")]
        revision: String,
    },
}

/// `latencify policy explain`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  latencify policy explain --policy shop.yaml GET https://shop.example/cart\n  \
                        latencify policy explain --policy shop.yaml GET http://shop.example/ \\\n    \
                        -H 'Accept-Language: fr' --from 127.20.0.9 --geoip loopback.mmdb"
)]
pub struct Explain {
    /// A policy file or folder.
    #[arg(long, value_name = "PATH")]
    pub policy: PathBuf,
    /// The request's method.
    pub method: http::Method,
    /// The request's URL.
    pub url: url::Url,
    /// A request header, repeatable.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// The client's address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub from: IpAddr,
    /// An MMDB file, repeatable. Default: those that set-up has installed.
    #[arg(
        long,
        value_name = "FILE",
        env = "LATENCIFY_GEOIP",
        value_delimiter = ','
    )]
    pub geoip: Vec<PathBuf>,
}

/// `latencify policy apply`
#[derive(Debug, Args)]
pub struct Apply {
    /// A policy file, or a folder whose *.yaml and *.yml make one policy together.
    pub path: PathBuf,
    /// Why, for the list of revisions.
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub message: String,
    /// The revision that you saw: if another one is the head by now, nothing changes. 0: no policy yet.
    #[arg(long, value_name = "REVISION")]
    pub base: Option<u64>,
    /// Only check, on the server.
    #[arg(long)]
    pub dry_run: bool,
    /// Wait until every edge runs it; exit 1 if one can't or does not in time, or a rollout is sent back.
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,
    /// How long to wait. Default: 30s; with stages, as long as they may take.
    #[arg(long, value_name = "DURATION", value_parser = super::duration, requires = "wait")]
    pub timeout: Option<Duration>,
    /// Makes repeating the command safe; by default each run makes its own.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// How it is to reach the fleet.
    #[command(flatten)]
    pub rollout: super::RolloutArgs,
}

/// `latencify policy diff`
#[derive(Debug, Args)]
pub struct Diff {
    /// From: a number, `head`, or a policy file or folder. Alone, a revision is compared to the head, and the head to files.
    pub from: Option<String>,
    /// To: likewise.
    pub to: Option<String>,
}

/// `latencify policy revert`
#[derive(Debug, Args)]
pub struct Revert {
    /// The number of the revision whose files shall be obeyed again.
    pub revision: u64,
    /// Why, for the list of revisions; `revert to revision N` stands in front of it.
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub message: String,
    /// The revision that you saw: if another one is the head by now, nothing changes. Default: the head of this moment.
    #[arg(long, value_name = "REVISION")]
    pub base: Option<u64>,
    /// Makes repeating the command safe; by default each run makes its own.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

fn header(text: &str) -> Result<(http::HeaderName, http::HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write 'Name: value'")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| format!("{name:?} is no header name"))?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| format!("the value of {name} has octets that no header may have"))?;
    Ok((name, value))
}
