//! A request's life at an edge: the look-up, the verdict on reuse, the wait for another's fetch, the body.

use super::{Meta, fetch::Held, interleave, key, key_ref};
use crate::{
    event::{Event, FetchId, RequestId, Run},
    faults::Fault,
    oracle::{Given, Source},
    origin::{self, OBJECTS, Object},
    world::World,
};
use latencify_cache::{Arrival, Found, Looked, Reader, Trust, rules::Rules};
use latencify_conf::{
    change::SiteId,
    link::{edge::EdgeLink, message::WhenIsolated},
};
use latencify_decide::freshness::{RequestDirectives, Reuse, reuse};
use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

/// How often a request that waited for another's fetch looks again before it fetches itself.
const LOOKS_MAX: u8 = 3;
/// How long a request waits for another's fetch.
const LOCK_WAIT: Duration = Duration::from_secs(3);

/// A request.
#[derive(Debug)]
pub struct Request {
    /// What it asks for.
    pub object: Object,
    /// The site's id under the policy of when it came.
    pub site: SiteId,
    /// When the client sent it.
    pub sent: Duration,
    arrival: Arrival,
    looks: u8,
    is_unsafe: bool,
    /// What the client demands.
    pub directives: RequestDirectives,
    /// How far it is.
    pub state: State,
}

/// How far a request is.
#[derive(Debug)]
pub enum State {
    /// It is looked at.
    Looking,
    /// It waits for another's fetch.
    Waiting(FetchId),
    /// It waits for the origin's answer.
    Fetching,
    /// Its client reads.
    Reading(Box<Reading>),
}

/// A client that reads.
#[derive(Debug)]
pub struct Reading {
    reader: Reader,
    body: Vec<u8>,
    is_slow: bool,
    given: Given,
}

/// A request on its way to an edge.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// What it asks for.
    pub object: Object,
    /// When the client sent it.
    pub at: Duration,
    /// An unsafe method, which changes the object.
    pub is_unsafe: bool,
}

impl<R: Rules> World<R> {
    /// Somebody asks an edge.
    pub fn ask(&mut self) {
        let edge = self.random.index(self.edges.len());
        let object = self.random.index(OBJECTS).min(self.random.index(OBJECTS));
        let is_unsafe = self.random.permille(self.plan.rates.unsafe_method);
        self.send_request(edge, object, is_unsafe);
        let pause = self
            .random
            .span(Duration::ZERO, self.plan.request_pause * 2);
        if !self.quiet {
            self.put(pause, Event::Ask);
        }
    }

    /// A client sends a request.
    pub fn send_request(&mut self, edge: usize, object: Object, is_unsafe: bool) -> RequestId {
        self.next_request += 1;
        let request = self.next_request;
        let sent = Sent {
            object,
            at: self.now,
            is_unsafe,
        };
        self.sent.insert(request, sent);
        let slow = self.random.permille(20);
        let reaches = if slow {
            self.random.millis(0..3000)
        } else {
            self.random.millis(0..4)
        };
        self.put(reaches, Event::Arrive(edge, request));
        request
    }

    /// A request arrives at an edge.
    pub fn arrive(&mut self, edge: usize, id: RequestId) {
        let Some(sent) = self.sent.remove(&id) else {
            return;
        };
        let directives = RequestDirectives {
            no_cache: self.random.permille(10),
            max_stale: self.random.permille(50).then_some(Duration::from_secs(20)),
            ..RequestDirectives::default()
        };
        let Some(process) = self
            .edges
            .get_mut(edge)
            .and_then(|machine| machine.running.as_mut())
        else {
            return;
        };
        let Some(site) = process
            .site(origin::site_of(sent.object))
            .filter(|_| !process.draining)
        else {
            return;
        };
        let run = process.run;
        let request = Request {
            object: sent.object,
            site,
            sent: sent.at,
            arrival: process.cache.arrive(),
            looks: 0,
            is_unsafe: sent.is_unsafe,
            directives,
            state: State::Looking,
        };
        process.requests.insert(id, request);
        if sent.is_unsafe {
            return self.fetch(edge, run, id, None, None);
        }
        self.look(edge, run, id);
    }

    /// What an edge may believe of its marks for a request, at this moment.
    pub fn trust(&mut self, edge: usize, arrival: Arrival) -> Trust {
        let (now, breaks, lease) = (self.now, self.plan.breaks, self.plan.lease);
        let Some(machine) = self.edges.get(edge) else {
            return Trust::Marks;
        };
        let Some(process) = &machine.running else {
            return Trust::Marks;
        };
        let mut is_isolated = process.obedience.link().isolation(now).is_some();
        if breaks.lease_from_answer {
            is_isolated &= process
                .last_answer
                .is_none_or(|answer| now >= answer + lease);
        }
        if machine.when_isolated == WhenIsolated::Serve || !is_isolated {
            return Trust::Marks;
        }
        self.fault(Fault::Isolated);
        Trust::Isolated(arrival)
    }

    /// Whether receipts bind what an edge answers now: on `serve` one that is cut off makes no promise, and receipts say that it
    /// is missing.
    fn is_bound(&self, edge: usize) -> bool {
        self.edges.get(edge).is_some_and(|machine| {
            let isolation = |link: &EdgeLink| link.isolation(self.now);
            let process = machine.running.as_ref();
            machine.when_isolated != WhenIsolated::Serve
                || process.is_some_and(|process| isolation(process.obedience.link()).is_none())
        })
    }

    /// A request looks, for the first time or again.
    pub fn look(&mut self, edge: usize, run: Run, id: RequestId) {
        let Some(request) = self
            .process(edge, run)
            .and_then(|process| process.requests.get_mut(&id))
        else {
            return;
        };
        request.looks += 1;
        request.state = State::Looking;
        let (arrival, object, site) = (request.arrival, request.object, request.site);
        let directives = request.directives;
        let trust = self.trust(edge, arrival);
        let wall = self.wall(edge);
        let refuses = self
            .edges
            .get(edge)
            .is_some_and(|machine| machine.when_isolated == WhenIsolated::Refuse);
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let key = key(site, object);
        interleave::about(object);
        let found = match process.cache.look_up(key_ref(&key), trust) {
            Looked::Absent => return self.miss(edge, run, id, None),
            Looked::Doubtful(_) if refuses => return self.forget(edge, run, id),
            Looked::Doubtful(found) => return self.miss(edge, run, id, Some(found)),
            Looked::Usable(found) => found,
        };
        let soft = soft_purged(&found);
        match reuse(&found.record.meta.lifetime, soft, &directives, wall) {
            Reuse::Fresh | Reuse::StaleAccepted => self.serve(edge, run, id, found, None),
            Reuse::StaleWhileRevalidate => {
                let asked = process
                    .cache
                    .ask_before_stale(&found.record, found.liveness, trust);
                if asked.is_err() {
                    return self.miss(edge, run, id, Some(found));
                }
                let base = process.cache.find(key_ref(&key));
                self.serve(edge, run, id, found, Some(Source::Stale));
                self.refresh(edge, run, object, site, base);
            }
            Reuse::Revalidate(_) => self.miss(edge, run, id, Some(found)),
        }
    }

    /// Nothing that may be used: fetch, or wait for whoever does.
    fn miss(&mut self, edge: usize, run: Run, id: RequestId, base: Option<Found<Meta>>) {
        let next_fetch = self.next_fetch + 1;
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(request) = process.requests.get(&id) else {
            return;
        };
        let key = key(request.site, request.object);
        if request.looks > LOOKS_MAX
            || (base.is_none() && process.cache.is_uncacheable(key_ref(&key)))
        {
            return self.fetch(edge, run, id, base, None);
        }
        let path = origin::path_of(request.object);
        let slot = process
            .marks
            .slot(key_ref(&key).to_key(), request.site, path);
        let asking = &process.asking;
        let turn = process.slots.join_or_lead(
            slot,
            |leader| asking.contains_key(leader).then_some(Err(*leader)),
            |slot, ticket| {
                (
                    next_fetch,
                    Ok(Held {
                        key: slot.key.clone(),
                        ticket,
                    }),
                )
            },
        );
        match turn {
            Ok(held) => self.fetch(edge, run, id, base, Some(held)),
            Err(leader) => self.wait(edge, run, id, leader),
        }
    }

    fn wait(&mut self, edge: usize, run: Run, id: RequestId, leader: FetchId) {
        let Some(process) = self.process(edge, run) else {
            return;
        };
        if let Some(request) = process.requests.get_mut(&id) {
            request.state = State::Waiting(leader);
        }
        if let Some(asking) = process.asking.get_mut(&leader) {
            asking.waiters.push(id);
        }
        self.fault(Fault::Waited);
        self.put(LOCK_WAIT, Event::GiveUp(edge, run, id, leader));
    }

    /// A request has waited long enough: it fetches itself, and nobody waits for that.
    pub fn give_up(&mut self, edge: usize, run: Run, id: RequestId, leader: FetchId) {
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let waits = process.requests.get(&id).is_some_and(
            |request| matches!(request.state, State::Waiting(waits) if waits == leader),
        );
        if waits {
            self.fetch(edge, run, id, None, None);
        }
    }

    /// A request that waited looks again.
    pub fn look_again(&mut self, edge: usize, run: Run, id: RequestId) {
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let waits = process
            .requests
            .get(&id)
            .is_some_and(|request| matches!(request.state, State::Waiting(_)));
        if waits {
            self.look(edge, run, id);
        }
    }

    /// The client gets what was found; from now on it reads.
    pub fn serve(
        &mut self,
        edge: usize,
        run: Run,
        id: RequestId,
        found: Found<Meta>,
        source: Option<Source>,
    ) {
        let is_slow = self.random.permille(50);
        let now = self.now;
        let is_bound = self.is_bound(edge);
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let stored = if found.is_filling() {
            Source::Followed
        } else {
            Source::Stored
        };
        let obeys = process.obeys.len();
        let floor_at = process.floor_at;
        let object = process
            .requests
            .get(&id)
            .map_or(0, |request| request.object);
        let began = found.record.meta.began;
        let mut newest = Duration::ZERO;
        if let Some(known) = process.newest_began.get_mut(object) {
            newest = *known;
            if source.is_none() && stored == Source::Stored {
                *known = newest.max(began);
            }
        }
        let Some(request) = process.requests.get_mut(&id) else {
            return;
        };
        let given = Given {
            source: source.unwrap_or(stored),
            sent: request.sent,
            decided: now,
            is_bound,
            floor_at,
            obeys,
            began,
            newest,
        };
        request.state = State::Reading(Box::new(Reading {
            reader: found.reader,
            body: Vec::new(),
            is_slow,
            given,
        }));
        self.read_on(edge, run, id);
    }

    /// The client reads what there is.
    pub fn read_on(&mut self, edge: usize, run: Run, id: RequestId) {
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(request) = process.requests.get_mut(&id) else {
            return;
        };
        let State::Reading(reading) = &mut request.state else {
            return;
        };
        let mut context = Context::from_waker(Waker::noop());
        let ended = loop {
            let read = std::pin::pin!(reading.reader.read());
            match read.poll(&mut context) {
                Poll::Pending => return,
                Poll::Ready(Ok(Some(piece))) => {
                    reading.body.extend_from_slice(&piece);
                    if reading.is_slow {
                        break None;
                    }
                }
                Poll::Ready(Ok(None)) => break Some(true),
                Poll::Ready(Err(_)) => break Some(false),
            }
        };
        let Some(is_whole) = ended else {
            return self.read_later(edge, run, id);
        };
        let (object, body, given) = (
            request.object,
            std::mem::take(&mut reading.body),
            reading.given,
        );
        process.requests.remove(&id);
        if is_whole {
            self.given(edge, run, id, object, &body, given);
        }
    }

    /// Everybody who follows a body reads what there is.
    pub fn followers_read(&mut self, edge: usize, run: Run, object: Object) {
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let reading = process.requests.iter().filter(|(_, request)| {
            request.object == object
                && matches!(&request.state, State::Reading(reading) if !reading.is_slow)
        });
        for id in reading.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.read_on(edge, run, id);
        }
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let slow = process.requests.iter().filter(|(_, request)| {
            request.object == object && matches!(&request.state, State::Reading(_))
        });
        for id in slow.map(|(id, _)| *id).collect::<Vec<_>>() {
            let later = self.random.millis(10..800);
            self.put(later, Event::ReadOn(edge, run, id));
        }
    }

    fn read_later(&mut self, edge: usize, run: Run, id: RequestId) {
        let later = self.random.millis(10..800);
        self.put(later, Event::ReadOn(edge, run, id));
    }

    /// The client has all of a body.
    fn given(
        &mut self,
        edge: usize,
        run: Run,
        id: RequestId,
        object: Object,
        body: &[u8],
        given: Given,
    ) {
        let Some((said, version)) = origin::read(body) else {
            return self.violate("whole_body", || {
                format!("request {id} got no whole body of one version")
            });
        };
        if said != object {
            return self.violate("whole_body", || {
                format!("request {id} for {object} got {said}")
            });
        }
        self.tell("answered", &[edge as u64, id, version], || {
            let (site, path) = (origin::site_of(object), origin::path_of(object));
            format!(
                "edge {edge}: request {id} of {} for {site}:{path}: version {version}, {:?}",
                given.sent.as_secs_f64(),
                given.source
            )
        });
        self.check_given(edge, run, object, version, &given);
    }

    /// A client gets an answer straight from the origin.
    pub fn given_directly(&mut self, edge: usize, run: Run, id: RequestId, version: u64) {
        let now = self.now;
        let is_bound = self.is_bound(edge);
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(request) = process.requests.remove(&id) else {
            return;
        };
        let given = Given {
            source: Source::Fetched,
            sent: request.sent,
            decided: now,
            is_bound,
            floor_at: Duration::ZERO,
            obeys: 0,
            began: Duration::ZERO,
            newest: Duration::ZERO,
        };
        self.check_given(edge, run, request.object, version, &given);
    }

    /// The request is over without a body.
    pub fn forget(&mut self, edge: usize, run: Run, id: RequestId) {
        if let Some(process) = self.process(edge, run) {
            process.requests.remove(&id);
        }
    }

    /// Whether an unsafe method is what it is.
    pub fn is_unsafe(&mut self, edge: usize, run: Run, id: RequestId) -> bool {
        self.process(edge, run)
            .and_then(|process| process.requests.get(&id))
            .is_some_and(|request| request.is_unsafe)
    }

    /// What a request may believe now.
    pub fn trust_of(&mut self, edge: usize, run: Run, id: RequestId) -> Trust {
        let arrival = self
            .process(edge, run)
            .and_then(|process| process.requests.get(&id))
            .map(|request| request.arrival);
        arrival.map_or(Trust::Marks, |arrival| self.trust(edge, arrival))
    }
}

/// Since when what was found is stale by a soft purge.
pub fn soft_purged(found: &Found<Meta>) -> Option<std::time::SystemTime> {
    match found.liveness {
        latencify_cache::Liveness::SoftPurged { since } => Some(since),
        _ => None,
    }
}
