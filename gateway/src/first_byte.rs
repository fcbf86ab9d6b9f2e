//! The time limit on the head of an origin's response.
//!
//! Pingora has one read timeout for head and body, which must be the longer of the two limits. The shorter one on the
//! head is kept by a second handle on the connection's socket: when the time is over, it shuts the socket down, and
//! Pingora's read ends. The handle is a duplicate, so it never names a descriptor that was given to somebody else
//! meanwhile. HTTP/1.1 only: an HTTP/2 connection carries other requests, and there the read timeout alone holds.

use rustix::process::{ForeignRawFd, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use std::{
    net::Shutdown,
    os::fd::{OwnedFd, RawFd},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

/// A second handle on the socket of a connection to an origin.
pub struct Handle(socket2::Socket);

/// Shuts the connection down when the time is over, unless it is dropped before.
pub struct Watch {
    fired: Arc<AtomicBool>,
    _task: AbortOnDropHandle<()>,
}

/// This process, as the kernel wants it named for handles on its own descriptors; none where it refuses that.
static OWN_PROCESS: LazyLock<Option<OwnedFd>> = LazyLock::new(|| {
    pidfd_open(getpid(), PidfdFlags::empty())
        .inspect_err(|error| warn!(%error, "no time limit on response heads of HTTP/1.1 origins beside between_bytes"))
        .ok()
});

impl Handle {
    /// A handle on the socket that this descriptor names now. None where the kernel refuses (a sandbox without
    /// `pidfd_getfd`): the limit is then that of the body.
    pub fn of(socket: RawFd) -> Option<Self> {
        let process = OWN_PROCESS.as_ref()?;
        let duplicate =
            pidfd_getfd(process, socket as ForeignRawFd, PidfdGetfdFlags::empty()).ok()?;
        Some(Self(duplicate.into()))
    }

    /// Starts the clock.
    pub fn watch(self, time_max: Duration) -> Watch {
        let fired = Arc::new(AtomicBool::new(false));
        let telling = fired.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(time_max).await;
            telling.store(true, Ordering::Release);
            // A socket that is gone already needs no shutting down.
            let _ = self.0.shutdown(Shutdown::Both);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;
    use tokio::{
        io::AsyncReadExt as _,
        net::{TcpListener, TcpStream},
    };

    #[tokio::test]
    async fn a_read_ends_when_the_time_is_over_and_goes_on_when_the_watch_is_dropped() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let _other = listener.accept().await.unwrap();

        let dropped = Handle::of(stream.as_raw_fd())
            .unwrap()
            .watch(Duration::from_millis(1));
        drop(dropped);
        let watch = Handle::of(stream.as_raw_fd())
            .unwrap()
            .watch(Duration::from_millis(50));
        assert!(!watch.has_fired());
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(watch.has_fired());
    }
}
