//! The loop: who is due to ask, who was answered.

use super::{
    Pace, Plan, Report,
    connection::{Connection, Progress},
    histogram,
    paths::Requests,
};
use crate::works::Paths;
use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use rustix::event::{
    Timespec,
    epoll::{self, CreateFlags, Event, EventData, EventFlags},
};
use std::{os::fd::OwnedFd, time::Instant};

/// Read at a time, from any connection.
const BUFFER: usize = 256 << 10;
/// So long nothing may come.
const SILENCE_S: u64 = 10;
/// So long after the last request was due all must be answered.
const LATE_NS: u64 = 30_000_000_000;
/// The same arrivals for every peer.
const ARRIVALS_SEED: u64 = 7;

/// Connections, and what they have to do.
pub struct Engine {
    poll: OwnedFd,
    connections: Vec<Connection>,
    /// Those that ask nothing at the moment.
    idle: Vec<usize>,
    requests: Requests,
    bytes: usize,
    began: Instant,
    measure_from_ns: u64,
    end_ns: u64,
    /// Of the open loop.
    arrivals: Option<Arrivals>,
    latencies: Histogram<u64>,
    all: u64,
    /// When the last answer came that was measured.
    last_ns: u64,
}

/// Times at which requests are due: a Poisson process.
struct Arrivals {
    chance: SmallRng,
    mean_ns: f64,
    next_ns: f64,
}

impl Arrivals {
    fn new(rate: f64) -> Self {
        Self {
            chance: SmallRng::seed_from_u64(ARRIVALS_SEED),
            mean_ns: 1e9 / rate,
            next_ns: 0.0,
        }
    }

    fn advance(&mut self) {
        let uniform: f64 = self.chance.random();
        self.next_ns -= (1.0 - uniform).ln() * self.mean_ns;
    }
}

impl Engine {
    /// All connections are made before the first request.
    pub fn connect(plan: &Plan) -> anyhow::Result<Self> {
        let poll = epoll::create(CreateFlags::CLOEXEC).context("epoll")?;
        let connections = (0..plan.connections)
            .map(|_| Connection::open(plan.target))
            .collect::<anyhow::Result<Vec<_>>>()?;
        for (index, connection) in connections.iter().enumerate() {
            let data = EventData::new_u64(index as u64);
            epoll::add(&poll, connection, data, EventFlags::IN).context("epoll")?;
        }
        // Whoever goes through all objects once does so however long it takes.
        let is_bounded = !matches!(plan.paths, Paths::Each(_));
        let end = plan.warm_ms.saturating_add(plan.measured_ms) * 1_000_000;
        Ok(Self {
            poll,
            idle: (0..connections.len()).rev().collect(),
            connections,
            requests: Requests::new(&plan.paths),
            bytes: plan.bytes,
            began: Instant::now(),
            measure_from_ns: plan.warm_ms * 1_000_000,
            end_ns: if is_bounded { end } else { u64::MAX },
            arrivals: match plan.pace {
                Pace::Closed => None,
                Pace::Open(rate) => Some(Arrivals::new(rate)),
            },
            latencies: histogram()?,
            all: 0,
            last_ns: 0,
        })
    }

    /// Asks until the end, and waits for every answer.
    pub fn run(mut self) -> anyhow::Result<Report> {
        self.began = Instant::now();
        let mut buffer = vec![0; BUFFER];
        let mut events = Vec::<Event>::with_capacity(self.connections.len());
        let patient = Timespec {
            tv_sec: SILENCE_S as i64,
            tv_nsec: 0,
        };
        let impatient = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        loop {
            let is_over = self.ask_who_is_due()?;
            if is_over && self.idle.len() == self.connections.len() {
                break;
            }
            // The open loop looks at the clock all the time: a timer would be late.
            let timeout = if self.arrivals.is_some() {
                &impatient
            } else {
                &patient
            };
            events.clear();
            epoll::wait(
                &self.poll,
                rustix::buffer::spare_capacity(&mut events),
                Some(timeout),
            )
            .context("epoll")?;
            if events.is_empty() && self.arrivals.is_none() {
                bail!("nothing came for {SILENCE_S} s");
            }
            for event in &events {
                let data = event.data;
                self.read(data.u64() as usize, &mut buffer)?;
            }
            if self.now_ns() > self.end_ns.saturating_add(LATE_NS) {
                bail!(
                    "not all was answered {} s after the end",
                    LATE_NS / 1_000_000_000
                );
            }
        }
        let until = if self.end_ns == u64::MAX {
            self.last_ns
        } else {
            self.end_ns
        };
        let seconds = until.saturating_sub(self.measure_from_ns) as f64 / 1e9;
        Ok(Report::of(&self.latencies, self.all, seconds))
    }

    fn now_ns(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    /// Lets idle connections ask what is due. Whether nothing will ever be due again.
    fn ask_who_is_due(&mut self) -> anyhow::Result<bool> {
        let mut now = self.now_ns();
        loop {
            let due = match &self.arrivals {
                None => now,
                Some(arrivals) => arrivals.next_ns as u64,
            };
            if due >= self.end_ns {
                return Ok(true);
            }
            if due > now {
                return Ok(false);
            }
            let Some(index) = self.idle.pop() else {
                return Ok(false);
            };
            let (Some(request), Some(connection)) =
                (self.requests.next(), self.connections.get_mut(index))
            else {
                self.idle.push(index);
                return Ok(true);
            };
            connection.ask(request, due)?;
            match &mut self.arrivals {
                None => now = self.now_ns(),
                Some(arrivals) => arrivals.advance(),
            }
        }
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) -> anyhow::Result<()> {
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        if connection.read(buffer, self.bytes)? == Progress::Partial {
            return Ok(());
        }
        let due = connection.due_ns;
        self.idle.push(index);
        self.all += 1;
        let now = self.now_ns();
        // Closed loop: what was answered in the time that is measured. Open loop: what was due in it.
        let counts = match self.arrivals {
            None => (self.measure_from_ns..self.end_ns).contains(&now),
            Some(_) => due >= self.measure_from_ns,
        };
        if counts {
            self.latencies.saturating_record(now.saturating_sub(due));
            self.last_ns = now;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read as _, Write as _},
        net::{SocketAddr, TcpListener},
        thread,
        time::Duration,
    };

    const STALL: Duration = Duration::from_millis(300);

    /// A server for one connection that answers at once, but for one stall in the beginning.
    fn stalling() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 1_024];
            let mut is_first = true;
            while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                if std::mem::take(&mut is_first) {
                    thread::sleep(STALL);
                }
                if stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na")
                    .is_err()
                {
                    break;
                }
            }
        });
        address
    }

    fn plan(pace: Pace) -> Plan {
        Plan {
            target: stalling(),
            connections: 1,
            paths: Paths::One("/a".to_owned()),
            bytes: 1,
            pace,
            warm_ms: 0,
            measured_ms: 600,
        }
    }

    #[test]
    fn a_stall_counts_for_every_request_that_was_due_in_it() {
        let rate = 200.0;
        let open = Engine::connect(&plan(Pace::Open(rate)))
            .unwrap()
            .run()
            .unwrap();
        // Half of them are due while it stalls, however quick the other answers are.
        assert!(open.measured >= 60, "{open:?}");
        assert!(open.p99_us >= 200_000.0, "{open:?}");
        // Whoever waits for answers before asking charges the stall to one of them.
        let closed = Engine::connect(&plan(Pace::Closed)).unwrap().run().unwrap();
        assert!(closed.max_us >= 299_000.0, "{closed:?}");
    }

    #[test]
    fn each_object_is_asked_for_once() {
        let mut plan = plan(Pace::Closed);
        plan.paths = Paths::Each(50);
        let report = Engine::connect(&plan).unwrap().run().unwrap();
        assert_eq!((report.all, report.measured), (50, 50));
        assert!(report.seconds > 0.0);
    }

    #[test]
    fn a_wrong_length_ends_it() {
        let mut plan = plan(Pace::Closed);
        plan.bytes = 2;
        let error = Engine::connect(&plan).unwrap().run().unwrap_err();
        assert!(error.to_string().contains("instead of 2"), "{error}");
    }
}
