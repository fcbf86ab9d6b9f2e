//! The `latencify` command.

use crate::{Control, program};
use std::{path::Path, process::Stdio};
use tokio::process::Command;

/// What the command said and how it ended.
#[derive(Debug, Clone)]
pub struct Said {
    /// 0 done, 1 refused or failed, 2 wrong use.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs `latencify ARGUMENTS`, without a control service.
pub async fn latencify(arguments: &[&str]) -> Said {
    run(Command::new(program("latencify")), arguments).await
}

/// Runs `latencify ARGUMENTS` against that control service.
pub async fn latencify_at(control: &Control, arguments: &[&str]) -> Said {
    run(command_at(control, control.ca_file().as_deref()), arguments).await
}

/// Runs `latencify ARGUMENTS` against that control service, trusting that CA instead of its own.
pub async fn latencify_trusting(control: &Control, ca: &Path, arguments: &[&str]) -> Said {
    run(command_at(control, Some(ca)), arguments).await
}

fn command_at(control: &Control, ca: Option<&Path>) -> Command {
    let mut command = Command::new(program("latencify"));
    command
        .env("LATENCIFY_SERVER", control.api_url())
        .env("LATENCIFY_API_TOKEN", control.api_token())
        .envs(ca.map(|ca| ("LATENCIFY_CA", ca)));
    command
}

async fn run(mut command: Command, arguments: &[&str]) -> Said {
    let output = command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| panic!("latencify {arguments:?}: {error}"));
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
