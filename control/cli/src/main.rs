//! `latencify`: what happens to a request (asked without traffic), and everything of the control service, asked over HTTP.
//!
//! - [`args`]: what the user typed;
//! - [`command`]: one module a noun; each verb asks, then hands a value to [`output`];
//! - [`server`]: the control API as a client sees it: token, retries, problems;
//! - [`dev`]: a small CDN of real processes on this machine;
//! - [`output`]: the only place that writes to the terminal; [`failure`]: what ends a command, and its exit code.

mod args;
mod command;
mod dev;
mod failure;
mod output;
mod policy_files;
mod program;
mod server;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let output = output::Output::new(cli.global.output);
    match command::run(cli, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}
