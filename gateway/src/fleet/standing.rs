//! Whether this edge may use what it has stored, as every request asks: one load and one look at a clock.
//!
//! The [session](super::session) writes, after every turn and so after the marks of that turn are published; requests
//! read. What is kept is the moment until which the edge is trusted, not a yes or no: nobody has to be awake at that
//! moment. A process that was stopped, or a machine that slept, finds the moment past.
//!
//! The clock goes on while the machine sleeps, but not in a guest that its hypervisor pauses: such an edge wakes up with
//! the lease that it had, and for the rest of it uses what may have been purged meanwhile. Nothing inside the guest shows the
//! pause. Stop the edge, or its network, before the guest is paused or moved; do not run edges on hosts that pause guests.
//!
//! The state is loaded before the clock is read. The other order could pair an old time with a lease that came after it.

use super::settings::WhenIsolated;
use latencify_conf::link::edge::{EdgeLink, Isolation};
use std::{
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
    time::Duration,
};

/// The time since the machine started, which counts while it sleeps, and which no clock setting moves.
pub fn boot_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or(0),
        time.tv_nsec.try_into().unwrap_or(0),
    )
}

/// An edge that is isolated, as a request meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isolated {
    /// Since when and until what.
    pub why: Isolation,
    /// What it does with stored objects.
    pub does: WhenIsolated,
}

/// Where the edge stands, shared by the link and all requests.
#[derive(Debug)]
pub struct Standing {
    does: WhenIsolated,
    /// Nanoseconds on [`boot_time`]; 0: not trusted.
    trusted_until: AtomicU64,
    /// Why not, as an index of [`Isolation::ALL`].
    why: AtomicU8,
    /// Requests that isolation changed, or would have changed but for `serve`.
    met: AtomicU64,
}

impl Standing {
    /// An edge that has just started.
    pub fn new(does: WhenIsolated) -> Self {
        Self {
            does,
            trusted_until: AtomicU64::new(0),
            why: AtomicU8::new(0),
            met: AtomicU64::new(0),
        }
    }

    /// Takes over where the link stands at `now`.
    pub fn follow(&self, link: &EdgeLink, now: Duration) {
        let why = link.isolation(now).unwrap_or(Isolation::LeaseOver);
        let why = Isolation::ALL.iter().position(|reason| *reason == why);
        self.why.store(why.unwrap_or(0) as u8, Ordering::Relaxed);
        let until = link.trusted_until().map_or(0, |until| until.as_nanos());
        self.trusted_until
            .store(until.try_into().unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Whether the edge is isolated now, and what that means.
    pub fn isolated(&self) -> Option<Isolated> {
        self.isolated_by(boot_time)
    }

    /// The same by another clock than [`boot_time`], which [`follow`](Self::follow) was told the time of.
    pub fn isolated_by(&self, clock: impl FnOnce() -> Duration) -> Option<Isolated> {
        let until = self.trusted_until.load(Ordering::Acquire);
        let why = if until == 0 {
            let why = self.why.load(Ordering::Relaxed);
            Isolation::ALL
                .get(usize::from(why))
                .copied()
                .unwrap_or(Isolation::NotJoined)
        } else if clock().as_nanos() >= u128::from(until) {
            Isolation::LeaseOver
        } else {
            return None;
        };
        Some(Isolated {
            why,
            does: self.does,
        })
    }

    /// What the edge does with stored objects while it is isolated.
    pub fn when_isolated(&self) -> WhenIsolated {
        self.does
    }

    /// A request found a stored object that may have been purged meanwhile.
    pub fn count_request(&self) {
        self.met.fetch_add(1, Ordering::Relaxed);
    }

    /// How many did.
    pub fn requests(&self) -> u64 {
        self.met.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_conf::{
        change::{LogId, ProcessId},
        link::{chain, edge::Introduction, message, replica::write_position},
    };
    use message::to_edge::Message;
    use uuid::Uuid;

    fn to(message: Message) -> message::ToEdge {
        message::ToEdge {
            message: Some(message),
        }
    }

    #[test]
    fn what_requests_read_runs_out_by_itself() {
        let standing = Standing::new(WhenIsolated::Refuse);
        let isolated = |why| {
            Some(Isolated {
                why,
                does: WhenIsolated::Refuse,
            })
        };
        assert_eq!(standing.isolated(), isolated(Isolation::NotJoined));

        let mut link = EdgeLink::new(Introduction {
            edge: "paris".into(),
            process: ProcessId(Uuid::nil()),
            version: String::new(),
            about: Vec::new(),
            when_isolated: message::WhenIsolated::Refuse,
            saves_marks: false,
        });
        let start = chain::genesis(LogId(Uuid::nil()));
        let now = boot_time();
        link.connected(now);
        let welcome = |lease_ms| {
            to(Message::Welcome(message::Welcome {
                start: Some(write_position(&start)),
                reset: true,
                lease_ms,
                heartbeat_ms: 10,
                replica: String::new(),
                takes_health: false,
            }))
        };
        link.receive(welcome(100), now);
        link.applied(&start);
        let answer = |sequence| {
            to(Message::Heartbeat(message::HeartbeatAnswer {
                sequence,
                head: 0,
            }))
        };
        link.receive(answer(1), now);
        standing.follow(&link, now);
        assert!(
            standing.isolated().is_none() || boot_time() >= now + Duration::from_millis(100),
            "trusted for a lease"
        );
        while boot_time() < now + Duration::from_millis(100) {
            std::thread::yield_now();
        }
        assert_eq!(
            standing.isolated(),
            isolated(Isolation::LeaseOver),
            "nobody said so"
        );
    }
}
