//! A request looks: what was found, what it may be used for, and who fetches when it may not.

use super::{
    Meta,
    fetch::{Held, Named},
    interleave, key, key_ref,
    request::State,
};
use crate::{
    event::{Event, FetchId, RequestId, Run},
    faults::Fault,
    oracle::Source,
    origin,
    world::World,
};
use latencify_cache::{Found, Liveness, rules::Rules};
use latencify_decide::freshness::Reuse;
use latencify_gateway::{
    fleet::Isolated,
    verdict::{self, Use},
};
use std::time::{Duration, SystemTime};

/// How often a request that waited for another's fetch looks again before it fetches itself.
const LOOKS_MAX: u8 = 3;
/// How long a request waits for another's fetch.
const LOCK_WAIT: Duration = Duration::from_secs(3);

/// What was found, and what is known of it by now.
#[derive(Debug)]
pub struct Base {
    /// What was found.
    pub found: Found<Meta>,
    /// Since when it is stale by a soft purge, as last judged.
    pub soft_purged: Option<SystemTime>,
    /// Nothing stale answers in place of the origin: isolation closed its windows.
    pub is_closed: bool,
}

impl Base {
    /// As the look-up found it.
    pub fn of(found: Found<Meta>) -> Self {
        let soft_purged = match found.liveness {
            Liveness::SoftPurged { since } => Some(since),
            Liveness::Live | Liveness::Dead(_) => None,
        };
        Self {
            found,
            soft_purged,
            is_closed: false,
        }
    }
}

impl<R: Rules> World<R> {
    /// A request looks, for the first time or again. Between what it finds and what it may do with that, its thread may be held
    /// up for any time.
    pub fn look(&mut self, edge: usize, run: Run, id: RequestId) {
        let is_held_up = self.random.permille(self.plan.rates.interleave / 4);
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(request) = process.requests.get_mut(&id) else {
            return;
        };
        request.looks += 1;
        request.state = State::Looking;
        let key = key(request.site, request.object);
        interleave::about(request.object);
        let Some(found) = process.cache.find(key_ref(&key)) else {
            return self.miss(edge, run, id, None);
        };
        let newest = process.newest_began.get(request.object);
        request.newest = newest.copied().unwrap_or_default();
        request.state = State::Found(Box::new(Base::of(found)));
        if is_held_up {
            self.fault(Fault::HeldUp);
            let later = self.random.millis(0..2000);
            return self.put(later, Event::GoOn(edge, run, id));
        }
        self.weigh(edge, run, id);
    }

    /// What was found is judged, by what the gateway's phases ask.
    pub fn weigh(&mut self, edge: usize, run: Run, id: RequestId) {
        let (now, wall) = (self.now, self.wall(edge));
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(request) = process.requests.get_mut(&id) else {
            return;
        };
        let mut base = match std::mem::replace(&mut request.state, State::Looking) {
            State::Found(base) => *base,
            other => {
                request.state = other;
                return;
            }
        };
        interleave::about(request.object);
        let (asked, record) = (request.asked(wall), &base.found.record);
        let (session, mut is_doubted) = (&process.session, false);
        let verdict = verdict::judge(&process.cache, record, &record.meta.lifetime, asked, || {
            let isolated = session.borrow().isolated(now);
            is_doubted = isolated.is_some_and(Isolated::doubts);
            isolated
        });
        if is_doubted {
            self.fault(Fault::Isolated);
        }
        let Some(verdict) = verdict else {
            return self.miss(edge, run, id, None);
        };
        base.soft_purged = verdict.soft_purged;
        base.is_closed = verdict.isolated.is_some_and(Isolated::doubts);
        match verdict.lets() {
            Use::Answer => self.serve(edge, run, id, base.found, None),
            Use::Refuse => self.forget(edge, run, id),
            Use::Stale if verdict.reuse == Reuse::StaleWhileRevalidate => {
                self.serve_stale(edge, run, id, base);
            }
            Use::Stale | Use::Validate => self.miss(edge, run, id, Some(base)),
        }
    }

    /// What is stale answers, if it still may, and is refreshed behind the answer.
    fn serve_stale(&mut self, edge: usize, run: Run, id: RequestId, base: Base) {
        let asked = self.ask_before_stale(edge, run, id, &base);
        if let Err(isolated) = asked {
            return if isolated.is_some_and(Isolated::refuses) {
                self.forget(edge, run, id);
            } else {
                self.miss(edge, run, id, Some(base));
            };
        }
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(request) = process.requests.get(&id) else {
            return;
        };
        let named = Named {
            object: request.object,
            site: request.site,
            arrival: request.arrival,
        };
        let found = process.cache.find(key_ref(&named.key()));
        self.serve(edge, run, id, base.found, Some(Source::Stale));
        self.refresh(edge, run, named, found.map(Base::of));
    }

    /// Whether something stale may be served after all; if not, whether isolation says so.
    pub fn ask_before_stale(
        &mut self,
        edge: usize,
        run: Run,
        id: RequestId,
        base: &Base,
    ) -> Result<(), Option<Isolated>> {
        let now = self.now;
        let process = self.process(edge, run).ok_or(None)?;
        let arrival = process.requests.get(&id).ok_or(None)?.arrival;
        let (found, session) = (&base.found, &process.session);
        let isolated = || session.borrow().isolated(now);
        let asked = verdict::ask_before_stale(
            &process.cache,
            &found.record,
            found.liveness,
            arrival,
            isolated,
        );
        asked.map(drop).map_err(|barred| barred.isolated)
    }

    /// Nothing that may be used: fetch, or wait for whoever does.
    fn miss(&mut self, edge: usize, run: Run, id: RequestId, base: Option<Base>) {
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
        // Nothing of it will be stored: it meets nobody.
        if !process.marks.is_of(request.arrival.history()) {
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
}
