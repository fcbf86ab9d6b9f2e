//! What an edge is told of the fleet that it is a member of.

use crate::{fleet, upgrade};
use clap::{ArgMatches, Args, parser::ValueSource};
use latencify_conf::link::replica::ABOUT_BYTES_MAX;
use std::path::{Path, PathBuf};

/// Flags that only a member of a fleet obeys.
const MEMBERS_ONLY: [&str; 6] = [
    "label",
    "state",
    "join_token_file",
    "when_isolated",
    "acks",
    "control_ca",
];
/// Environment variable that holds the join token.
const JOIN_TOKEN_VARIABLE: &str = "LATENCIFY_JOIN_TOKEN";

/// Flags of a member of a fleet, and the name, which an edge that stands alone has as well.
#[derive(Debug, Args)]
pub(super) struct Member {
    /// Control's fleet address, like https://control.example:8081: the edge is a member of a fleet. With its join token it gets a
    /// certificate at the first start, and another one in time.
    #[arg(long, env = "LATENCIFY_CONTROL", value_name = "URL", requires_all = ["edge", "state"])]
    control: Option<String>,
    /// The name of this edge: in the fleet, and in Via, CDN-Loop and Cache-Status. Two edges in a row need two names.
    #[arg(long, env = "LATENCIFY_EDGE", value_name = "NAME")]
    edge: Option<String>,
    /// Folder for the last good policy, the position in the log, and this edge's certificate and key.
    #[arg(long, env = "LATENCIFY_STATE", value_name = "DIR")]
    state: Option<PathBuf>,
    /// File that holds the join token with which this edge gets its first certificate; LATENCIFY_JOIN_TOKEN holds it instead.
    /// `latencify edge invite NAME` makes one. Without effect once there is a certificate in --state.
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
    /// What this edge is said to be, like tier=test; repeatable. Rollouts name edges by it, and `latencify edge list -o json` shows it.
    #[arg(
        long,
        env = "LATENCIFY_LABEL",
        value_name = "NAME=VALUE",
        value_delimiter = ',',
        value_parser = label
    )]
    label: Vec<(String, String)>,
    /// What it means that this edge has acknowledged a purge: that every request obeys it, or also that it is on disk.
    #[arg(
        long,
        env = "LATENCIFY_ACKS",
        value_name = "WHEN",
        default_value = "obeyed"
    )]
    acks: fleet::Acks,
    /// PEM file of the CAs that control's certificate is checked against, if the operator has given control one (--tls-cert).
    /// Otherwise it is the fleet's own CA, which the join token names.
    #[arg(long, env = "LATENCIFY_CONTROL_CA", value_name = "FILE")]
    control_ca: Option<PathBuf>,
}

impl Member {
    /// Whether the edge is a member of a fleet at all.
    pub(super) fn is_one(&self) -> bool {
        self.control.is_some()
    }

    /// What the edge is called.
    pub(super) fn name(&self) -> String {
        self.edge.clone().unwrap_or_else(|| "latencify".to_owned())
    }

    /// What the member obeys; none: the edge stands alone.
    ///
    /// # Errors
    /// A flag that `--control` needs is missing, or the join token can't be read.
    pub(super) fn settings(self, has_disk: bool) -> Result<Option<fleet::Settings>, String> {
        let Some(control) = self.control else {
            return Ok(None);
        };
        Ok(Some(fleet::Settings {
            control,
            edge: self.edge.ok_or("--control needs --edge NAME")?,
            token: join_token(self.join_token_file.as_deref(), self.state.as_deref())?,
            state: self.state.ok_or("--control needs --state DIR")?,
            control_ca: self.control_ca,
            about: self.label,
            when_isolated: self.when_isolated,
            // What a disk keeps over a restart is judged by marks that a disk keeps, too.
            acks: if has_disk {
                fleet::Acks::Saved
            } else {
                self.acks
            },
            takes_over: std::env::var_os(upgrade::VARIABLE).is_some(),
        }))
    }
}

/// A flag of a member of a fleet, typed for an edge that stands alone, would be believed to protect and do nothing. What
/// stands in an environment that several programs share is not meant for each of them.
pub(super) fn without_effect(matches: &ArgMatches) -> Result<(), String> {
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

/// A label: control takes few, and short ones.
fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or("write NAME=VALUE")?;
    if text.len() > ABOUT_BYTES_MAX {
        return Err(format!("a label has at most {ABOUT_BYTES_MAX} bytes"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// The join token, if there is one. An edge that has its certificate needs none, and its file may be gone.
fn join_token(
    file: Option<&Path>,
    state: Option<&Path>,
) -> Result<Option<fleet::JoinToken>, String> {
    let is_enrolled = state.is_some_and(|state| state.join(fleet::enroll::FILE).exists());
    let token = match file {
        Some(file) => match std::fs::read_to_string(file) {
            Ok(token) => token,
            Err(_) if is_enrolled => return Ok(None),
            Err(error) => return Err(format!("join token file {}: {error}", file.display())),
        },
        None => match std::env::var(JOIN_TOKEN_VARIABLE) {
            Ok(token) => token,
            Err(_) => return Ok(None),
        },
    };
    match token.trim() {
        "" if is_enrolled => Ok(None),
        "" => Err("the join token is empty".into()),
        token => Ok(Some(fleet::JoinToken::new(token))),
    }
}
