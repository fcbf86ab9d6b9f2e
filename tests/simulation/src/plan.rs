//! What a seed makes of a world: how large it is, how fast, and what goes wrong in it. Each seed leaves most kinds of faults out, so
//! that those which are left meet each other often.

use crate::{breaks::Breaks, log::Kind, random::Random};
use std::time::Duration;

/// How often small things go wrong, of a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    /// A message takes long.
    pub delay: u64,
    /// The broker's answer is lost.
    pub append_unknown: u64,
    /// The answer to a writer is lost.
    pub answer_lost: u64,
    /// A delivery is forged.
    pub forge: u64,
    /// A question to the origin takes long.
    pub slow_question: u64,
    /// Its answer takes long.
    pub slow_answer: u64,
    /// A body arrives slowly.
    pub slow_fill: u64,
    /// A body breaks off.
    pub fill_broken: u64,
    /// A request changes what it names.
    pub unsafe_method: u64,
    /// Another thread comes between two steps.
    pub interleave: u64,
}

/// What goes wrong at large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// A stream breaks.
    Break,
    /// An edge and control can't reach each other, one way or both.
    Partition,
    /// An answer is late, and the edge cut off behind it.
    LateAnswer,
    /// An edge can't save.
    DiskFull,
    /// An edge's disk lies.
    DiskLies,
    /// An edge dies.
    EdgeCrash,
    /// An edge stops cleanly.
    EdgeLeave,
    /// The operator takes processes out.
    Remove,
    /// An edge stands still.
    EdgePause,
    /// A wall clock is set.
    ClockJump,
    /// The replica dies.
    ReplicaCrash,
    /// The replica stops cleanly.
    ReplicaStop,
    /// The replica stands still.
    ReplicaPause,
    /// The broker is away.
    BrokerAway,
    /// The store is put back, and the log perhaps away.
    RestoreStore,
    /// The log is put back.
    Rewind,
    /// The log moves.
    NewLog,
    /// The origin is away.
    OriginDown,
    /// A copy of control's data folder is started, and the run on the original is not ended.
    SecondRun,
    /// Control can't reach the log, one way or both.
    LogCut,
}

const TROUBLES: [Trouble; 18] = [
    Trouble::LateAnswer,
    Trouble::DiskFull,
    Trouble::DiskLies,
    Trouble::Break,
    Trouble::Partition,
    Trouble::EdgeCrash,
    Trouble::EdgeLeave,
    Trouble::Remove,
    Trouble::EdgePause,
    Trouble::ClockJump,
    Trouble::ReplicaCrash,
    Trouble::ReplicaStop,
    Trouble::ReplicaPause,
    Trouble::BrokerAway,
    Trouble::RestoreStore,
    Trouble::Rewind,
    Trouble::NewLog,
    Trouble::OriginDown,
];

/// A world.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Edges.
    pub edges: usize,
    /// Of them, so many come late.
    pub late: usize,
    /// Writers.
    pub writers: usize,
    /// Which kind of log.
    pub log: Kind,
    /// The lease.
    pub lease: Duration,
    /// So long after it has read the log to its end a run of control may answer edges: one of these.
    pub unread_max: [Duration; 2],
    /// On a good day a message takes so long.
    pub latency: (Duration, Duration),
    /// From the broker to the replica.
    pub blink: Duration,
    /// Between two requests, on average.
    pub request_pause: Duration,
    /// Between two writes of a writer.
    pub write_pause: Duration,
    /// Between two troubles.
    pub trouble_pause: (Duration, Duration),
    /// For so long things go wrong.
    pub stormy: Duration,
    /// What may go wrong.
    pub troubles: Vec<Trouble>,
    /// Small things.
    pub rates: Rates,
    /// The bytes of each edge's cache.
    pub cache_bytes: u64,
    /// The most words of a body.
    pub body_words: u64,
    /// Marks are bounded by 8 a site and two sites.
    pub narrow_marks: bool,
    /// Edges save their marks; an ack of them means that they did.
    pub saves: Option<bool>,
    /// Some edges serve what they have when isolated.
    pub some_serve: bool,
    /// Broken on purpose.
    pub breaks: Breaks,
}

impl Plan {
    /// What a seed makes of a world.
    pub fn of(random: &mut Random, breaks: Breaks) -> Self {
        let mut rate = |most: u64| {
            if random.permille(500) {
                random.below(most)
            } else {
                0
            }
        };
        let rates = Rates {
            delay: rate(60),
            append_unknown: rate(200),
            answer_lost: rate(300),
            forge: rate(80),
            slow_question: rate(200),
            slow_answer: rate(200),
            slow_fill: rate(400),
            fill_broken: rate(100),
            unsafe_method: rate(60),
            interleave: rate(200),
        };
        let troubles: Vec<_> = TROUBLES
            .into_iter()
            .filter(|_| random.permille(350))
            .collect();
        let edges = random.of(2..6) as usize;
        let quick = random.millis(1000..6000);
        let mut plan = Self {
            edges,
            late: random.index(edges),
            writers: random.of(1..4) as usize,
            log: if random.permille(500) {
                Kind::Embedded
            } else {
                Kind::Broker
            },
            lease: random.millis(1000..8000),
            unread_max: [Duration::from_secs(5); 2],
            latency: (Duration::from_micros(100), random.millis(1..20)),
            blink: random.millis(0..10),
            request_pause: random.millis(15..80),
            write_pause: random.millis(300..3000),
            trouble_pause: (quick / 4, quick),
            stormy: random.millis(20_000..60_000),
            saves: random.permille(500).then(|| random.permille(500)),
            troubles,
            rates,
            cache_bytes: if random.permille(300) {
                random.of(6_000..24_000)
            } else {
                1 << 20
            },
            body_words: random.of(4..160),
            narrow_marks: random.permille(300),
            some_serve: random.permille(150),
            breaks,
        };
        // Drawn apart, so that what a seed made of all that was there before stays what it was.
        let mut apart = random.clone().branch();
        let of_late = [Trouble::SecondRun, Trouble::LogCut];
        let of_late = of_late.into_iter().filter(|_| apart.permille(200));
        plan.troubles.extend(of_late);
        plan.unread_max = [(); 2].map(|()| apart.millis(500..6000));
        match breaks.focus {
            Some(focus) => focus.of(plan, random),
            None => plan,
        }
    }

    /// Between two heartbeats: as the shipped control says it, five a lease.
    pub fn heartbeat(&self) -> Duration {
        self.lease / 5
    }
}
