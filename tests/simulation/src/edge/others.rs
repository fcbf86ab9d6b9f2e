//! What other threads of an edge's program do while one is in the engine.

use super::{
    Meta, Process,
    interleave::{Act, Done, Others},
    key, key_ref,
    session::Session,
    url,
};
use crate::{
    event::Run,
    origin::{self, OBJECTS, Object, Origin, SITES},
    random::Random,
    saving::Saver,
};
use bytes::Bytes;
use latencify_cache::{
    Arrival, Cache, Expectation, Fetching, History, Identity, Record, Sweep, Writer, rules::Rules,
};
use latencify_conf::{
    change::{Epoch, LogId, Mode, Position, SiteId},
    digest::Digest,
};
use latencify_decide::freshness::{Lifetime, LifetimeSource};
use latencify_gateway::fleet::obey::{Outcome, Wanted};
use std::{
    array,
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};
use uuid::Uuid;

/// So many fetches of others are under way at most.
const BESIDE_MAX: usize = 3;
/// The most words of a body that they bring.
const WORDS_MAX: u64 = 12;

/// The other threads of a run.
pub struct OtherThreads<R: Rules> {
    run: Run,
    cache: Arc<Cache<Meta, R>>,
    session: Rc<RefCell<Session>>,
    sweep: Rc<RefCell<Sweep<Meta, R>>>,
    beside: Rc<RefCell<Vec<Beside<R>>>>,
    sites: [Option<SiteId>; SITES.len()],
    /// The origin's versions, and their tags.
    versions: [(u64, u8); OBJECTS],
    now: Duration,
    wall: SystemTime,
    saver: Option<Rc<RefCell<Saver>>>,
    /// The policy that the edge wants.
    wanted: Option<Wanted>,
    /// As its requests come.
    arrival: Arrival,
    /// The marks are on another log: where they go back to.
    home: Option<Home>,
}

/// Where the marks were.
struct Home {
    position: Position,
    history: History,
}

/// What another thread fetches.
pub struct Beside<R: Rules> {
    object: Object,
    brings: Brings<R>,
}

enum Brings<R: Rules> {
    Body {
        writer: Writer<Meta, R>,
        rest: Bytes,
    },
    NotModified {
        key: Vec<u8>,
        record: Record<Meta>,
        fetching: Fetching,
    },
}

impl<R: Rules> Beside<R> {
    /// All of it has arrived, and is stored if it may be.
    pub fn end(self, cache: &Cache<Meta, R>) -> Object {
        match self.brings {
            Brings::Body { mut writer, rest } => {
                if writer.write(&rest).is_ok() {
                    let _ = writer.finish();
                }
            }
            Brings::NotModified {
                key,
                record,
                fetching,
            } => {
                let _ = cache.revalidate(key_ref(&key), record);
                drop(fetching);
            }
        }
        self.object
    }
}

impl<R: Rules> OtherThreads<R> {
    /// Of this program, now.
    pub fn of(process: &Process<R>, origin: &Origin, now: Duration, wall: SystemTime) -> Self {
        Self {
            run: process.run,
            cache: process.cache.clone(),
            session: process.session.clone(),
            sweep: process.sweep.clone(),
            beside: process.beside.clone(),
            sites: array::from_fn(|place| process.site(place)),
            versions: array::from_fn(|object| {
                let version = origin.now(object);
                (version, origin.tags(object, version))
            }),
            now,
            wall,
            saver: process.saver.clone(),
            wanted: process.wanted.clone(),
            arrival: process.cache.arrive_under(process.history()),
            home: None,
        }
    }

    fn site(&self, object: Object) -> Option<SiteId> {
        self.sites.get(origin::site_of(object)).copied().flatten()
    }

    fn look(&self, site: SiteId, object: Object) -> bool {
        drop(self.cache.find(key_ref(&key(site, object))));
        true
    }

    fn purge(&self, site: SiteId, object: Object, done: &mut Done) -> bool {
        let marks = self.cache.marks();
        let target = marks.named(url(site, object), self.arrival.history());
        marks.local_purge(&target, Mode::Hard);
        done.purged.push(object);
        true
    }

    fn turn(&self, done: &mut Done) -> bool {
        let Ok(mut session) = self.session.try_borrow_mut() else {
            return false;
        };
        if self.home.is_some() || session.inbox.is_empty() {
            return false;
        }
        done.outcomes.extend(session.turn(self.now));
        true
    }

    fn reset(&mut self, random: &mut Random, done: &mut Done) -> bool {
        let Ok(session) = self.session.try_borrow() else {
            return false;
        };
        let Some(home) = session.obedience.link().obeyed() else {
            return false;
        };
        drop(session);
        let marks = self.cache.marks();
        if self.home.is_some() {
            self.go_home(done);
        } else {
            let history = marks.history();
            let (log, epoch) = (random.draw(), random.below(2 * home.epoch.0 + 2));
            marks.raise_floor(&Position {
                log: LogId(Uuid::from_u128(u128::from(log))),
                epoch: Epoch(epoch),
                hash: Digest::of_parts([&log.to_be_bytes()[..]]),
            });
            self.home = Some(Home {
                position: home,
                history,
            });
        }
        done.has_reset = true;
        true
    }

    fn step(&self, random: &mut Random) -> bool {
        let Ok(mut sweep) = self.sweep.try_borrow_mut() else {
            return false;
        };
        sweep.step(random.of(1..40) as usize);
        true
    }

    fn save(&self, done: &mut Done) -> bool {
        let saver = self.saver.as_ref().filter(|_| self.home.is_none());
        let Some(Ok(mut saver)) = saver.map(|saver| saver.try_borrow_mut()) else {
            return false;
        };
        done.saved.push(saver.save(self.now));
        true
    }

    fn fill(&self, site: SiteId, object: Object, random: &mut Random, done: &mut Done) -> bool {
        let under_way = self.beside.borrow().len();
        if under_way < BESIDE_MAX && random.permille(500) {
            return self.begin(site, object, random, done);
        }
        if under_way == 0 {
            return false;
        }
        let beside = self
            .beside
            .borrow_mut()
            .swap_remove(random.index(under_way));
        done.arrived.push(beside.end(&self.cache));
        true
    }

    fn begin(&self, site: SiteId, object: Object, random: &mut Random, done: &mut Done) -> bool {
        let key = key(site, object);
        let &(version, tags) = self.versions.get(object).unwrap_or(&(0, 0));
        let base = self.cache.find(key_ref(&key));
        let Some(fetching) = self.cache.begin_fetch_for(self.arrival) else {
            return true;
        };
        let meta = Meta {
            lifetime: self.lifetime(random),
            version,
            began: self.now,
        };
        let validated = base.filter(|base| {
            !base.is_filling()
                && base.record.meta.version == version
                && !base.record.liveness(self.cache.marks()).is_dead()
        });
        let brings = if let Some(base) = validated {
            let identity = base.record.identity();
            let record = Record::of_validation(&base.record, identity, *fetching, meta);
            Brings::NotModified {
                key,
                record,
                fetching,
            }
        } else {
            let identity = Identity {
                site,
                path: Arc::from(origin::path_of(object)),
                tags: origin::names(tags).map(Box::from).collect(),
            };
            let record = Record::of_fetch(identity, *fetching, meta);
            let body = origin::body(object, version, random.of(1..WORDS_MAX));
            let expectation = Expectation {
                bytes: random.permille(500).then_some(body.len() as u64),
                bytes_max: 1 << 20,
            };
            let Ok(mut writer) = self.cache.fill(key_ref(&key), record, expectation) else {
                return true;
            };
            let rest = body.slice(8..);
            if writer.write(&body.slice(..8)).is_err() {
                return true;
            }
            Brings::Body { writer, rest }
        };
        self.beside.borrow_mut().push(Beside { object, brings });
        done.arrived.push(object);
        true
    }

    fn lifetime(&self, random: &mut Random) -> Lifetime {
        Lifetime {
            born: self.wall,
            fresh: random.millis(0..20_000),
            stale_while_revalidate: random.millis(0..10_000),
            stale_if_error: random.millis(0..10_000),
            always_revalidate: false,
            immutable: false,
            must_revalidate: false,
            source: LifetimeSource::MaxAge,
        }
    }
}

impl<R: Rules> Others for OtherThreads<R> {
    fn act(&mut self, act: Act, object: Object, random: &mut Random, done: &mut Done) -> bool {
        done.run = Some(self.run);
        match (act, self.site(object)) {
            (Act::Turn, _) => self.turn(done),
            (Act::Reset, _) => self.reset(random, done),
            (Act::Sweep, _) => self.step(random),
            (Act::Save, _) => self.save(done),
            (_, None) => false,
            (Act::Look, Some(site)) => self.look(site, object),
            (Act::Purge, Some(site)) => self.purge(site, object, done),
            (Act::Fill, Some(site)) => self.fill(site, object, random, done),
        }
    }

    fn go_home(&mut self, done: &mut Done) {
        let Some(home) = self.home.take() else {
            return;
        };
        let marks = self.cache.marks();
        marks.raise_floor(&home.position);
        // Control names its target again on the stream that welcomed the edge home.
        let told = done
            .outcomes
            .iter()
            .rev()
            .find_map(|outcome| match outcome {
                Outcome::Want(wanted) => Some(wanted.clone()),
                _ => None,
            });
        let wanted = told.or(self.wanted.clone());
        if let Some(wanted) = wanted.filter(|wanted| wanted.history == home.history) {
            done.outcomes.push(Outcome::Want(Wanted {
                history: marks.history(),
                ..wanted
            }));
        }
    }
}
