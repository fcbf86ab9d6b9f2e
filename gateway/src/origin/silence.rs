//! How long an HTTP/1.1 origin may be silent: `first_byte` before the head of its response, `between_bytes` in its body.
//!
//! Pingora has one read timeout for both, which must be the longer of the two. The shorter one is kept here: when the time
//! is over, the connection's socket is shut down, and Pingora's read ends. HTTP/1.1 only: an HTTP/2 connection carries other
//! requests, and there the read timeout alone holds.
//!
//! # Characters
//! - [`Handle`]: a connection's descriptor, and the [cookie](Cookies) that the kernel gave its socket. A descriptor may be
//!   somebody else's when the time is over; the cookie never is, so that nobody else is ever shut down;
//! - [`Watch`]: a wait, which ends when it is dropped;
//! - [`Keeper`](keeper::Keeper): all waits in the order of their ends, and the thread that sleeps until the first of them. A
//!   request costs a map's entry, no duplicate and no task.

mod keeper;

use keeper::{KEEPER, Place, What};
use parking_lot::Mutex;
use rustix::{
    io::Errno,
    net::sockopt::socket_cookie,
    process::{ForeignRawFd, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};
use socket2::Socket;
use std::{
    collections::HashMap,
    os::fd::{OwnedFd, RawFd},
    sync::{
        Arc, LazyLock, Once,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tracing::warn;

/// A connection to an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle {
    descriptor: RawFd,
    cookie: u64,
}

/// Shuts the connection down when the origin was silent for too long, unless it is dropped before.
pub struct Watch {
    fired: Arc<AtomicBool>,
    place: Place,
}

/// The cookies of connections to origins, by descriptor. One that is closed leaves its cookie until its descriptor is a new
/// connection's: there are never more than descriptors.
type Cookies = Mutex<HashMap<RawFd, u64, ahash::RandomState>>;

static COOKIES: LazyLock<Cookies> = LazyLock::new(Cookies::default);

/// This process, as the kernel wants it named for handles on its own descriptors; none where it refuses that.
static OWN_PROCESS: LazyLock<Option<OwnedFd>> = LazyLock::new(|| {
    pidfd_open(getpid(), PidfdFlags::empty())
        .inspect_err(|error| warn!(%error, "over HTTP/1.1 origins only the longer of first_byte and between_bytes holds"))
        .ok()
});

/// A refusal is told once.
static REFUSED: Once = Once::new();

impl Handle {
    /// A handle on the connection that this descriptor names now; `reused`: it had one before. None where the kernel refuses
    /// (a sandbox without `pidfd_getfd`): then only the longer of the limits holds, which is told once.
    pub fn of(descriptor: RawFd, reused: bool) -> Option<Self> {
        let known = || COOKIES.lock().get(&descriptor).copied();
        if let Some(cookie) = reused.then(known).flatten() {
            return Some(Self { descriptor, cookie });
        }
        let cookie = duplicate(descriptor).and_then(|socket| socket_cookie(&socket));
        match cookie {
            Ok(cookie) => {
                COOKIES.lock().insert(descriptor, cookie);
                Some(Self { descriptor, cookie })
            }
            Err(error) => {
                // The connection may be gone already, which concerns nobody.
                if error != Errno::BADF {
                    REFUSED.call_once(|| warn!(%error, "pidfd_getfd is refused, so over HTTP/1.1 origins only the longer of first_byte and between_bytes holds; allow it (systemd: SystemCallFilter=pidfd_getfd)"));
                }
                None
            }
        }
    }

    /// Waits for a head: the time runs from now on.
    pub fn watch_head(self, silence_max: Duration) -> Watch {
        self.watch(What::Head, silence_max)
    }

    /// Waits for the pieces of a body: the time runs anew with every one. While some of it has come and is not read, the
    /// client is slow and not the origin.
    pub fn watch_body(self, silence_max: Duration) -> Watch {
        self.watch(What::Body, silence_max)
    }

    fn watch(self, what: What, silence_max: Duration) -> Watch {
        let fired = Arc::new(AtomicBool::new(false));
        let place = KEEPER.enter(self, what, silence_max, fired.clone());
        Watch { fired, place }
    }

    /// The connection's socket, if the descriptor is still its.
    fn socket(self) -> Option<Socket> {
        let socket = duplicate(self.descriptor).ok()?;
        (socket_cookie(&socket).ok()? == self.cookie).then(|| socket.into())
    }
}

impl Watch {
    /// Whether the time was over.
    pub fn has_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }
}

impl Drop for Watch {
    /// After this, nothing is shut down on its account.
    fn drop(&mut self) {
        KEEPER.leave(&self.place);
    }
}

fn duplicate(descriptor: RawFd) -> Result<OwnedFd, Errno> {
    let process = OWN_PROCESS.as_ref().ok_or(Errno::NOSYS)?;
    pidfd_getfd(
        process,
        descriptor as ForeignRawFd,
        PidfdGetfdFlags::empty(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;
    use std::{io::ErrorKind, mem::MaybeUninit, os::fd::AsRawFd as _};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        time::sleep,
    };

    const MOMENT: Duration = Duration::from_millis(50);

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        (stream, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_read_ends_when_the_time_is_over_and_goes_on_when_the_watch_is_dropped() {
        let (mut stream, _other) = pair().await;
        let handle = Handle::of(stream.as_raw_fd(), false).unwrap();
        let dropped = handle.watch_head(Duration::from_millis(1));
        drop(dropped);
        let watch = handle.watch_head(MOMENT);
        assert!(!watch.has_fired());
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(watch.has_fired());
    }

    #[tokio::test]
    async fn every_piece_of_a_body_begins_the_time_anew() {
        let (mut stream, mut other) = pair().await;
        let watch = Handle::of(stream.as_raw_fd(), false)
            .unwrap()
            .watch_body(MOMENT * 4);
        for _ in 0..8 {
            sleep(MOMENT).await;
            other.write_all(b"x").await.unwrap();
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 1);
        }
        assert!(!watch.has_fired());
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(watch.has_fired());
    }

    #[tokio::test]
    async fn an_origin_is_not_silent_while_nobody_reads_what_it_sent_nor_after_it_closed() {
        let (mut stream, mut other) = pair().await;
        let watch = Handle::of(stream.as_raw_fd(), false)
            .unwrap()
            .watch_body(MOMENT);
        other.write_all(b"x").await.unwrap();
        sleep(MOMENT * 4).await;
        assert!(!watch.has_fired());
        drop(other);
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 1);
        sleep(MOMENT * 3).await;
        assert!(!watch.has_fired());
    }

    #[tokio::test]
    async fn nobody_is_shut_down_who_got_the_descriptor_since() {
        let (stream, _other) = pair().await;
        let handle = Handle::of(stream.as_raw_fd(), false).unwrap();
        let stranger = Handle {
            cookie: handle.cookie ^ 1,
            ..handle
        };
        let watch = stranger.watch_head(Duration::from_millis(1));
        // Who waits longer is looked at later: when it has fired, the stranger's time is over too.
        let (mut known, _third) = pair().await;
        let known_handle = Handle::of(known.as_raw_fd(), false).unwrap();
        let later = known_handle.watch_head(MOMENT);
        assert_eq!(known.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(later.has_fired() && !watch.has_fired());
        let left = SockRef::from(&stream).peek(&mut [MaybeUninit::uninit()]);
        assert!(
            left.as_ref()
                .is_err_and(|error| error.kind() == ErrorKind::WouldBlock),
            "{left:?}"
        );
    }

    #[tokio::test]
    async fn a_connection_that_is_used_again_is_known_and_a_new_one_is_asked_for() {
        let (stream, _other) = pair().await;
        let descriptor = stream.as_raw_fd();
        COOKIES.lock().insert(descriptor, 0);
        let reused = Handle::of(descriptor, true).unwrap();
        assert_eq!(reused.cookie, 0, "no system call");
        let new = Handle::of(descriptor, false).unwrap();
        assert_ne!(new.cookie, 0);
        assert_eq!(Handle::of(descriptor, true), Some(new));
        assert!(new.socket().is_some() && reused.socket().is_none());
    }
}
