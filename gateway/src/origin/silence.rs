//! How long an HTTP/1.1 origin may be silent: `first_byte` before the head of its response, `between_bytes` in its body.
//!
//! Pingora has one read timeout for both, which must be the longer of the two. The shorter one is kept by a second handle
//! on the connection's socket: when the time is over, it shuts the socket down, and Pingora's read ends. The handle is a
//! duplicate, so it never names a descriptor that was given to somebody else meanwhile. HTTP/1.1 only: an HTTP/2
//! connection carries other requests, and there the read timeout alone holds.

use pingora::protocols::l4::ext::get_tcp_info;
use rustix::io::Errno;
use rustix::process::{ForeignRawFd, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::Socket;
use std::{
    mem::MaybeUninit,
    net::Shutdown,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
    sync::{
        Arc, LazyLock, Once,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

/// A second handle on the socket of a connection to an origin.
pub struct Handle(Arc<Socket>);

/// Shuts the connection down when the origin was silent for too long, unless it is dropped before.
pub struct Watch {
    fired: Arc<AtomicBool>,
    _task: AbortOnDropHandle<()>,
}

/// This process, as the kernel wants it named for handles on its own descriptors; none where it refuses that.
static OWN_PROCESS: LazyLock<Option<OwnedFd>> = LazyLock::new(|| {
    pidfd_open(getpid(), PidfdFlags::empty())
        .inspect_err(|error| warn!(%error, "over HTTP/1.1 origins only the longer of first_byte and between_bytes holds"))
        .ok()
});

/// A refusal is told once.
static REFUSED: Once = Once::new();

/// `TCP_ESTABLISHED` of Linux: neither side has ended the connection.
const ESTABLISHED: u8 = 1;

impl Handle {
    /// A handle on the socket that this descriptor names now. None where the kernel refuses (a sandbox without
    /// `pidfd_getfd`): then only the longer of the limits holds, which is told once.
    pub fn of(socket: RawFd) -> Option<Self> {
        let process = OWN_PROCESS.as_ref()?;
        match pidfd_getfd(process, socket as ForeignRawFd, PidfdGetfdFlags::empty()) {
            Ok(duplicate) => Some(Self(Arc::new(duplicate.into()))),
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
    pub fn watch_head(&self, silence_max: Duration) -> Watch {
        self.watch(async move |_| {
            sleep(silence_max).await;
            true
        })
    }

    /// Waits for the pieces of a body: the time runs anew with every one. While some of it has come and is not read, the
    /// client is slow and not the origin.
    pub fn watch_body(&self, silence_max: Duration) -> Watch {
        self.watch(async move |socket| is_silent_for(&socket, silence_max).await)
    }

    fn watch<F>(&self, is_over: impl FnOnce(Arc<Socket>) -> F) -> Watch
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let (fired, socket) = (Arc::new(AtomicBool::new(false)), self.0.clone());
        let (telling, over) = (fired.clone(), is_over(self.0.clone()));
        let task = tokio::spawn(async move {
            if over.await {
                telling.store(true, Ordering::Release);
                // A socket that is gone already needs no shutting down.
                let _ = socket.shutdown(Shutdown::Both);
            }
        });
        Watch {
            fired,
            _task: AbortOnDropHandle::new(task),
        }
    }
}

impl Watch {
    /// Whether the time was over.
    pub fn has_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }
}

/// Comes back with `true` when nothing has come for so long; with `false` when the origin has closed, and where the kernel
/// does not tell.
async fn is_silent_for(socket: &Socket, silence_max: Duration) -> bool {
    let mut heard = Instant::now();
    loop {
        sleep_until(heard + silence_max).await;
        let now = Instant::now();
        let Ok(info) = get_tcp_info(socket.as_raw_fd()) else {
            return false;
        };
        if info.tcpi_state != ESTABLISHED {
            return false;
        }
        if matches!(socket.peek(&mut [MaybeUninit::uninit()]), Ok(1..)) {
            heard = now;
            continue;
        }
        let since = Duration::from_millis(info.tcpi_last_data_recv.into());
        heard = heard.max(now.checked_sub(since).unwrap_or(now));
        if heard + silence_max <= now {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
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
        let handle = Handle::of(stream.as_raw_fd()).unwrap();
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
        let watch = Handle::of(stream.as_raw_fd())
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
        let watch = Handle::of(stream.as_raw_fd()).unwrap().watch_body(MOMENT);
        other.write_all(b"x").await.unwrap();
        sleep(MOMENT * 4).await;
        assert!(!watch.has_fired());
        drop(other);
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 1);
        sleep(MOMENT * 3).await;
        assert!(!watch.has_fired());
    }
}
