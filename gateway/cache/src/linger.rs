//! Bodies that left the index while somebody reads them.
//!
//! What is read may be evicted like anything else, but its memory is not free before its readers are through. So that slow
//! readers can't hold the memory of all:
//!
//! - what lingers stays charged, so that the bound of the cache holds at every moment;
//! - evictions let at most 1 / [`LINGER_SHARE`] of the cache linger (or one body, whatever its size); beyond that, what is read
//!   stays in the index;
//! - when there is no room left, a body whose readers have been slower than [`LINGER_RATE`] for [`LINGER_GRACE`] is *withdrawn*:
//!   the one that lingers longest first. Its readers get an error instead of the rest. Whoever reads faster is never cut off.
//!
//! A body of at most [`WHOLE_BYTES_MAX`](crate::WHOLE_BYTES_MAX) does not linger, and stays in the index while it is read: its readers hold no more of it
//! each than of the rest of their requests.

use crate::body::Body;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Evictions let at most this share of the cache linger: 1 / this.
pub const LINGER_SHARE: u64 = 4;
/// No reader loses a body within so long after it left the index.
pub const LINGER_GRACE: Duration = Duration::from_secs(10);
/// Nor do those who read so many bytes a second, all of them together.
pub const LINGER_RATE: u64 = 128 * 1024;

/// Dead entries of the list that are kept, at least.
const DEAD_MAX: usize = 64;

/// What lingers.
#[derive(Debug)]
pub(crate) struct Lingering {
    bytes_max: u64,
    bytes: Arc<AtomicU64>,
    bodies: Mutex<Bodies>,
}

#[derive(Debug, Default)]
struct Bodies {
    /// Who left first comes first.
    order: VecDeque<Weak<Body>>,
    /// From so many entries on, those of bodies that are gone are taken out.
    tidy_at: usize,
}

/// What a body that lingers knows of it.
#[derive(Debug)]
pub(crate) struct Stay {
    all: Arc<AtomicU64>,
    bytes: AtomicU64,
    since: Instant,
    served: AtomicU64,
}

impl Lingering {
    /// In a cache of that many bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max: bytes_max / LINGER_SHARE,
            bytes: Arc::default(),
            bodies: Mutex::default(),
        }
    }

    /// Bytes of bodies that linger.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A body is to be evicted that is perhaps being read. False: it must stay.
    pub(crate) fn lets_go(&self, body: &Arc<Body>, now: Instant) -> bool {
        if !is_being_read(body) {
            return true;
        }
        if !body.is_withdrawable() {
            return false;
        }
        let mut bodies = self.bodies.lock();
        let lingering = self.bytes();
        if lingering > 0 && lingering + body.len() > self.bytes_max {
            return false;
        }
        self.add(&mut bodies, body, now);
        true
    }

    /// A body has left the index for another reason: purged, or replaced.
    pub(crate) fn left(&self, body: &Arc<Body>, now: Instant) {
        if is_being_read(body) && body.is_withdrawable() {
            self.add(&mut self.bodies.lock(), body, now);
        }
    }

    /// Withdraws the body that has lingered longest of those whose readers are too slow. False: there is none.
    pub(crate) fn withdraw_one(&self, now: Instant) -> bool {
        let slow = {
            let mut bodies = self.bodies.lock();
            let is_slow = |body: &Weak<Body>| body.upgrade().is_some_and(|body| body.is_slow(now));
            let at = bodies.order.iter().position(is_slow);
            at.and_then(|at| bodies.order.remove(at)?.upgrade())
        };
        slow.is_some_and(|body| {
            body.withdraw();
            true
        })
    }

    fn add(&self, bodies: &mut Bodies, body: &Arc<Body>, now: Instant) {
        let stay = Stay {
            all: Arc::clone(&self.bytes),
            bytes: AtomicU64::new(body.len()),
            since: now,
            served: AtomicU64::new(0),
        };
        self.bytes.fetch_add(body.len(), Ordering::Relaxed);
        body.linger(stay);
        if bodies.order.len() >= bodies.tidy_at {
            bodies.order.retain(|body| body.strong_count() > 0);
            bodies.tidy_at = DEAD_MAX.max(2 * bodies.order.len());
        }
        bodies.order.push_back(Arc::downgrade(body));
    }
}

impl Stay {
    /// Readers have got so many bytes.
    pub(crate) fn serve(&self, bytes: u64) {
        self.served.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether the readers take less than they must.
    pub(crate) fn is_slow(&self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.since);
        since >= LINGER_GRACE
            && self.served.load(Ordering::Relaxed) < LINGER_RATE.saturating_mul(since.as_secs())
    }

    /// It lingers no more.
    pub(crate) fn end(&self) {
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        self.all.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether anyone but the one who asks holds it.
fn is_being_read(body: &Arc<Body>) -> bool {
    Arc::strong_count(body) > 1
}
