//! A command that gives the keys: it asks a KMS, a vault or a card. It gets the wrapped key on standard input, if there is one,
//! and prints the keys. Its time and its output are bounded; what it prints is never shown.

use super::SealError;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

/// A command may take so long.
pub const TIME_MAX: Duration = Duration::from_secs(30);
/// The most octets that it may print.
pub const OUTPUT_BYTES_MAX: u64 = 64 * 1024;
/// Between two looks whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What the command prints.
pub fn run(line: &str, input: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, SealError> {
    run_within(line, input, TIME_MAX)
}

/// As [`run`], within this time. Whatever the command has started ends with it.
pub fn run_within(
    line: &str,
    input: Zeroizing<Vec<u8>>,
    time_max: Duration,
) -> Result<Zeroizing<String>, SealError> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", line])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // What a KMS's client complains of is for the operator; keys are not in it.
        .stderr(Stdio::inherit())
        .process_group(0)
        .spawn()
        .map_err(|error| failed(format!("can't be run: {error}")))?;
    let printed = finish(&mut child, input, time_max);
    end(&mut child);
    printed
}

fn finish(
    child: &mut Child,
    input: Zeroizing<Vec<u8>>,
    time_max: Duration,
) -> Result<Zeroizing<String>, SealError> {
    let deadline = Instant::now() + time_max;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read it breaks the pipe; that is no mistake.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let stdout = child.stdout.take();
    let stdout = stdout.ok_or_else(|| failed("has no standard output"))?;
    let (tell, told) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut octets = Zeroizing::new(Vec::with_capacity(1024));
        let read = stdout.take(OUTPUT_BYTES_MAX + 1).read_to_end(&mut octets);
        // Whoever asked may have given up.
        let _ = tell.send(read.map(|_| octets));
    });
    let late = || {
        failed(format!(
            "has taken longer than {} s",
            time_max.as_secs_f64()
        ))
    };
    let octets = told
        .recv_timeout(time_max)
        .map_err(|_| late())?
        .map_err(|error| failed(format!("can't be read: {error}")))?;
    if octets.len() as u64 > OUTPUT_BYTES_MAX {
        return Err(failed("prints more than 64 KiB: it is to print keys alone"));
    }
    loop {
        let ended = child.try_wait();
        match ended.map_err(|error| failed(format!("can't be waited for: {error}")))? {
            Some(status) if status.success() => break,
            Some(status) => return Err(failed(format!("has failed: {status}"))),
            None if Instant::now() >= deadline => return Err(late()),
            None => thread::sleep(LOOK_EVERY),
        }
    }
    let text = std::str::from_utf8(&octets).map_err(|_| failed("prints no text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Ends the command and whatever it has started.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // All of it may have ended.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

fn failed(why: impl Into<String>) -> SealError {
    SealError::Command(why.into())
}
