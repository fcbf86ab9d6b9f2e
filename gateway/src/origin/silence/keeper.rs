//! All waits for origins, and the thread that ends those whose time is over.

use super::Handle;
use parking_lot::{Condvar, Mutex};
use pingora::protocols::l4::ext::get_tcp_info;
use socket2::Socket;
use std::{
    collections::BTreeMap,
    mem::MaybeUninit,
    net::Shutdown,
    os::fd::AsRawFd as _,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tracing::error;

/// `TCP_ESTABLISHED` of Linux: neither side has ended the connection.
const ESTABLISHED: u8 = 1;

/// The one of this process.
pub(super) static KEEPER: LazyLock<Arc<Keeper>> = LazyLock::new(Keeper::start);

/// All waits. Their number is that of requests under way at most.
pub(super) struct Keeper {
    started: Instant,
    waits: Mutex<Waits>,
    earlier: Condvar,
}

#[derive(Default)]
struct Waits {
    /// By the end of their time, in nanoseconds since the start, and their number.
    by_end: BTreeMap<(u64, u64), Wait>,
    newest: u64,
    /// When the thread wakes by itself.
    wakes_at: u64,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Head,
    Body,
}

struct Wait {
    handle: Handle,
    what: What,
    silence_max: Duration,
    /// When something last came.
    heard: Instant,
    end: Arc<AtomicU64>,
    fired: Arc<AtomicBool>,
}

/// Where a wait stands. Its end moves, under the lock.
pub(super) struct Place {
    end: Arc<AtomicU64>,
    number: u64,
}

/// What becomes of a wait whose time is over.
enum Due {
    Over,
    /// Something came meanwhile, then.
    Heard(Instant),
    /// Nothing is to be done about it.
    Moot,
}

impl Keeper {
    fn start() -> Arc<Self> {
        let keeper = Arc::new(Self {
            started: Instant::now(),
            waits: Mutex::default(),
            earlier: Condvar::new(),
        });
        let kept = Arc::clone(&keeper);
        let thread = thread::Builder::new()
            .name("origin-silence".into())
            .spawn(move || kept.keep());
        if let Err(error) = thread {
            error!(%error, "over HTTP/1.1 origins only the longer of first_byte and between_bytes holds");
        }
        keeper
    }

    pub(super) fn enter(
        &self,
        handle: Handle,
        what: What,
        silence_max: Duration,
        fired: Arc<AtomicBool>,
    ) -> Place {
        let heard = Instant::now();
        let ends_at = self.nanos(heard, silence_max);
        let end = Arc::new(AtomicU64::new(ends_at));
        let mut waits = self.waits.lock();
        waits.newest += 1;
        let number = waits.newest;
        waits.by_end.insert(
            (ends_at, number),
            Wait {
                handle,
                what,
                silence_max,
                heard,
                end: end.clone(),
                fired,
            },
        );
        if ends_at < waits.wakes_at {
            // Once: until the thread has looked, it wakes for this one.
            waits.wakes_at = ends_at;
            self.earlier.notify_one();
        }
        Place { end, number }
    }

    /// The wait is over, whatever became of it. Waits for a shutdown that is under way.
    pub(super) fn leave(&self, place: &Place) {
        let mut waits = self.waits.lock();
        let end = place.end.load(Ordering::Relaxed);
        waits.by_end.remove(&(end, place.number));
    }

    fn nanos(&self, from: Instant, further: Duration) -> u64 {
        let since = from.saturating_duration_since(self.started);
        let end = since.saturating_add(further).as_nanos();
        u64::try_from(end).unwrap_or(u64::MAX)
    }

    fn keep(&self) {
        let mut waits = self.waits.lock();
        loop {
            let now = Instant::now();
            let now_nanos = self.nanos(now, Duration::ZERO);
            while let Some(first) = waits.by_end.first_entry()
                && first.key().0 <= now_nanos
            {
                let ((_, number), wait) = first.remove_entry();
                if let Some((end, wait)) = self.look(wait, now) {
                    waits.by_end.insert((end, number), wait);
                }
            }
            let next = waits.by_end.first_key_value().map(|((end, _), _)| *end);
            waits.wakes_at = next.unwrap_or(u64::MAX);
            match next {
                Some(end) => {
                    let until = self.started + Duration::from_nanos(end);
                    self.earlier.wait_until(&mut waits, until);
                }
                None => self.earlier.wait(&mut waits),
            }
        }
    }

    /// Ends a wait whose time is over, or says until when it goes on.
    fn look(&self, mut wait: Wait, now: Instant) -> Option<(u64, Wait)> {
        let socket = wait.handle.socket()?;
        match wait.due(&socket, now) {
            Due::Over => {
                wait.fired.store(true, Ordering::Release);
                // A socket that is gone already needs no shutting down.
                let _ = socket.shutdown(Shutdown::Both);
                None
            }
            Due::Heard(at) => {
                wait.heard = at;
                let end = self.nanos(at, wait.silence_max);
                wait.end.store(end, Ordering::Relaxed);
                Some((end, wait))
            }
            Due::Moot => None,
        }
    }
}

impl Wait {
    /// A head is late when its time is over. A body is not while the client is slow, after the origin has closed, and where
    /// the kernel does not tell.
    fn due(&self, socket: &Socket, now: Instant) -> Due {
        if self.what == What::Head {
            return Due::Over;
        }
        let Ok(info) = get_tcp_info(socket.as_raw_fd()) else {
            return Due::Moot;
        };
        if info.tcpi_state != ESTABLISHED {
            return Due::Moot;
        }
        if matches!(socket.peek(&mut [MaybeUninit::uninit()]), Ok(1..)) {
            return Due::Heard(now);
        }
        let since = Duration::from_millis(info.tcpi_last_data_recv.into());
        let heard = self.heard.max(now.checked_sub(since).unwrap_or(now));
        if heard + self.silence_max <= now {
            Due::Over
        } else {
            Due::Heard(heard)
        }
    }
}
