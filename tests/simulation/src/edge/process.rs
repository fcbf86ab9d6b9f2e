//! A run of an edge's program.

use super::{
    Meta,
    fetch::Asking,
    interleave,
    others::{Beside, OtherThreads},
    port::Port,
    request::Request,
    session::Session,
};
use crate::{
    event::{Event, FetchId, RequestId, Run},
    faults::Fault,
    network::StreamId,
    origin::{self, Object, SITES},
    saving::Saver,
    world::World,
};
use latencify_cache::{Cache, Clock, History, Marks, Sweep, rules::Rules, slots::Slots};
use latencify_conf::{
    change::{ProcessId, SiteId},
    link::message::WhenIsolated as Said,
};
use latencify_gateway::fleet::{
    Isolated, Standing, WhenIsolated,
    obey::{Obedience, Wanted},
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

/// A run of an edge's program. What is shared by its threads is in cells: while one is in the engine, others come by
/// ([`interleave`]).
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
    /// Its end of the link.
    pub session: Rc<RefCell<Session>>,
    /// The task that sweeps.
    pub sweep: Rc<RefCell<Sweep<Meta, R>>>,
    /// What other threads fetch.
    pub beside: Rc<RefCell<Vec<Beside<R>>>>,
    /// Who saves the marks; none: nobody.
    pub saver: Option<Rc<RefCell<Saver>>>,
    /// The marks are about to be saved.
    pub save_due: bool,
    /// Obeys.
    pub port: Arc<Port<R>>,
    clock: Arc<Dial>,
    /// Its stream.
    pub stream: Option<StreamId>,
    /// It is about to read.
    pub read_due: bool,
    /// When it looks at its clock next.
    pub tick_due: Option<Duration>,
    /// How long it waits before it connects again.
    pub backoff: Duration,
    /// The policy that it should run.
    pub wanted: Option<Wanted>,
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

/// A steady clock that the world turns.
#[derive(Debug)]
pub struct Dial(AtomicU64);

/// The face of a [`Dial`]: what may be read of it.
#[derive(Debug)]
pub struct DialFace(pub Arc<Dial>);

impl Dial {
    /// A clock that shows this.
    pub fn at(time: SystemTime) -> Arc<Self> {
        let steady = time.duration_since(SystemTime::UNIX_EPOCH);
        Arc::new(Self(AtomicU64::new(
            steady.unwrap_or_default().as_micros() as u64
        )))
    }

    /// Never back, whatever the wall clock says.
    fn turn(&self, wall: Duration) {
        self.0.fetch_max(wall.as_micros() as u64, Ordering::Relaxed);
    }
}

impl Clock for DialFace {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_micros(self.0.0.load(Ordering::Relaxed))
    }
}

impl<R: Rules> Process<R> {
    /// A program that has just started, with an empty cache.
    pub fn new(
        run: Run,
        clock: Arc<Dial>,
        marks: Arc<Marks<R>>,
        bytes_max: u64,
        port: Arc<Port<R>>,
        obedience: Obedience,
    ) -> Self {
        let cache = Cache::new(bytes_max, marks.clone());
        let introduction = obedience.link().introduction();
        let (id, said) = (introduction.process, introduction.when_isolated);
        let standing = Arc::new(Standing::new(does(said)));
        Self {
            run,
            id,
            marks,
            slots: Slots::default(),
            session: Rc::new(RefCell::new(Session::new(obedience, standing))),
            sweep: Rc::new(RefCell::new(Sweep::new(cache.clone()))),
            beside: Rc::default(),
            cache,
            saver: None,
            save_due: false,
            port,
            clock,
            stream: None,
            read_due: false,
            tick_due: None,
            backoff: Duration::ZERO,
            wanted: None,
            policy: None,
            requests: BTreeMap::new(),
            asking: BTreeMap::new(),
            draining: false,
            obeys: Vec::new(),
            floor_at: Duration::ZERO,
            newest_began: [Duration::ZERO; origin::OBJECTS],
            evicted: 0,
            widened: 0,
            forgotten: 0,
        }
    }

    /// The id of a site under the policy that runs.
    pub fn site(&self, place: usize) -> Option<SiteId> {
        let policy = self.policy.as_ref()?;
        policy.target.sites.get(*SITES.get(place)?).copied()
    }

    /// The history that the ids of that policy are of.
    pub fn history(&self) -> History {
        let policy = self.policy.as_ref();
        policy.map_or_else(History::default, |policy| policy.history)
    }

    /// Whether purges may be missing, as requests ask it.
    pub fn isolated(&self, now: Duration) -> Option<Isolated> {
        self.session.borrow().isolated(now)
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
    /// An edge sweeps.
    pub fn sweep(&mut self, edge: usize, run: Run) {
        let objects = self.random.of(1..40) as usize;
        let pause = self.random.millis(50..1500);
        let Some(process) = self.process(edge, run) else {
            return;
        };
        process.sweep.borrow_mut().step(objects);
        self.put(pause, Event::Sweep(edge, run));
    }

    /// Turns the edge's clock, and lets its other threads come between the steps of what follows.
    pub fn edge_wakes(&mut self, edge: usize) {
        let (now, wall) = (self.now, self.wall(edge));
        let permille = self.plan.rates.interleave;
        let random = self.random.branch();
        let Some(machine) = self.edges.get_mut(edge) else {
            return;
        };
        let by_wall = machine.wall + now;
        let Some(process) = &mut machine.running else {
            return;
        };
        process.clock.turn(by_wall);
        if permille > 0 {
            let others = OtherThreads::of(process, &self.origin, now, wall);
            interleave::begin(Box::new(others), random, permille);
        }
    }

    /// Nobody comes between any more; what came is noted, and carried on.
    pub fn edge_rests(&mut self, edge: usize) {
        let done = interleave::end();
        // Counting looks into every shard: now and then is enough.
        let counts = self.random.permille(30);
        for (act, times) in done.acts() {
            self.faults.add_many(act.fault(), times);
        }
        let Some(process) = self
            .edges
            .get_mut(edge)
            .and_then(|machine| machine.running.as_mut())
        else {
            return;
        };
        let run = process.run;
        if counts {
            let count = process.marks.count();
            let evicted = process.cache.count().evicted;
            let grown = [
                (Fault::Swept, &mut process.forgotten, count.forgotten),
                (Fault::Eviction, &mut process.evicted, evicted),
                (Fault::Widened, &mut process.widened, count.widened),
            ];
            for (fault, known, now) in grown {
                self.faults
                    .add_many(fault, now - std::mem::replace(known, now));
            }
        }
        if done.run == Some(run) {
            self.others_did(edge, run, done);
        } else if self.plan.rates.interleave == 0 {
            self.end_beside(edge, run);
        }
    }

    fn others_did(&mut self, edge: usize, run: Run, done: interleave::Done) {
        let now = self.now;
        if done.has_reset {
            if let Some(process) = self.process(edge, run) {
                process.floor_at = now;
            }
            self.tell("edge resets", &[edge as u64], || {
                format!("edge {edge}: to another log and back")
            });
        }
        for object in done.purged {
            self.local_purged(edge, object);
        }
        for object in done.arrived {
            self.followers_read(edge, run, object);
        }
        for saved in done.saved {
            self.note_saved(edge, run, saved);
        }
        if !done.outcomes.is_empty() {
            self.carry_out(edge, run, done.outcomes);
            self.tick_later(edge, run);
        }
    }

    /// What other threads fetch comes to its end.
    fn end_beside(&mut self, edge: usize, run: Run) {
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let beside = std::mem::take(&mut *process.beside.borrow_mut());
        let cache = process.cache.clone();
        for beside in beside {
            let object = beside.end(&cache);
            self.followers_read(edge, run, object);
        }
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

/// As the gateway's settings say it.
fn does(said: Said) -> WhenIsolated {
    match said {
        Said::Serve => WhenIsolated::Serve,
        Said::Refuse => WhenIsolated::Refuse,
        Said::Revalidate => WhenIsolated::Revalidate,
    }
}
