//! systemd, as far as a service with a socket unit and `Type=notify` can tell.

use parking_lot::Mutex;
use rustix::io::{FdFlags, fcntl_setfd};
use std::{
    net::{SocketAddr, TcpListener},
    os::{fd::AsRawFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    process::Command,
};

/// Holds the sockets of a service (HTTP, HTTPS, admin) whether or not it runs, and hears what it says of itself.
pub struct ServiceManager {
    sockets: [TcpListener; 3],
    notified: UnixDatagram,
    path: PathBuf,
    heard: Mutex<Vec<String>>,
}

impl ServiceManager {
    /// Listens on 127.0.0.1; keeps its own socket in the folder.
    pub(crate) fn new(folder: &Path) -> Self {
        let sockets = std::array::from_fn(|_| {
            let socket = TcpListener::bind("127.0.0.1:0").unwrap();
            // Processes that are started get it under its number.
            fcntl_setfd(&socket, FdFlags::empty()).unwrap();
            socket
        });
        let path = folder.join("notify");
        let notified = UnixDatagram::bind(&path).unwrap();
        notified.set_nonblocking(true).unwrap();
        Self {
            sockets,
            notified,
            path,
            heard: Mutex::default(),
        }
    }

    /// Where it listens: HTTP, HTTPS, admin.
    pub(crate) fn addresses(&self) -> [SocketAddr; 3] {
        self.sockets
            .each_ref()
            .map(|socket| socket.local_addr().unwrap())
    }

    /// Runs the program, to which arguments may be added, with the sockets as descriptors 3 to 5.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let [http, https, admin] = self.sockets.each_ref().map(AsRawFd::as_raw_fd);
        // Out of the way first: one of them may have the number that another is to have.
        let script = format!(
            "exec 103<&{http} 104<&{https} 105<&{admin}; exec 3<&103 4<&104 5<&105; \
             exec 103<&- 104<&- 105<&-; \
             for fd in {http} {https} {admin}; do [ $fd -le 5 ] || eval \"exec $fd<&-\"; done; \
             export LISTEN_PID=$$; exec \"$0\" \"$@\""
        );
        let mut command = Command::new("bash");
        command
            .args(["-c", &script])
            .arg(program)
            .env("LISTEN_FDS", "3")
            .env("LISTEN_FDNAMES", "http:https:admin")
            .env("NOTIFY_SOCKET", &self.path);
        command
    }

    /// Everything that was said so far, in order: one datagram each.
    pub fn heard(&self) -> Vec<String> {
        let mut heard = self.heard.lock();
        let mut datagram = [0; 4096];
        while let Ok(length) = self.notified.recv(&mut datagram) {
            heard.push(String::from_utf8_lossy(&datagram[..length]).into_owned());
        }
        heard.clone()
    }
}
