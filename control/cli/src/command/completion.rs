//! `latencify completion`.

use crate::{args::Cli, failure::Failure, output::Output};
use clap::CommandFactory as _;

/// Writes the completion script of a shell.
pub fn run(shell: clap_complete::Shell, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "latencify", &mut script);
    output.text(&String::from_utf8_lossy(&script))
}
