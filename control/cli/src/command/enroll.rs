//! `latencify edge enroll`: the gateway does it, so that an edge's key is made and kept by one program alone.

use crate::{
    args::{Enroll, ServerArgs},
    failure::Failure,
    output::Output,
    program,
};
use std::process::Command;

const GATEWAY: &str = "latencify-gateway";

/// Runs the gateway for it. The join token is what `--token` or `--token-file` says here, and goes there by the environment,
/// where others on this machine can't read it.
pub fn run(enroll: &Enroll, server: &ServerArgs, output: &Output) -> Result<(), Failure> {
    let program = program::find(GATEWAY)?;
    let mut command = Command::new(&program);
    command
        .arg("enroll")
        .args(["--control", &enroll.control])
        .arg("--state")
        .arg(&enroll.state);
    if let Some(edge) = &enroll.edge {
        command.args(["--edge", edge]);
    }
    if let Some(file) = &enroll.control_ca {
        command.arg("--control-ca").arg(file);
    }
    match (&server.token_file, &server.token) {
        (Some(file), _) => {
            command.arg("--join-token-file").arg(file);
        }
        (None, Some(token)) => {
            command.env_remove("LATENCIFY_JOIN_TOKEN_FILE");
            command.env("LATENCIFY_JOIN_TOKEN", token);
        }
        // As the gateway finds it in the environment.
        (None, None) => {}
    }
    let status = command
        .status()
        .map_err(|error| Failure::file("run", &program, &error))?;
    if !status.success() {
        return Err(Failure::failed("no certificate was got")
            .with_help("`latencify edge invite NAME` makes another token"));
    }
    output.note(&format!(
        "{} holds the edge's certificate and key: start it with --state {}",
        enroll.state.display(),
        enroll.state.display()
    ));
    Ok(())
}
