//! A question to the origin: for a request, or behind a stale answer.

use super::{body::Arriving, key, key_ref, look::Base, request::State};
use crate::{
    event::{Event, FetchId, RequestId, Run},
    faults::Fault,
    origin::{self, Object},
    world::World,
};
use latencify_cache::{Arrival, Fetching, Key, rules::Rules};
use latencify_conf::change::SiteId;
use std::time::Duration;

/// A slot that is led.
#[derive(Debug)]
pub struct Held {
    /// Whose.
    pub key: Key,
    /// To leave it with.
    pub ticket: u64,
}

/// An object, as a request names it.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// What.
    pub object: Object,
    /// Its site, as the request found it.
    pub site: SiteId,
    /// When the request came, and under which history.
    pub arrival: Arrival,
}

/// What is asked, and for whom.
#[derive(Debug)]
pub struct Question {
    /// What.
    pub named: Named,
    /// Who brings the answer to its client; none: a refresh in the background.
    pub request: Option<RequestId>,
    /// What was found.
    pub base: Option<Base>,
    /// Others wait for it here.
    pub held: Option<Held>,
}

/// A question to the origin, under way.
pub struct Asking<R: Rules> {
    /// What is asked.
    pub question: Question,
    /// What this edge obeyed when it was asked; none: nothing of the answer is stored.
    pub fetching: Option<Fetching>,
    /// When it was asked.
    pub began: Duration,
    /// Whether what was found still holds is what is asked.
    pub is_validation: bool,
    /// Who waits for it.
    pub waiters: Vec<RequestId>,
    /// The body that arrives.
    pub arriving: Option<Arriving<R>>,
}

impl Named {
    /// The cache key.
    pub fn key(&self) -> Vec<u8> {
        key(self.site, self.object)
    }
}

impl<R: Rules> World<R> {
    /// Asks the origin, for a request.
    pub fn fetch(
        &mut self,
        edge: usize,
        run: Run,
        id: RequestId,
        base: Option<Base>,
        held: Option<Held>,
    ) {
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(request) = process.requests.get_mut(&id) else {
            return;
        };
        request.state = State::Fetching;
        let named = Named {
            object: request.object,
            site: request.site,
            arrival: request.arrival,
        };
        let question = Question {
            named,
            request: Some(id),
            base,
            held,
        };
        self.ask_origin(edge, run, question);
    }

    /// Asks the origin behind a stale answer, unless somebody does.
    pub fn refresh(&mut self, edge: usize, run: Run, named: Named, base: Option<Base>) {
        let next_fetch = self.next_fetch + 1;
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let key = key_ref(&named.key()).to_key();
        let path = origin::path_of(named.object);
        let slot = process.marks.slot(key, named.site, path);
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
            let question = Question {
                named,
                request: None,
                base,
                held,
            };
            self.ask_origin(edge, run, question);
        }
    }

    fn ask_origin(&mut self, edge: usize, run: Run, question: Question) {
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
        let fetching = process.cache.begin_fetch_for(question.named.arrival);
        // After the stamp: whatever is purged from here on is newer than it, and takes what comes back as well.
        let is_validation = question.base.as_ref().is_some_and(|base| {
            let found = &base.found;
            !found.is_filling() && !found.record.liveness(&process.marks).is_dead()
        });
        let is_validation = is_validation && fetching.is_some();
        let generation = fetching.as_ref().map_or(0, |fetching| fetching.generation);
        let object = question.named.object;
        let is_of_before = fetching.is_none();
        let asking = Asking {
            question,
            fetching,
            began: now,
            is_validation,
            waiters: Vec::new(),
            arriving: None,
        };
        process.asking.insert(id, asking);
        if is_of_before {
            self.fault(Fault::OtherHistory);
        }
        self.tell("fetch begins", &[edge as u64, id, generation], || {
            let path = origin::path_of(object);
            format!("edge {edge}: fetch {id} of {path}, generation {generation}, validates: {is_validation}")
        });
        self.put(reaches, Event::OriginGets(edge, run, id));
    }

    /// The slot is free, and who waited looks again.
    pub fn release(&mut self, edge: usize, run: Run, id: FetchId) {
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(asking) = process.asking.get_mut(&id) else {
            return;
        };
        let waiters = std::mem::take(&mut asking.waiters);
        if let Some(held) = asking.question.held.take() {
            process.slots.leave(&held.key, held.ticket);
        }
        for waiter in waiters {
            let wakes = self.random.millis(0..20);
            self.put(wakes, Event::LookAgain(edge, run, waiter));
        }
    }
}
