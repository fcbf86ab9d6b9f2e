//! `latencify dev-child --parent PID -- PROGRAM ARGUMENT…`: becomes the program, which ends when the parent does.

use crate::{args::DevChild, failure::Failure};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::{os::unix::process::CommandExt as _, process::Command};

/// Becomes the program; returns only if that fails.
pub fn become_child(args: &DevChild) -> Result<(), Failure> {
    let Some((program, arguments)) = args.command.split_first() else {
        return Err(Failure::usage("dev-child: which program?"));
    };
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(|error| {
        Failure::failed(format!(
            "the kernel does not tell of a parent's end: {error}"
        ))
    })?;
    // The parent may have ended before the kernel was asked.
    if getppid().map(Pid::as_raw_pid) != Some(args.parent) {
        return Err(Failure::failed("the parent has ended"));
    }
    let error = Command::new(program).args(arguments).exec();
    Err(Failure::failed(format!(
        "{} can't be run: {error}",
        program.to_string_lossy()
    )))
}
