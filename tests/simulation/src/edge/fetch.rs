//! A question to the origin and what comes of its answer.

use super::{
    Meta, key, key_ref,
    request::{State, soft_purged},
};
use crate::{
    event::{Event, FetchId, RequestId, Run},
    faults::Fault,
    oracle::Source,
    origin::{self, Object},
    world::World,
};
use bytes::Bytes;
use latencify_cache::{Expectation, Fetching, Found, Identity, Key, Record, Writer, rules::Rules};
use latencify_conf::change::SiteId;
use latencify_decide::freshness::{Lifetime, LifetimeSource, OnError, RequestDirectives, on_error};
use std::{sync::Arc, time::Duration};

/// A slot that is led.
#[derive(Debug)]
pub struct Held {
    /// Whose.
    pub key: Key,
    /// To leave it with.
    pub ticket: u64,
}

/// A question to the origin.
pub struct Asking<R: Rules> {
    object: Object,
    site: SiteId,
    /// Who brings the answer to its client; none: a refresh in the background.
    request: Option<RequestId>,
    fetching: Option<Fetching>,
    began: Duration,
    /// What is validated.
    base: Option<Found<Meta>>,
    is_validation: bool,
    held: Option<Held>,
    /// Who waits for it.
    pub waiters: Vec<RequestId>,
    writer: Option<Writer<Meta, R>>,
    body: Bytes,
    sent: usize,
    version: u64,
    breaks_at: Option<usize>,
}

/// What the origin says.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Nothing: it can't be reached, or says 503.
    Failed,
    /// What is stored still holds.
    NotModified {
        /// For how long.
        windows: Windows,
        /// When it said so.
        version: u64,
    },
    /// A body.
    Full {
        /// The version.
        version: u64,
        /// How long the body is, in words.
        words: u64,
        /// Whether the head says how long.
        announced: bool,
        /// For how long it serves; none: it is not to be stored.
        windows: Option<Windows>,
    },
}

/// For how long a response serves.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    fresh: Duration,
    while_revalidate: Duration,
    on_error: Duration,
    must_revalidate: bool,
}

impl<R: Rules> World<R> {
    /// Asks the origin, for a request.
    pub fn fetch(
        &mut self,
        edge: usize,
        run: Run,
        id: RequestId,
        base: Option<Found<Meta>>,
        held: Option<Held>,
    ) {
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(request) = process.requests.get_mut(&id) else {
            return;
        };
        request.state = State::Fetching;
        let (object, site) = (request.object, request.site);
        self.ask_origin(edge, run, object, site, Some(id), base, held);
    }

    /// Asks the origin behind a stale answer, unless somebody does.
    pub fn refresh(
        &mut self,
        edge: usize,
        run: Run,
        object: Object,
        site: SiteId,
        base: Option<Found<Meta>>,
    ) {
        let next_fetch = self.next_fetch + 1;
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let key = key_ref(&key(site, object)).to_key();
        let slot = process.marks.slot(key, site, origin::path_of(object));
        let asking = &process.asking;
        let held = process.slots.join_or_lead(
            slot,
            |leader| asking.contains_key(leader).then_some(None),
            |slot, ticket| {
                (
                    next_fetch,
                    Some(Held {
                        key: slot.key.clone(),
                        ticket,
                    }),
                )
            },
        );
        if held.is_some() {
            self.fault(Fault::BackgroundRefresh);
            self.ask_origin(edge, run, object, site, None, base, held);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn ask_origin(
        &mut self,
        edge: usize,
        run: Run,
        object: Object,
        site: SiteId,
        request: Option<RequestId>,
        base: Option<Found<Meta>>,
        held: Option<Held>,
    ) {
        self.next_fetch += 1;
        let (id, now) = (self.next_fetch, self.now);
        let slow = self.random.permille(self.plan.rates.slow_question);
        let reaches = if slow {
            self.random.millis(0..4000)
        } else {
            self.random.millis(0..10)
        };
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let fetching = process.cache.begin_fetch();
        // After the stamp: whatever is purged from here on is newer than it, and takes what comes back as well.
        let is_validation = base.as_ref().is_some_and(|base| {
            !base.is_filling() && !base.record.liveness(&process.marks).is_dead()
        });
        let generation = fetching.generation;
        let asking = Asking {
            object,
            site,
            request,
            fetching: Some(fetching),
            began: now,
            base,
            is_validation,
            held,
            waiters: Vec::new(),
            writer: None,
            body: Bytes::new(),
            sent: 0,
            version: 0,
            breaks_at: None,
        };
        process.asking.insert(id, asking);
        self.tell("fetch begins", &[edge as u64, id, generation], || {
            let path = origin::path_of(object);
            format!("edge {edge}: fetch {id} of {path}, generation {generation}, validates: {is_validation}")
        });
        self.put(reaches, Event::OriginGets(edge, run, id));
    }

    /// A question arrives at the origin.
    pub fn origin_gets(&mut self, edge: usize, run: Run, id: FetchId) {
        let Some(asking) = self
            .process(edge, run)
            .and_then(|process| process.asking.get(&id))
        else {
            return;
        };
        let object = asking.object;
        let known = asking
            .base
            .as_ref()
            .filter(|_| asking.is_validation)
            .map(|base| base.record.meta.version);
        let is_unsafe = asking
            .request
            .is_some_and(|request| self.is_unsafe(edge, run, request));
        if is_unsafe {
            self.publish(object);
        }
        let windows = self.windows();
        let version = self.origin.now(object);
        let answer = if self.now < self.origin.down_until || self.random.permille(10) {
            self.fault(Fault::OriginDown);
            Answer::Failed
        } else if known == Some(version) {
            Answer::NotModified { windows, version }
        } else {
            Answer::Full {
                version,
                words: self.random.of(1..self.plan.body_words),
                announced: self.random.permille(600),
                windows: (!is_unsafe && !self.random.permille(20)).then_some(windows),
            }
        };
        let slow = self.random.permille(self.plan.rates.slow_answer);
        let reaches = if slow {
            self.random.millis(0..6000)
        } else {
            self.random.millis(0..30)
        };
        self.put(reaches, Event::Head(edge, run, id, answer));
    }

    fn windows(&mut self) -> Windows {
        Windows {
            fresh: self.random.millis(0..20_000),
            while_revalidate: if self.random.permille(500) {
                self.random.millis(0..20_000)
            } else {
                Duration::ZERO
            },
            on_error: if self.random.permille(500) {
                self.random.millis(0..40_000)
            } else {
                Duration::ZERO
            },
            must_revalidate: self.random.permille(100),
        }
    }

    /// The origin's answer begins to arrive.
    pub fn head(&mut self, edge: usize, run: Run, id: FetchId, answer: Answer) {
        match answer {
            Answer::Failed => self.origin_failed(edge, run, id),
            Answer::NotModified { windows, version } => {
                self.not_modified(edge, run, id, windows, version);
            }
            Answer::Full {
                version,
                words,
                announced,
                windows,
            } => {
                self.full(edge, run, id, version, words, announced, windows);
            }
        }
    }

    /// The slot is free, and who waited looks again.
    fn release(&mut self, edge: usize, run: Run, id: FetchId) {
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(asking) = process.asking.get_mut(&id) else {
            return;
        };
        let waiters = std::mem::take(&mut asking.waiters);
        if let Some(held) = asking.held.take() {
            process.slots.leave(&held.key, held.ticket);
        }
        for waiter in waiters {
            let wakes = self.random.millis(0..20);
            self.put(wakes, Event::LookAgain(edge, run, waiter));
        }
    }

    fn origin_failed(&mut self, edge: usize, run: Run, id: FetchId) {
        self.release(edge, run, id);
        let wall = self.wall(edge);
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(asking) = process.asking.remove(&id) else {
            return;
        };
        let Some(request) = asking.request else {
            return;
        };
        let trust = self.trust_of(edge, run, request);
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let directives = process
            .requests
            .get(&request)
            .map_or_else(RequestDirectives::default, |asked| asked.directives);
        let may = |base: &Found<Meta>| {
            let lifetime = &base.record.meta.lifetime;
            on_error(lifetime, soft_purged(base), &directives, wall) == OnError::ServeStale
                && process
                    .cache
                    .ask_before_stale(&base.record, base.liveness, trust)
                    .is_ok()
        };
        match asking.base.filter(may) {
            Some(base) => self.serve(edge, run, request, base, Some(Source::StaleOnError)),
            None => self.forget(edge, run, request),
        }
    }

    fn lifetime(&self, edge: usize, windows: Windows) -> Lifetime {
        Lifetime {
            born: self.wall(edge),
            fresh: windows.fresh,
            stale_while_revalidate: windows.while_revalidate,
            stale_if_error: windows.on_error,
            always_revalidate: false,
            must_revalidate: windows.must_revalidate,
            source: LifetimeSource::MaxAge,
        }
    }

    fn not_modified(&mut self, edge: usize, run: Run, id: FetchId, windows: Windows, version: u64) {
        let lifetime = self.lifetime(edge, windows);
        let tags = |object| self.origin.tags(object, version);
        let tags = self
            .edges
            .get(edge)
            .and_then(|machine| machine.running.as_ref()?.asking.get(&id))
            .map_or(0, |asking| tags(asking.object));
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(asking) = process.asking.get_mut(&id) else {
            return;
        };
        let (Some(base), Some(fetching)) = (asking.base.take(), asking.fetching.take()) else {
            return;
        };
        let mut identity = base.record.identity.clone();
        identity.tags = identity
            .tags
            .iter()
            .cloned()
            .chain(
                origin::names(tags)
                    .filter(|name| !identity.tags.iter().any(|tag| **tag == **name))
                    .map(Box::from),
            )
            .collect();
        let meta = Meta {
            lifetime,
            version,
            began: asking.began,
        };
        let record = Record::of_validation(&base.record, identity, *fetching, meta);
        let key = key(asking.site, asking.object);
        let request = asking.request;
        let renewed = process.cache.revalidate(key_ref(&key), record);
        drop(fetching);
        if renewed.is_err() {
            self.fault(Fault::Late304);
        }
        self.release(edge, run, id);
        let Some(process) = self.process(edge, run) else {
            return;
        };
        process.asking.remove(&id);
        if let Some(request) = request {
            self.serve(edge, run, request, base, Some(Source::Revalidated));
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn full(
        &mut self,
        edge: usize,
        run: Run,
        id: FetchId,
        version: u64,
        words: u64,
        announced: bool,
        windows: Option<Windows>,
    ) {
        let lifetime = windows.map(|windows| self.lifetime(edge, windows));
        let slow_fill = self.random.permille(self.plan.rates.slow_fill);
        let breaks = self.random.permille(self.plan.rates.fill_broken);
        let breaks_at = breaks.then(|| self.random.of(0..words) as usize * 8);
        let tags = {
            let asking = self
                .edges
                .get(edge)
                .and_then(|machine| machine.running.as_ref()?.asking.get(&id));
            asking.map_or(0, |asking| self.origin.tags(asking.object, version))
        };
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(asking) = process.asking.get_mut(&id) else {
            return;
        };
        asking.base = None;
        let (object, request) = (asking.object, asking.request);
        let key = key(asking.site, object);
        let Some(lifetime) = lifetime else {
            process
                .cache
                .remember_uncacheable(key_ref(&key), Duration::from_secs(1));
            return self.pass(edge, run, id, version);
        };
        let identity = Identity {
            site: asking.site,
            path: Arc::from(origin::path_of(object)),
            tags: origin::names(tags).map(Box::from).collect(),
        };
        let body = origin::body(object, version, words);
        let Some(fetching) = asking.fetching.take() else {
            return;
        };
        let meta = Meta {
            lifetime,
            version,
            began: asking.began,
        };
        let record = Record::of_fetch(identity, *fetching, meta);
        let expectation = Expectation {
            bytes: announced.then_some(body.len() as u64),
            bytes_max: 1 << 20,
        };
        let Ok(writer) = process.cache.fill(key_ref(&key), record, expectation) else {
            return self.pass(edge, run, id, version);
        };
        let fill = writer.id();
        asking.writer = Some(writer);
        drop(fetching);
        asking.body = body;
        asking.version = version;
        asking.breaks_at = breaks_at;
        let own = process.cache.follow(key_ref(&key), fill);
        self.release(edge, run, id);
        if let (Some(request), Some(own)) = (request, own) {
            self.serve(edge, run, request, own, Some(Source::Fetched));
        }
        let next = if slow_fill {
            self.random.millis(100..2500)
        } else {
            self.random.millis(0..10)
        };
        if slow_fill {
            self.fault(Fault::SlowFill);
        }
        self.put(next, Event::Piece(edge, run, id));
    }

    /// The answer passes through unstored.
    fn pass(&mut self, edge: usize, run: Run, id: FetchId, version: u64) {
        self.release(edge, run, id);
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(asking) = process.asking.remove(&id) else {
            return;
        };
        let Some(request) = asking.request else {
            return;
        };
        let is_unsafe = self.is_unsafe(edge, run, request);
        if is_unsafe {
            self.invalidate(edge, run, asking.site, asking.object);
        }
        self.given_directly(edge, run, request, version);
    }

    /// RFC 9111 §4.4, as the shipped phase does it.
    fn invalidate(&mut self, edge: usize, run: Run, site: SiteId, object: Object) {
        let Some(process) = self.process(edge, run) else {
            return;
        };
        process.marks.local_purge(
            &super::url(site, object),
            latencify_conf::change::Mode::Hard,
        );
        self.local_purged(edge, object);
    }

    /// A piece of a body arrives.
    pub fn piece(&mut self, edge: usize, run: Run, id: FetchId) {
        let size = self.random.of(1..400) as usize;
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(asking) = process.asking.get_mut(&id) else {
            return;
        };
        let Some(writer) = &mut asking.writer else {
            return;
        };
        let (object, from) = (asking.object, asking.sent);
        let is_broken = asking.breaks_at.is_some_and(|at| from >= at);
        let to = (from + size).min(asking.body.len());
        asking.sent = to;
        let goes_on = !is_broken && writer.write(&asking.body.slice(from..to)).is_ok();
        let is_whole = to == asking.body.len();
        if goes_on && !is_whole {
            let slow = self.random.permille(self.plan.rates.slow_fill);
            let next = if slow {
                self.random.millis(100..2500)
            } else {
                self.random.millis(0..10)
            };
            self.put(next, Event::Piece(edge, run, id));
        } else {
            let asking = process.asking.remove(&id);
            let writer = asking.and_then(|asking| asking.writer);
            if goes_on {
                let stored = writer.map(Writer::finish);
                self.tell("fill ends", &[edge as u64, id], || {
                    format!("edge {edge}: fetch {id}: {stored:?}")
                });
            } else {
                drop(writer);
                self.fault(Fault::FillBroken);
            }
        }
        self.followers_read(edge, run, object);
    }
}
