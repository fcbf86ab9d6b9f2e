//! What is told to the service manager (sd_notify(3)): a datagram of `NAME=VALUE` lines to the socket that
//! `NOTIFY_SOCKET` names. Without one, nobody is told.

use rustix::time::{ClockId, clock_gettime};
use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};
use tracing::debug;

/// The service manager, if there is one.
#[derive(Debug)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// As the environment says (`NOTIFY_SOCKET`, `WATCHDOG_USEC`).
    pub fn from_environment() -> Self {
        let path = env::var_os("NOTIFY_SOCKET");
        let socket = path.and_then(|path| {
            connect(&path)
                .inspect_err(|error| debug!(?path, %error, "NOTIFY_SOCKET: nobody is told"))
                .ok()
        });
        let is_other =
            env::var("WATCHDOG_PID").is_ok_and(|pid| pid != std::process::id().to_string());
        let watchdog = env::var("WATCHDOG_USEC")
            .ok()
            .filter(|_| !is_other)
            .and_then(|usec| usec.parse().ok())
            .filter(|usec| *usec > 0)
            .map(Duration::from_micros);
        Self { socket, watchdog }
    }

    /// This process serves.
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving");
    }

    /// This process reads its files again; [`ready`](Self::ready) says that it is done.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let usec = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!(
            "RELOADING=1\nMONOTONIC_USEC={usec}\nSTATUS=reading files again"
        ));
    }

    /// Another process is the service's from now on. To be said by the one that has been so far: nobody else is heard.
    pub fn main_process(&self, pid: u32) {
        self.tell(&format!("MAINPID={pid}"));
    }

    /// This process drains and ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=draining");
    }

    /// What people see in `systemctl status`.
    pub fn status(&self, text: &str) {
        self.tell(&format!("STATUS={}", text.replace('\n', " ")));
    }

    /// How often [`alive`](Self::alive) is to be said: twice as often as the watchdog wants it; none: never.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.map(|most| most / 2)
    }

    /// The process is not stuck.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, text: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(text.as_bytes())
        {
            debug!(%error, text, "the service manager was not told");
        }
    }
}

/// A path, or the name of an abstract socket after `@`.
fn connect(path: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // A manager that does not listen must not hold up the service.
    socket.set_nonblocking(true)?;
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(path)?,
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut datagram = [0; 256];
        let length = socket.recv(&mut datagram).unwrap();
        String::from_utf8(datagram[..length].to_vec()).unwrap()
    }

    #[test]
    fn every_datagram_is_one_message_over_a_path_or_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("latencify-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        for (manager, address) in [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (
                UnixDatagram::bind_addr(&abstract_address).unwrap(),
                format!("@{name}").into(),
            ),
        ] {
            let told = ServiceManager {
                socket: Some(connect(&address).unwrap()),
                watchdog: None,
            };
            told.ready();
            assert_eq!(heard(&manager), "READY=1\nSTATUS=serving");
            told.reloading();
            let text = heard(&manager);
            let usec = text
                .lines()
                .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
            assert!(text.starts_with("RELOADING=1\n"), "{text}");
            assert!(
                usec.is_some_and(|usec| usec.parse::<u64>().is_ok_and(|usec| usec > 0)),
                "{text}"
            );
            told.status("two\nlines");
            assert_eq!(heard(&manager), "STATUS=two lines");
        }
    }
}
