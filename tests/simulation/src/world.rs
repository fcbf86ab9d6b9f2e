//! The world: everything that is, the time, and the one loop in which everything happens.

use crate::{
    control::{Replica, store::Store},
    edge::{Machine, request::Sent},
    event::{Event, RequestId, Run, Whom},
    faults::{Fault, Faults},
    lies::Lie,
    log::Log,
    network::{Network, StreamId},
    oracle::{Oracle, Violation},
    origin::{Object, Origin, TAGS},
    plan::{Breaks, Plan},
    queue::Queue,
    random::Random,
    rules::turn,
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

/// A world in which more happens goes in circles.
const EVENTS_MAX: u64 = 2_000_000;

/// A world.
pub struct World<R: Rules> {
    /// What the seed made of it.
    pub plan: Plan,
    /// The time since it began.
    pub now: Duration,
    /// Chance.
    pub random: Random,
    queue: Queue<Event>,
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
    /// The replica.
    pub replica: Replica,
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
    events: u64,
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
            replica: Replica::new(Store::new(id)),
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
        self.put(Duration::ZERO, Event::ReplicaStart);
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

    fn run(&mut self) {
        while !self.over && self.oracle.violation.is_none() {
            let Some((at, event)) = self.queue.take() else {
                return;
            };
            self.now = self.now.max(at);
            turn(self.now);
            self.events += 1;
            if self.events > EVENTS_MAX || self.lies(Lie::TooMuch) {
                return self.violate("an_end", || "too much happens".into());
            }
            let whom = match &event {
                Event::EdgeNotices(stream) => self.network.edge_of(*stream),
                event => event.whom(),
            };
            match self.stands_still_until(whom) {
                Some(until) => self.queue.put(until, event),
                None => self.happen(whom, event),
            }
        }
    }

    fn stands_still_until(&self, whom: Whom) -> Option<Duration> {
        let until = match whom {
            Whom::Edge(edge) => self.edges.get(edge)?.paused_until,
            Whom::Replica => self.replica.paused_until,
            Whom::World => return None,
        };
        (until > self.now).then_some(until)
    }

    fn happen(&mut self, whom: Whom, event: Event) {
        let Whom::Edge(edge) = whom else {
            return self.dispatch(event);
        };
        self.edge_wakes(edge);
        self.dispatch(event);
        self.edge_rests(edge);
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::ToReplica(stream, message) => {
                if self
                    .network
                    .streams
                    .get(&stream)
                    .is_some_and(|stream| !stream.lost)
                {
                    self.session_hears(stream, message);
                }
            }
            Event::ToEdge(stream, message) => self.arrives_at_edge(stream, message),
            Event::ReplicaNotices(stream) => self.session_drop(stream),
            Event::EdgeNotices(stream) => self.edge_notices(stream),
            Event::Heal(edge) => self.heal(edge),
            Event::EdgeStart(edge) => self.edge_start(edge),
            Event::Connect(edge, run) => self.connect_edge(edge, run),
            Event::Read(edge, run) => self.edge_reads(edge, run),
            Event::Tick(edge, run) => self.timer(edge, run),
            Event::Installed(edge, run) => self.installed(edge, run),
            Event::Saved(edge, run) => self.saved(edge, run),
            Event::Sweep(edge, run) => self.sweep(edge, run),
            Event::Gone(edge, run) => self.edge_leaves(edge, run),
            Event::Ask => self.ask(),
            Event::Arrive(edge, request) => self.arrive(edge, request),
            Event::GoOn(edge, run, request) => self.weigh(edge, run, request),
            Event::LookAgain(edge, run, request) => self.look_again(edge, run, request),
            Event::GiveUp(edge, run, request, fetch) => self.give_up(edge, run, request, fetch),
            Event::OriginGets(edge, run, fetch) => self.origin_gets(edge, run, fetch),
            Event::Head(edge, run, fetch, answer) => self.head(edge, run, fetch, answer),
            Event::Piece(edge, run, fetch) => self.piece(edge, run, fetch),
            Event::ReadOn(edge, run, request) => self.read_on(edge, run, request),
            Event::ReplicaStart => self.replica_start(),
            Event::Commit(run, append) => self.commit(run, append),
            Event::Heard(run, id, result) => self.heard(run, id, result),
            Event::Lands(branch) => self.lands(branch),
            Event::Announce(run) => self.announce(run),
            Event::Fold(run) => self.fold(run),
            Event::Shadow => self.shadow(),
            Event::Second(run) => self.second(run),
            Event::RemoveAgain(run, process) => self.remove_again(run, process),
            Event::Replaced(run, stream) => self.session_replaced(run, stream),
            Event::Write(writer) => self.write(writer),
            Event::WriterAsks(writer, attempt) => self.writer_asks(writer, attempt),
            Event::WriterHears(writer, attempt, reply) => self.writer_hears(writer, attempt, reply),
            Event::WriterTires(writer, attempt) => self.writer_tires(writer, attempt),
            Event::AskReceipt(writer, _) => self.ask_receipts(writer),
            Event::Publish => self.publish_something(),
            Event::Weather => self.weather(),
            Event::PowerFails(edge) => self.power_fails(edge),
            Event::ReplicaDies(run) => self.replica_dies(run),
            Event::Calm => self.calm_down(),
            Event::Judge => self.judge_or_quieten(),
        }
    }

    fn arrives_at_edge(&mut self, stream: StreamId, message: ToEdge) {
        let Some(known) = self
            .network
            .streams
            .get(&stream)
            .filter(|stream| !stream.lost)
        else {
            return;
        };
        let (edge, run) = (known.edge, known.edge_run);
        let is_its = self
            .process(edge, run)
            .is_some_and(|process| process.stream == Some(stream));
        if is_its {
            self.edge_gets(edge, run, message);
        }
    }

    /// Content changes.
    fn publish_something(&mut self) {
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
