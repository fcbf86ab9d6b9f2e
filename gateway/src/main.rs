//! `latencify-gateway`: settings → build → run → drain.

use latencify_gateway::{run, settings::Settings};
use std::process::ExitCode;

fn main() -> ExitCode {
    let settings = Settings::from_command_line();
    run::set_up_logging(settings.log);
    match run::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
