//! One module a noun: each verb asks, then hands a value to the output.

mod audit;
mod completion;
mod edge;
mod enroll;
mod event;
mod explain;
pub mod geo;
mod log;
mod login;
mod password;
mod policy;
mod policy_diff;
mod policy_local;
mod purge;
mod replica;
mod role;
mod rollout;
mod secret;
mod token;
mod user;

use crate::{
    args::{Cli, EdgeVerb, Noun},
    dev,
    failure::Failure,
    output::Output,
    server::Server,
};

/// Runs what the command line says.
pub fn run(cli: Cli, output: &Output) -> Result<(), Failure> {
    match cli.noun {
        Noun::DevChild(child) => dev::become_child(&child),
        Noun::Completion { shell } => completion::run(shell, output),
        noun => runtime()?.block_on(run_async(noun, &cli.global.server, output)),
    }
}

async fn run_async(
    noun: Noun,
    server: &crate::args::ServerArgs,
    output: &Output,
) -> Result<(), Failure> {
    match noun {
        Noun::Policy(verb) => policy::run(verb, server, output).await,
        Noun::Rollout(verb) => rollout::run(verb, &Server::new(server)?, output).await,
        Noun::Purge(verb) => purge::run(verb, &Server::new(server)?, output).await,
        Noun::Edge(EdgeVerb::Enroll(wanted)) => enroll::run(&wanted, server, output),
        Noun::Edge(verb) => edge::run(verb, &Server::new(server)?, output).await,
        Noun::Replica(verb) => replica::run(verb, &Server::new(server)?, output).await,
        Noun::Secret(verb) => secret::run(verb, &Server::new(server)?, output).await,
        Noun::Login(args) => login::log_in(args, server, output).await,
        Noun::Logout => login::log_out(server, output).await,
        Noun::Whoami => login::who_am_i(&Server::new(server)?, output).await,
        Noun::User(verb) => user::run(verb, &Server::new(server)?, output).await,
        Noun::Role(verb) => role::run(verb, &Server::new(server)?, output).await,
        Noun::Token(verb) => token::run(verb, &Server::new(server)?, output).await,
        Noun::Audit(verb) => audit::run(verb, &Server::new(server)?, output).await,
        Noun::Event(verb) => event::run(verb, &Server::new(server)?, output).await,
        Noun::Log(verb) => log::run(verb, &Server::new(server)?, output).await,
        Noun::Geo(geo) => geo::run(&geo, output),
        Noun::Dev(args) => dev::run(args, output).await,
        Noun::DevOrigin(origin) => dev::run_origin(origin).await,
        // Both need no runtime and were handled above.
        Noun::Completion { .. } | Noun::DevChild(_) => Ok(()),
    }
}

/// One thread is plenty, and children must be started by the thread that lives as long as the program: the kernel tells a
/// child of its parent thread's end, not of its parent process's.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the runtime can't start: {error}")))
}

/// `3 edges`, `1 edge`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
