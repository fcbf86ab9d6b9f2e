//! Passwords: typed without echo, or a line of stdin. Never an argument: others on the machine could read it.

use crate::{failure::Failure, output};
use std::{
    io::{BufRead as _, IsTerminal as _, stdin},
    process::{Command, Stdio},
};

/// The most bytes of a line.
const LINE_BYTES_MAX: usize = 4096;

/// Asks for a password.
pub fn ask(what: &str) -> Result<String, Failure> {
    if !stdin().is_terminal() {
        return line(what);
    }
    output::remark(&format!("{what} (not shown), then Enter:"));
    if !echo("-echo") {
        return Err(
            Failure::failed("this terminal would show the password").with_help("give it on stdin")
        );
    }
    let read = line(what);
    echo("echo");
    read
}

/// Asks for a new password, on a terminal twice.
pub fn ask_new(what: &str) -> Result<String, Failure> {
    let password = ask(what)?;
    if stdin().is_terminal() && ask(&format!("{what}, again"))? != password {
        return Err(Failure::failed("the two are not the same"));
    }
    Ok(password)
}

fn line(what: &str) -> Result<String, Failure> {
    let mut text = String::new();
    stdin()
        .lock()
        .read_line(&mut text)
        .map_err(|error| Failure::failed(format!("{what} can't be read: {error}")))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.len() > LINE_BYTES_MAX {
        return Err(Failure::usage(format!(
            "{what}: nothing was given; type it, or give it on stdin as one line"
        )));
    }
    Ok(text.to_owned())
}

fn echo(how: &str) -> bool {
    let stty = Command::new("stty").arg(how).stderr(Stdio::null()).status();
    stty.is_ok_and(|status| status.success())
}
