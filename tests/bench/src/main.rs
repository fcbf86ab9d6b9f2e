//! latencify beside its peers: the same work, on the same core, round by round (`make bench`).
//!
//! # Dramatis personae
//! - [`Peer`](peers::Peer): a program that answers, started with the configuration that is committed in `peers/`, all by itself on
//!   one core.
//! - The [origin](server) and the [load](load): processes of this same program, both on the other core.
//! - [`Work`](works::Work): what is asked for, and what must come out of it: a floor and a goal.
//! - [`Sample`](sample::Sample): what one round of a peer measured. Rounds go around all peers, so that a machine that slows down slows
//!   all of them; what is compared is the median of the ratios of single rounds.
//!
//! # The play
//! For each work all peers are started anew, each is asked until it answers rightly (status, length, every octet, and a hit is one
//! because the origin heard nothing), then come the rounds. In a round every answer's status and length is looked at, and the origin's
//! count is compared: a round with one wrong answer, or with a miss that should be a hit, does not count and is told.
//!
//! Exit codes: 0, every floor is kept; 1, a floor is missed or was not measured; 2, it could not be run.

mod command;
mod ground;
mod h2load;
mod load;
mod machine;
mod output;
mod peers;
mod process;
mod purge;
mod round;
mod sample;
mod server;
mod settings;
mod table;
mod verdict;
mod verify;
mod works;

use std::process::ExitCode;

fn main() -> ExitCode {
    match command::obey(settings::Command::from_command_line()) {
        Ok(code) => code,
        Err(error) => {
            output::warn(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}
