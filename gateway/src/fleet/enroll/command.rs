//! `latencify-gateway enroll`: a certificate for an edge before it starts for the first time.

use super::{FILE, Passport};
use crate::fleet::{JoinToken, Link, StateFolder};
use anyhow::{Context as _, Result, anyhow};
use clap::Parser;
use std::{fs, path::PathBuf};
use tracing::info;

/// Gets an edge its certificate with a join token, and writes it with its key into the state folder.
#[derive(Debug, Parser)]
#[command(name = "enroll")]
pub struct Enroll {
    /// Control's fleet address, like https://control.example:8081.
    #[arg(long, env = "LATENCIFY_CONTROL", value_name = "URL")]
    control: String,
    /// PEM file of the CAs that control's certificate is checked against, if the operator has given control one.
    #[arg(long, env = "LATENCIFY_CONTROL_CA", value_name = "FILE")]
    control_ca: Option<PathBuf>,
    /// The name of the edge. An invitation says it; the token that any edge joins with does not.
    #[arg(long, env = "LATENCIFY_EDGE", value_name = "NAME")]
    edge: Option<String>,
    /// The edge's state folder; made if it is missing.
    #[arg(long, env = "LATENCIFY_STATE", value_name = "DIR")]
    state: PathBuf,
    /// File that holds the join token; LATENCIFY_JOIN_TOKEN holds it instead.
    #[arg(long, env = "LATENCIFY_JOIN_TOKEN_FILE", value_name = "FILE")]
    join_token_file: Option<PathBuf>,
    /// The join token.
    #[arg(
        long,
        env = "LATENCIFY_JOIN_TOKEN",
        hide = true,
        hide_env_values = true
    )]
    join_token: Option<String>,
}

impl Enroll {
    /// Does it.
    pub fn run(self) -> Result<()> {
        let token = match (&self.join_token_file, self.join_token) {
            (Some(file), _) => fs::read_to_string(file)
                .with_context(|| format!("join token file {}", file.display()))?,
            (None, Some(token)) => token,
            (None, None) => {
                return Err(anyhow!(
                    "a join token is needed: --join-token-file FILE or LATENCIFY_JOIN_TOKEN; `latencify edge invite NAME` makes one"
                ));
            }
        };
        let token = JoinToken::new(token.trim());
        let edge = self.edge.unwrap_or_default();
        let link = Link::new(&self.control, self.control_ca, Some(token), edge)?;
        StateFolder::open(&self.state)
            .with_context(|| format!("state folder {}", self.state.display()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("can't start the runtime")?;
        let edge = runtime.block_on(async {
            let enrolled = Passport::open(link, &self.state)?.enrol().await;
            enrolled.map_err(|broken| anyhow!("{broken}"))
        })?;
        info!(edge, file = %self.state.join(FILE).display(), "enrolled");
        Ok(())
    }
}
