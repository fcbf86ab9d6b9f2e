//! Bodies under way that are to be stored, and what they may hold.
//!
//! A fill goes on no faster than its origin sends and than the client that it is fetched for takes it. Its bytes are charged before they
//! arrive, and can't be evicted. So that slow ones can't hold the memory of all, nor drive out what is read:
//!
//! - bodies under way hold at most 1 / [`FILLING_SHARE`] of the cache, small ones aside;
//! - when there is no room left among them, one that has been slower than [`LINGER_RATE`] for [`LINGER_GRACE`], since it was last looked at, is *given up*, the
//!   longest under way first: it is not stored, its bytes are free, and it passes through to those who keep up with it. Who lags
//!   [`LAG_BYTES_MAX`] behind loses it, as readers of a stored body do that is [withdrawn](crate::LINGER_RATE).

use crate::{
    budget::Charge,
    cache::Cache,
    count::Counters,
    linger::{LINGER_GRACE, LINGER_RATE},
    record::Metadata,
    rules::Rules,
    stream::Stream,
};
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

/// Bodies under way hold at most this share of the cache: 1 / this.
pub const FILLING_SHARE: u64 = 2;
/// Whoever lags further behind a body that is given up loses it.
pub const LAG_BYTES_MAX: u64 = 1 << 20;
/// Entries of the list whose bodies are gone are kept up to this, at least.
const GONE_MAX: usize = 64;

/// What bodies under way hold, all of them.
#[derive(Debug)]
pub(crate) struct Filling {
    bytes_max: u64,
    bytes: Arc<AtomicU64>,
    bodies: Mutex<Bodies>,
}

#[derive(Debug, Default)]
struct Bodies {
    /// Who began first comes first.
    order: VecDeque<Weak<Reserve>>,
    /// From so many entries on, those of bodies that are gone are taken out.
    tidy_at: usize,
}

/// What one body under way holds, until it is stored or given up.
#[derive(Debug)]
pub(crate) struct Reserve {
    held: Mutex<Option<Hold>>,
    stream: Arc<Stream>,
    look: Mutex<Look>,
    is_listed: AtomicBool,
}

/// When it was last found to be fast enough, or began, and what had arrived by then.
#[derive(Debug)]
struct Look {
    at: Instant,
    arrived: u64,
}

/// Bytes of one body.
#[derive(Debug)]
pub(crate) struct Hold {
    /// For its record, and for its body as far as it is known.
    pub(crate) charge: Charge,
    claim: Claim,
}

/// The part of them that counts among bodies under way.
#[derive(Debug)]
struct Claim {
    all: Arc<AtomicU64>,
    bytes: u64,
}

impl Filling {
    /// In a cache of that many bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max: bytes_max / FILLING_SHARE,
            bytes: Arc::default(),
            bodies: Mutex::default(),
        }
    }

    /// Bytes of bodies under way.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn claim(&self, bytes: u64) -> Option<Claim> {
        let fits = |all: u64| all.checked_add(bytes).filter(|&sum| sum <= self.bytes_max);
        let claimed = self
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        claimed.ok().map(|_| Claim {
            all: Arc::clone(&self.bytes),
            bytes,
        })
    }

    /// A body that claims bytes may be given up from now on.
    pub(crate) fn list(&self, reserve: &Arc<Reserve>) {
        if reserve.is_listed.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut bodies = self.bodies.lock();
        if bodies.order.len() >= bodies.tidy_at {
            bodies.order.retain(|body| body.strong_count() > 0);
            bodies.tidy_at = GONE_MAX.max(2 * bodies.order.len());
        }
        bodies.order.push_back(Arc::downgrade(reserve));
    }

    /// Gives up the body that has been under way longest of those that are too slow. False: there is none.
    fn give_up_one(&self, now: Instant) -> bool {
        // One that ends meanwhile has nothing to give.
        while let Some(slow) = self.take_slow(now) {
            if slow.give_up() {
                return true;
            }
        }
        false
    }

    /// Takes the first that is too slow out of the list.
    fn take_slow(&self, now: Instant) -> Option<Arc<Reserve>> {
        let mut bodies = self.bodies.lock();
        let slow = |body: &Weak<Reserve>| body.upgrade().filter(|body| body.is_slow(now));
        let mut listed = bodies.order.iter().enumerate();
        let (at, body) = listed.find_map(|(at, body)| Some((at, slow(body)?)))?;
        bodies.order.remove(at);
        Some(body)
    }
}

impl Reserve {
    pub(crate) fn new(hold: Hold, stream: Arc<Stream>, since: Instant) -> Arc<Self> {
        Arc::new(Self {
            held: Mutex::new(Some(hold)),
            stream,
            look: Mutex::new(Look {
                at: since,
                arrived: 0,
            }),
            is_listed: AtomicBool::new(false),
        })
    }

    /// What it holds; none: it was given up. While this is held, it is not.
    pub(crate) fn hold(&self) -> MutexGuard<'_, Option<Hold>> {
        self.held.lock()
    }

    /// It is whole: what it holds is the object's. None: it was given up.
    pub(crate) fn take(&self) -> Option<Charge> {
        self.held.lock().take().map(|hold| hold.charge)
    }

    /// Judges what has arrived since the last look, so that a quick start buys nothing later.
    fn is_slow(&self, now: Instant) -> bool {
        let mut look = self.look.lock();
        let passed = now.saturating_duration_since(look.at);
        if passed < LINGER_GRACE {
            return false;
        }
        let arrived = self.stream.arrived();
        let since = arrived.saturating_sub(look.arrived);
        let is_slow = since < LINGER_RATE.saturating_mul(passed.as_secs());
        if !is_slow {
            *look = Look { at: now, arrived };
        }
        is_slow
    }

    /// False: it has ended, and holds nothing.
    fn give_up(&self) -> bool {
        let mut held = self.held.lock();
        let hold = held.take();
        if hold.is_some() {
            self.stream.give_up();
        }
        hold.is_some()
    }
}

impl Hold {
    /// Adds what was charged later.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        self.charge.absorb(other.charge);
        self.claim.bytes += std::mem::take(&mut other.claim.bytes);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl<M: Metadata, R: Rules> Cache<M, R> {
    /// Charges bytes of a body under way, of which so many count among those. None: there is no room.
    pub(crate) fn hold(&self, bytes: u64, counted: u64) -> Option<Hold> {
        let claim = loop {
            match self.filling.claim(counted) {
                Some(claim) => break claim,
                None if self.give_up_a_fill() => {}
                None => return None,
            }
        };
        let charge = self.charge(bytes)?;
        Some(Hold { charge, claim })
    }

    /// Gives up a slow fill. False: there is none.
    pub(crate) fn give_up_a_fill(&self) -> bool {
        let is_given_up = self.filling.give_up_one(R::now());
        if is_given_up {
            Counters::add(&self.counters.given_up);
        }
        is_given_up
    }
}
