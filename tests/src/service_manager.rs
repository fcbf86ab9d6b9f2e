//! systemd, as far as a service with a socket unit and `Type=notify` can tell.

use parking_lot::Mutex;
use rustix::io::{FdFlags, fcntl_setfd};
use std::{
    net::{SocketAddr, TcpListener},
    os::{fd::AsRawFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

/// Holds the sockets of a service (HTTP, HTTPS, admin) whether or not it runs, and hears what it says of itself.
pub struct ServiceManager {
    sockets: [TcpListener; 3],
    path: PathBuf,
    ear: Arc<Ear>,
}

/// What was said. Somebody listens all the time: the kernel keeps few datagrams, and whoever speaks does not wait.
struct Ear {
    notified: UnixDatagram,
    heard: Mutex<Vec<String>>,
}

const LISTENS_EACH: Duration = Duration::from_millis(20);
/// The service is to say that often that it is not stuck.
const WATCHDOG: Duration = Duration::from_secs(1);

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
        let ear = Arc::new(Ear {
            notified,
            heard: Mutex::default(),
        });
        let listening = Arc::downgrade(&ear);
        thread::spawn(move || {
            while let Some(ear) = listening.upgrade() {
                ear.listen();
                drop(ear);
                thread::sleep(LISTENS_EACH);
            }
        });
        Self { sockets, path, ear }
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
            .env("NOTIFY_SOCKET", &self.path)
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        command
    }

    /// Everything that was said so far, in order: one datagram each.
    pub fn heard(&self) -> Vec<String> {
        self.ear.listen();
        self.ear.heard.lock().clone()
    }
}

impl Ear {
    fn listen(&self) {
        let mut heard = self.heard.lock();
        let mut datagram = [0; 4096];
        while let Ok(length) = self.notified.recv(&mut datagram) {
            heard.push(String::from_utf8_lossy(&datagram[..length]).into_owned());
        }
    }
}
