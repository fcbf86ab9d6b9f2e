//! The side that hands over.

use super::{VARIABLE, wire};
use crate::listen::Handles;
use std::{
    env,
    ffi::OsString,
    os::{fd::OwnedFd, unix::net::UnixStream as Socket},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    process::{Child, Command},
    time::timeout,
};

/// A successor that is not ready by then has failed. Reading a policy, its files and the GeoIP data take seconds at
/// most; joining a fleet has a bound of its own.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// What systemd hands to one process only.
const OF_THIS_PROCESS_ONLY: [&str; 4] =
    ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// How this process was started, taken at its start: later the file may have been replaced.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// A successor that could serve.
#[derive(Debug)]
pub struct Ready {
    /// Its process id.
    pub pid: u32,
    channel: UnixStream,
}

impl Program {
    /// The path as it was typed if it is one, so that a link that leads to another version is followed; else that of the
    /// running file.
    pub fn of_this_process() -> std::io::Result<Self> {
        let mut arguments = env::args_os();
        let typed = arguments.next().map(PathBuf::from);
        let path = match typed.filter(|typed| typed.components().count() > 1) {
            Some(typed) => std::path::absolute(typed)?,
            None => env::current_exe()?,
        };
        Ok(Self {
            path,
            arguments: arguments.collect(),
        })
    }
}

/// Starts a successor and waits until it could serve. An error says, for people, why it can't; it is ended then.
/// Dropping the future ends the conversation, and with it the successor.
pub async fn start_successor(program: &Program, handles: &Handles) -> Result<Ready, String> {
    let (channel, mut child) = spawn(program, handles)
        .map_err(|error| format!("{} can't be started: {error}", program.path.display()))?;
    let mut channel = BufReader::new(channel);
    match timeout(READY_WITHIN, hear(&mut channel, &mut child)).await {
        Ok(Ok(())) => Ok(Ready {
            pid: child.id().ok_or("it ended as soon as it was ready")?,
            channel: channel.into_inner(),
        }),
        Ok(Err(reason)) => {
            end(child).await;
            Err(reason)
        }
        Err(_) => {
            end(child).await;
            Err(format!("it was not ready within {READY_WITHIN:?}"))
        }
    }
}

fn spawn(program: &Program, handles: &Handles) -> std::io::Result<(UnixStream, Child)> {
    let (ours, theirs) = Socket::pair()?;
    wire::send_sockets(&ours, handles)?;
    let mut command = Command::new(&program.path);
    command
        .args(&program.arguments)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .env(VARIABLE, "1");
    for name in OF_THIS_PROCESS_ONLY {
        command.env_remove(name);
    }
    let child = command.spawn()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, child))
}

/// Waits for `ready`.
async fn hear(channel: &mut BufReader<UnixStream>, child: &mut Child) -> Result<(), String> {
    let mut line = String::new();
    let heard = channel
        .take(wire::LINE_BYTES_MAX as u64)
        .read_line(&mut line)
        .await;
    match (heard, line.trim_end()) {
        (Ok(_), wire::READY) => Ok(()),
        (Ok(1..), said) => Err(said.strip_prefix(wire::FAILED).unwrap_or(said).to_owned()),
        // The channel ends with the process.
        (Ok(0) | Err(_), _) => match child.wait().await {
            Ok(status) => Err(format!(
                "it ended ({status}) before it was ready; it says why above"
            )),
            Err(error) => Err(format!("it ended before it was ready: {error}")),
        },
    }
}

async fn end(mut child: Child) {
    // It may have ended by itself.
    let _ = child.kill().await;
}

impl Ready {
    /// Lets it accept. From now on it serves, and this process accepts nothing more.
    pub async fn go(mut self) -> std::io::Result<()> {
        let line = format!("{}\n", wire::GO);
        self.channel.write_all(line.as_bytes()).await
    }
}
