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
/// A successor that was let, and does not serve by then, has failed.
const SERVING_WITHIN: Duration = Duration::from_secs(10);
/// What systemd hands to one process only.
const OF_THIS_PROCESS_ONLY: [&str; 4] =
    ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// How this process was started, taken at its start: later the file may have been replaced.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// A successor that was started and does not serve yet. It is ended when this is dropped.
#[derive(Debug)]
pub struct Upgrade {
    /// Its process id.
    pub pid: u32,
    channel: BufReader<UnixStream>,
    child: Kept,
}

/// A child that does not outlive this, unless it is let go.
#[derive(Debug)]
struct Kept(Option<Child>);

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

impl Upgrade {
    /// Starts a successor. An error says, for people, why it can't be started.
    pub fn begin(program: &Program, handles: &Handles) -> Result<Self, String> {
        let why = |error| format!("{} can't be started: {error}", program.path.display());
        let (channel, child) = spawn(program, handles).map_err(why)?;
        Ok(Self {
            pid: child.id().ok_or("it ended at once")?,
            channel: BufReader::new(channel),
            child: Kept(Some(child)),
        })
    }

    /// Waits until it could serve, lets it, and waits until it does: until then this process is to go on as if nothing
    /// were. An error says, for people, why it doesn't; it is ended then.
    pub async fn finish(mut self) -> Result<u32, String> {
        let heard = self.hear(wire::READY, READY_WITHIN).await;
        let served = match heard {
            Ok(()) => self.go().await,
            failed => failed,
        };
        match served {
            Ok(()) => {
                self.child.let_go();
                Ok(self.pid)
            }
            Err(reason) => {
                self.child.end().await;
                Err(reason)
            }
        }
    }

    async fn go(&mut self) -> Result<(), String> {
        let line = format!("{}\n", wire::GO);
        (self.channel.get_mut().write_all(line.as_bytes()).await)
            .map_err(|error| format!("it ended as soon as it was ready: {error}"))?;
        self.hear(wire::SERVING, SERVING_WITHIN).await
    }

    /// Waits for a line.
    async fn hear(&mut self, expected: &str, within: Duration) -> Result<(), String> {
        match timeout(within, self.hear_at_last(expected)).await {
            Ok(heard) => heard,
            Err(_) => Err(format!("it was not {expected} within {within:?}")),
        }
    }

    async fn hear_at_last(&mut self, expected: &str) -> Result<(), String> {
        let mut line = String::new();
        let heard = (&mut self.channel)
            .take(wire::LINE_BYTES_MAX as u64)
            .read_line(&mut line)
            .await;
        match (heard, line.trim_end()) {
            (Ok(_), said) if said == expected => Ok(()),
            (Ok(1..), said) => Err(said.strip_prefix(wire::FAILED).unwrap_or(said).to_owned()),
            // The channel ends with the process.
            (Ok(0) | Err(_), _) => Err(self.child.how_it_ended(expected).await),
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

impl Kept {
    fn let_go(&mut self) {
        self.0 = None;
    }

    async fn end(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended by itself.
            let _ = child.kill().await;
        }
    }

    async fn how_it_ended(&mut self, before: &str) -> String {
        let Some(child) = &mut self.0 else {
            return format!("it ended before it was {before}");
        };
        match child.wait().await {
            Ok(status) => format!("it ended ({status}) before it was {before}; it says why above"),
            Err(error) => format!("it ended before it was {before}: {error}"),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended by itself; the runtime waits for it.
            let _ = child.start_kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    const MOMENT: Duration = Duration::from_millis(10);

    fn shell(script: &str) -> Upgrade {
        let program = Program {
            path: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
        };
        Upgrade::begin(&program, &Handles::default()).unwrap()
    }

    /// Other than as a zombie.
    fn runs(pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with('Z'))
    }

    async fn until_gone(pid: u32) {
        while runs(pid) {
            sleep(MOMENT).await;
        }
    }

    #[tokio::test]
    async fn whoever_does_not_serve_in_the_end_has_failed() {
        for (script, why) in [
            ("exit 3", "exit status: 3) before it was ready"),
            ("echo failed no policy >&0; sleep 600", "no policy"),
            ("echo ready >&0", "before it was serving"),
            (
                "echo ready >&0; read labels; read go",
                "before it was serving",
            ),
            ("echo ready >&0; echo nonsense >&0; sleep 600", "nonsense"),
        ] {
            let upgrade = shell(script);
            let pid = upgrade.pid;
            let failed = upgrade.finish().await.unwrap_err();
            // The write of `go` may find that it is gone.
            let found = failed.contains(why) || failed.contains("as soon as it was ready");
            assert!(found, "{script}: {failed}");
            until_gone(pid).await;
        }
    }

    #[tokio::test]
    async fn whoever_serves_stays() {
        let upgrade =
            shell("echo ready >&0; read labels; read go; echo serving >&0; exec sleep 600");
        let pid = upgrade.finish().await.unwrap();
        assert!(runs(pid));
        let killed = Command::new("/bin/sh")
            .args(["-c", &format!("kill -KILL {pid}")])
            .status()
            .await;
        assert!(killed.unwrap().success());
        until_gone(pid).await;
    }

    #[tokio::test]
    async fn an_upgrade_that_is_given_up_leaves_no_process() {
        let upgrade = shell("exec sleep 600");
        let pid = upgrade.pid;
        let finishing = tokio::spawn(upgrade.finish());
        sleep(MOMENT).await;
        assert!(runs(pid));
        finishing.abort();
        until_gone(pid).await;
    }
}
