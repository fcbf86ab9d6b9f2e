//! An edge: the shipped engine, link machine and driver, and the shipped decisions on reuse, in the order in which the gateway's
//! phases call them; its sockets, disk and clocks are models.

pub mod fetch;
pub mod interleave;
pub mod link;
pub mod port;
pub mod request;

use crate::{
    event::{Event, FetchId, RequestId, Run},
    faults::Fault,
    network::StreamId,
    origin::{self, Object, SITES},
    world::World,
};
use fetch::Asking;
use latencify_cache::{
    Cache, Clock, KeyRef, MarkBounds, Marks, Metadata, Sweep,
    marks::{LocalMarks, MarksSnapshot},
    rules::Rules,
    slots::Slots,
};
use latencify_conf::{
    change::{Mode, Position, ProcessId, SiteId, Target},
    digest::Digest,
    link::{
        edge::Introduction,
        message::{ToEdge, WhenIsolated},
    },
};
use latencify_decide::freshness::Lifetime;
use latencify_gateway::fleet::obey::{Obedience, Wanted};
use port::Port;
use request::Request;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use uuid::Uuid;

/// When worlds begin, by the wall clock.
pub const EPOCH: Duration = Duration::from_hours(500_000);

/// An edge's machine.
pub struct Machine<R: Rules> {
    /// What it does with stored objects when isolated.
    pub when_isolated: WhenIsolated,
    /// How far its wall clock is ahead of when the world began.
    pub wall: Duration,
    /// Until then it stands still.
    pub paused_until: Duration,
    /// Its disk: the last policy that it ran.
    pub saved_policy: Option<Wanted>,
    /// Its disk: the marks.
    pub saved_marks: Option<SavedMarks>,
    /// Until then it can't save.
    pub disk_full_until: Duration,
    /// The program; none: it is down.
    pub running: Option<Process<R>>,
}

/// A run of an edge's program.
pub struct Process<R: Rules> {
    /// Which.
    pub run: Run,
    /// As the fleet knows it.
    pub id: ProcessId,
    /// The marks.
    pub marks: Arc<Marks<R>>,
    /// The cache.
    pub cache: Arc<Cache<Meta, R>>,
    /// Who fetches and who waits.
    pub slots: Slots<FetchId>,
    /// What it makes of control's words.
    pub obedience: Obedience,
    sweep: Sweep<Meta, R>,
    save_due: bool,
    port: Arc<Port<R>>,
    clock: Arc<Dial>,
    /// Its stream.
    pub stream: Option<StreamId>,
    inbox: Vec<ToEdge>,
    read_due: bool,
    tick_due: Option<Duration>,
    backoff: Duration,
    last_answer: Option<Duration>,
    wanted: Option<Wanted>,
    /// The policy that runs.
    pub policy: Option<Wanted>,
    /// What clients wait for.
    pub requests: BTreeMap<RequestId, Request>,
    /// What the origin is asked.
    pub asking: BTreeMap<FetchId, Asking<R>>,
    /// It takes no new requests.
    pub draining: bool,
    /// Purges that it obeys, by their number with the oracle.
    pub obeys: Vec<usize>,
    /// When everything that it had stored became unusable.
    pub floor_at: Duration,
    /// Per object: when the fetch of the newest thing that was found stored began.
    pub newest_began: [Duration; origin::OBJECTS],
    evicted: u64,
    widened: u64,
    forgotten: u64,
}

/// Marks on a disk. The shipped journal chains digests; here one digest stands for them.
#[derive(Debug)]
pub struct SavedMarks {
    /// As they were written, if nothing happened to them.
    pub bytes: Vec<u8>,
    digest: Digest,
    position: Position,
}

impl SavedMarks {
    /// What was saved, and the position that it stands for; none: it is not what was written.
    fn read(&self) -> Option<(MarksSnapshot, Position)> {
        if Digest::of_parts([&self.bytes[..]]) != self.digest {
            return None;
        }
        let snapshot = MarksSnapshot::decode(&self.bytes).ok()?;
        let position = snapshot.obeyed()?;
        Some((snapshot, position))
    }
}

/// What is kept with a stored response.
#[derive(Debug, Clone)]
pub struct Meta {
    /// For how long it serves.
    pub lifetime: Lifetime,
    /// The version, so that the origin can say 304.
    pub version: u64,
    /// When the fetch or the validation of it began, for the oracle.
    pub began: Duration,
}

impl Metadata for Meta {
    fn bytes(&self) -> u64 {
        64
    }
}

/// A steady clock that the world turns.
#[derive(Debug)]
pub struct Dial(AtomicU64);

impl Clock for DialFace {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_micros(self.0.0.load(Ordering::Relaxed))
    }
}

/// The face of a [`Dial`]: what may be read of it.
#[derive(Debug)]
pub struct DialFace(Arc<Dial>);

struct OtherThreads<R: Rules> {
    cache: Arc<Cache<Meta, R>>,
    sites: [Option<SiteId>; SITES.len()],
}

impl<R: Rules> interleave::Others for OtherThreads<R> {
    fn look(&self, object: Object) {
        if let Some(Some(site)) = self.sites.get(origin::site_of(object)) {
            let key = key(*site, object);
            drop(self.cache.find(key_ref(&key)));
        }
    }

    fn purge(&self, object: Object) {
        if let Some(Some(site)) = self.sites.get(origin::site_of(object)) {
            self.cache
                .marks()
                .local_purge(&url(*site, object), Mode::Hard);
        }
    }
}

/// The cache key of an object.
pub fn key(site: SiteId, object: Object) -> Vec<u8> {
    let mut key = site.0.to_be_bytes().to_vec();
    key.extend_from_slice(origin::path_of(object).as_bytes());
    key
}

/// The key as it is asked for.
pub fn key_ref(primary: &[u8]) -> KeyRef<'_> {
    KeyRef {
        primary,
        variance: None,
    }
}

/// An object's URL.
pub fn url(site: SiteId, object: Object) -> Target {
    Target::Url {
        site,
        path: origin::path_of(object).to_owned(),
    }
}

impl<R: Rules> Machine<R> {
    /// A machine whose program has never run.
    pub fn new(when_isolated: WhenIsolated) -> Self {
        Self {
            when_isolated,
            wall: EPOCH,
            paused_until: Duration::ZERO,
            saved_policy: None,
            saved_marks: None,
            disk_full_until: Duration::ZERO,
            running: None,
        }
    }

    /// The position that its disk stands for.
    pub fn saved_up_to(&self) -> Option<Position> {
        self.saved_marks.as_ref().map(|saved| saved.position)
    }

    /// The program, if that run of it is on.
    pub fn run(&mut self, run: Run) -> Option<&mut Process<R>> {
        self.running.as_mut().filter(|running| running.run == run)
    }
}

impl<R: Rules> Process<R> {
    /// The id of a site under the policy that runs.
    pub fn site(&self, place: usize) -> Option<SiteId> {
        let policy = self.policy.as_ref()?;
        policy.target.sites.get(*SITES.get(place)?).copied()
    }

    /// What stands still is nothing: no request, no question, no slot, no body under way.
    pub fn leaks(&self) -> Option<String> {
        let (fills, slots) = (self.cache.count().fills, self.slots.len());
        let (requests, asking) = (self.requests.len(), self.asking.len());
        (fills + slots as u64 + requests as u64 + asking as u64 > 0).then(|| {
            format!("{requests} requests, {asking} questions to the origin, {slots} slots, {fills} fills")
        })
    }
}

impl<R: Rules> World<R> {
    /// The program of an edge, if that run of it is on.
    pub fn process(&mut self, edge: usize, run: Run) -> Option<&mut Process<R>> {
        self.edges.get_mut(edge)?.run(run)
    }

    /// What an edge's wall clock shows.
    pub fn wall(&self, edge: usize) -> SystemTime {
        let wall = self.edges.get(edge).map_or(EPOCH, |machine| machine.wall);
        SystemTime::UNIX_EPOCH + wall + self.now
    }

    /// An edge's machine starts its program.
    pub fn edge_start(&mut self, edge: usize) {
        if self
            .edges
            .get(edge)
            .is_none_or(|machine| machine.running.is_some())
        {
            return;
        }
        let run = self.new_run();
        let id = ProcessId(Uuid::from_u128(run.into()));
        let started = self.wall(edge).duration_since(SystemTime::UNIX_EPOCH);
        let steady = started.unwrap_or_default().as_micros() as u64;
        let clock = Arc::new(Dial(AtomicU64::new(steady)));
        let bounds = if self.plan.narrow_marks {
            MarkBounds {
                marks_per_site: 8,
                sites: 2,
                ..MarkBounds::default()
            }
        } else {
            MarkBounds::default()
        };
        let marks = Marks::<R>::open(Arc::new(DialFace(clock.clone())), bounds);
        let cache = Cache::new(self.plan.cache_bytes, marks.clone());
        let port = Port::new(marks.clone(), self.plan.breaks.ack_before_publish);
        let Some(machine) = self.edges.get_mut(edge) else {
            return;
        };
        let introduction = Introduction {
            edge: format!("edge-{edge}"),
            process: id,
            version: "simulated".into(),
            about: Vec::new(),
            when_isolated: machine.when_isolated,
            saves_marks: self.plan.saves == Some(true),
        };
        let (obedience, floor_at) = match machine.saved_marks.as_ref().and_then(SavedMarks::read) {
            Some((saved, position)) => {
                marks.restore(saved, LocalMarks::Lost);
                (
                    Obedience::resuming(introduction, position, port.clone()),
                    self.now,
                )
            }
            None => (Obedience::new(introduction, port.clone()), Duration::ZERO),
        };
        let sweep = Sweep::new(cache.clone());
        machine.running = Some(Process {
            run,
            id,
            marks,
            cache,
            slots: Slots::default(),
            obedience,
            sweep,
            save_due: false,
            port,
            clock,
            stream: None,
            inbox: Vec::new(),
            read_due: false,
            tick_due: None,
            backoff: Duration::ZERO,
            last_answer: None,
            wanted: None,
            policy: machine.saved_policy.clone(),
            requests: BTreeMap::new(),
            asking: BTreeMap::new(),
            draining: false,
            obeys: Vec::new(),
            floor_at,
            newest_began: [Duration::ZERO; origin::OBJECTS],
            evicted: 0,
            widened: 0,
            forgotten: 0,
        });
        self.tell("edge starts", &[edge as u64, run], || {
            format!("edge {edge}, process {run}")
        });
        self.put(Duration::ZERO, Event::Connect(edge, run));
        let sweeps = self.random.millis(200..4000);
        self.put(sweeps, Event::Sweep(edge, run));
    }

    /// Saves the marks a moment from now, if that is not about to happen: what comes until then is saved with them.
    pub fn save_soon(&mut self, edge: usize, run: Run) {
        if self.plan.saves.is_none() {
            return;
        }
        let later = self.random.millis(1..60);
        let Some(process) = self.process(edge, run) else {
            return;
        };
        if !std::mem::replace(&mut process.save_due, true) {
            self.put(later, Event::Saved(edge, run));
        }
    }

    /// The marks reach the disk, unless it is full.
    pub fn saved(&mut self, edge: usize, run: Run) {
        let now = self.now;
        let Some(machine) = self.edges.get_mut(edge) else {
            return;
        };
        let Some(process) = machine
            .running
            .as_mut()
            .filter(|process| process.run == run)
        else {
            return;
        };
        if now < machine.disk_full_until {
            return self.put(Duration::from_millis(200), Event::Saved(edge, run));
        }
        process.save_due = false;
        let snapshot = process.marks.snapshot();
        let (Some(position), Ok(bytes)) = (snapshot.obeyed(), snapshot.encode()) else {
            return;
        };
        let digest = Digest::of_parts([&bytes[..]]);
        machine.saved_marks = Some(SavedMarks {
            bytes,
            digest,
            position,
        });
        let outcomes = process.obedience.saved(&position);
        self.carry_out(edge, run, outcomes);
    }

    /// An edge sweeps.
    pub fn sweep(&mut self, edge: usize, run: Run) {
        let objects = self.random.of(1..40) as usize;
        let pause = self.random.millis(50..1500);
        let Some(process) = self.process(edge, run) else {
            return;
        };
        process.sweep.step(objects);
        self.put(pause, Event::Sweep(edge, run));
    }

    /// An edge's program ends; its kernel says so where packets pass.
    pub fn edge_die(&mut self, edge: usize) {
        let Some(process) = self
            .edges
            .get_mut(edge)
            .and_then(|machine| machine.running.take())
        else {
            return;
        };
        self.tell("edge ends", &[edge as u64, process.run], || {
            format!("edge {edge}, process {}", process.run)
        });
        if let Some(stream) = process.stream {
            self.close_from_edge(stream);
        }
    }

    /// Turns the edge's clock, and lets its other threads come between the steps of what follows.
    pub fn edge_wakes(&mut self, edge: usize) {
        let now = self.now;
        let permille = self.plan.rates.interleave;
        let random = self.random.branch();
        let Some(machine) = self.edges.get_mut(edge) else {
            return;
        };
        let Some(process) = &mut machine.running else {
            return;
        };
        let wall = (machine.wall + now).as_micros() as u64;
        // Steady: never back, whatever the wall clock says.
        process.clock.0.fetch_max(wall, Ordering::Relaxed);
        let sites = std::array::from_fn(|place| process.site(place));
        let cache = process.cache.clone();
        interleave::begin(Box::new(OtherThreads { cache, sites }), random, permille);
    }

    /// Nobody comes between any more; what came is noted.
    pub fn edge_rests(&mut self, edge: usize) {
        let done = interleave::end();
        // Counting looks into every shard: now and then is enough.
        let counts = self.random.permille(30);
        self.faults
            .add_many(Fault::Interleaved, done.looks + done.purged.len() as u64);
        for object in done.purged {
            self.local_purged(edge, object);
        }
        let process = self
            .edges
            .get_mut(edge)
            .and_then(|machine| machine.running.as_mut());
        let Some(process) = process.filter(|_| counts) else {
            return;
        };
        let count = process.marks.count();
        let (evicted, widened) = (process.cache.count().evicted, count.widened);
        let swept = count.forgotten - std::mem::replace(&mut process.forgotten, count.forgotten);
        self.faults.add_many(Fault::Swept, swept);
        let more_evicted = evicted - std::mem::replace(&mut process.evicted, evicted);
        let more_widened = widened - std::mem::replace(&mut process.widened, widened);
        self.faults.add_many(Fault::Eviction, more_evicted);
        self.faults.add_many(Fault::Widened, more_widened);
    }

    /// An unsafe method purged an object on one edge.
    pub fn local_purged(&mut self, edge: usize, object: Object) {
        let now = self.now;
        let Some(process) = self
            .edges
            .get_mut(edge)
            .and_then(|machine| machine.running.as_mut())
        else {
            return;
        };
        let number = self.oracle.local_purge(process.run, object, now);
        process.obeys.push(number);
        self.faults.add(Fault::LocalPurge);
    }
}
