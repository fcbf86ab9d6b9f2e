//! The world: everything that is, and the time. [`happening`](crate::happening) is the one loop in which everything happens.

use crate::{
    breaks::Breaks,
    control::{Replica, store::Store},
    edge::{Machine, request::Sent},
    event::{Event, RequestId, Run},
    faults::{Fault, Faults},
    log::Log,
    network::{Network, StreamId},
    oracle::{Oracle, Violation},
    origin::{Object, Origin, TAGS},
    plan::Plan,
    queue::Queue,
    random::Random,
    trace::Trace,
    weather::copies::{Copy, first_entry},
    writer::Writer,
};
use latencify_cache::rules::Rules;
use latencify_conf::{
    change::{Epoch, LogId},
    link::message::{ToEdge, WhenIsolated},
};
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// A world.
pub struct World<R: Rules> {
    /// What the seed made of it.
    pub plan: Plan,
    /// The time since it began.
    pub now: Duration,
    /// Chance.
    pub random: Random,
    /// What is to happen.
    pub queue: Queue<Event>,
    /// What happened.
    pub trace: Trace,
    /// What went wrong.
    pub faults: Faults,
    /// What must be true.
    pub oracle: Oracle,
    /// Between edges and control.
    pub network: Network,
    /// The log.
    pub log: Log,
    /// It was put back, or moved, so many times.
    pub branch: u32,
    /// What it had reached when it was put back.
    pub passes: Epoch,
    /// The log and the store as they were.
    pub copy: Option<Copy>,
    /// The newest machine of control; while something happens at [another](crate::control::machines), that one.
    pub replica: Replica,
    /// Earlier ones, not ended when a copy of their data folder was started.
    pub elders: Vec<Replica>,
    /// So many machines of control are one within the other what happens is about.
    pub depth: u32,
    /// The last of its kind.
    pub next_host: u64,
    /// A second follower of the log.
    pub shadow: Store,
    /// The edges.
    pub edges: Vec<Machine<R>>,
    /// The origin.
    pub origin: Origin,
    /// The writers.
    pub writers: Vec<Writer>,
    /// Requests on their way.
    pub sent: BTreeMap<RequestId, Sent>,
    /// What a forging replica sends later.
    pub held_back: BTreeMap<StreamId, Vec<ToEdge>>,
    /// The next answer to a heartbeat of this edge is late.
    pub ambush: Option<usize>,
    /// Nothing goes wrong any more.
    pub calm: bool,
    /// Nobody asks any more.
    pub quiet: bool,
    /// It has been judged.
    pub over: bool,
    /// Answers given.
    pub answers: u64,
    /// Of them, from the store.
    pub stored_answers: u64,
    /// What happened.
    pub events: u64,
    next_run: Run,
    /// The last of its kind.
    pub next_entry: u64,
    /// The last of its kind.
    pub next_key: u64,
    /// The last of its kind.
    pub next_request: u64,
    /// The last of its kind.
    pub next_fetch: u64,
    /// The last of its kind.
    pub next_log: u64,
}

/// What came of a world.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its seed.
    pub seed: u64,
    /// What was not true; none: all was well.
    pub violation: Option<Violation>,
    /// What went wrong.
    pub faults: Faults,
    /// The same way, the same hash.
    pub hash: u64,
    /// What happened.
    pub events: u64,
    /// Answers given.
    pub answers: u64,
    /// Of them, from the store.
    pub stored_answers: u64,
    /// Purges.
    pub purges: u64,
    /// What happened, for people; empty unless it was kept.
    pub text: String,
}

/// Runs a seed's world to its end.
pub fn run<R: Rules>(seed: u64, breaks: Breaks, keeps_text: bool) -> Ended {
    let mut world = World::<R>::new(seed, breaks, keeps_text);
    world.run();
    Ended {
        seed,
        violation: world.oracle.violation.clone(),
        faults: world.faults.clone(),
        hash: world.trace.hash(),
        events: world.events,
        answers: world.answers,
        stored_answers: world.stored_answers,
        purges: world.oracle.purges() as u64,
        text: world.trace.text().to_owned(),
    }
}

impl<R: Rules> World<R> {
    fn new(seed: u64, breaks: Breaks, keeps_text: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::of(&mut random, breaks);
        let id = LogId(Uuid::from_u128(1 << 64));
        let mut log = Log::new(plan.log, id);
        log.append(first_entry(id), 0);
        let when = |random: &mut Random| match random.below(4) {
            0 if plan.some_serve => WhenIsolated::Serve,
            1 => WhenIsolated::Refuse,
            _ => WhenIsolated::Revalidate,
        };
        let edges = (0..plan.edges)
            .map(|_| Machine::new(when(&mut random)))
            .collect();
        let mut world = Self {
            now: Duration::ZERO,
            queue: Queue::default(),
            trace: Trace::new(keeps_text),
            faults: Faults::default(),
            oracle: Oracle::default(),
            network: Network::new(plan.edges, plan.latency),
            log,
            branch: 0,
            passes: Epoch(0),
            copy: None,
            replica: Replica::new(0, Store::new(id)),
            elders: Vec::new(),
            depth: 0,
            next_host: 0,
            shadow: Store::new(id),
            edges,
            origin: Origin::new(&mut random),
            writers: (0..plan.writers).map(|_| Writer::default()).collect(),
            sent: BTreeMap::new(),
            held_back: BTreeMap::new(),
            ambush: None,
            calm: false,
            quiet: false,
            over: false,
            answers: 0,
            stored_answers: 0,
            events: 0,
            next_run: 0,
            next_entry: 1 << 32,
            next_key: 0,
            next_request: 0,
            next_fetch: 0,
            next_log: 0,
            plan,
            random,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let plan = self.plan.clone();
        self.tell("begins", &[], || format!("{plan:#?}"));
        self.put(Duration::ZERO, Event::ReplicaStart(self.replica.host));
        let early = plan.edges - plan.late;
        for edge in 0..plan.edges {
            let comes = if edge < early {
                self.random.millis(0..1000)
            } else {
                self.fault(Fault::EdgeLate);
                self.random.span(plan.stormy / 4, plan.stormy)
            };
            self.put(comes, Event::EdgeStart(edge));
        }
        for writer in 0..plan.writers {
            let comes = self.random.millis(0..500);
            self.put(comes, Event::Write(writer));
        }
        self.put(Duration::from_secs(1), Event::Ask);
        self.put(Duration::from_secs(1), Event::Publish);
        self.put(Duration::from_secs(3), Event::Weather);
        self.put(Duration::from_secs(1), Event::Shadow);
        self.put(plan.stormy, Event::Calm);
    }

    /// Content changes.
    pub fn publish_something(&mut self) {
        let object = self.random.index(crate::origin::OBJECTS);
        self.publish(object);
        let pause = self.random.millis(50..3000);
        if !self.quiet {
            self.put(pause, Event::Publish);
        }
    }

    /// An object changes.
    pub fn publish(&mut self, object: Object) {
        let tags = self.random.below(1 << TAGS.len()) as u8;
        self.origin.publish(object, self.now, tags);
        let version = self.origin.now(object);
        self.tell("published", &[object as u64, version], || {
            format!("object {object}: version {version}")
        });
    }

    /// Something is to happen, after a while.
    pub fn put(&mut self, after: Duration, event: Event) {
        self.queue.put(self.now + after, event);
    }

    /// A run that there was not yet.
    pub fn new_run(&mut self) -> Run {
        self.next_run += 1;
        self.next_run
    }

    /// Something went wrong.
    pub fn fault(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    /// Something happened.
    pub fn tell(&mut self, what: &'static str, numbers: &[u64], text: impl FnOnce() -> String) {
        self.trace.tell(self.now, what, numbers, text);
    }
}
