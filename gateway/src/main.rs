//! `latencify-gateway`: settings → build → run → drain.

use latencify_gateway::{run, settings::Invocation};
use std::process::ExitCode;
use tikv_jemalloc_ctl::background_thread;
use tikv_jemallocator::Jemalloc;

/// The C library's keeps what thousands of stalled responses made it take; this one gives it back.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let settings = match Invocation::from_command_line() {
        Invocation::Serve(settings) => *settings,
        Invocation::Enroll(enroll) => return ended(run::enroll(enroll)),
    };
    run::set_up_logging(settings.log);
    // Without it only a thread that allocates gives back, and an edge that was left alone would keep it all.
    if let Err(error) = background_thread::write(true) {
        tracing::warn!(%error, "memory is given back late: the allocator's own thread did not start");
    }
    ended(run::run(settings))
}

fn ended(ended: anyhow::Result<()>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
