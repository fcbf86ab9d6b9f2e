//! A question to the origin: for a request, or behind a stale answer.

use super::{body::Arriving, key, key_ref, look::Base, request::State};
use crate::{
    event::{Event, FetchId, RequestId, Run},
    faults::Fault,
    origin::{self, Object},
    world::World,
};
use latencify_cache::{Fetching, Key, rules::Rules};
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

/// What is asked, and for whom.
#[derive(Debug)]
pub struct Question {
    /// What.
    pub object: Object,
    /// Its site, as the request found it.
    pub site: SiteId,
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
    /// What this edge obeyed when it was asked.
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
        let (object, site) = (request.object, request.site);
        let question = Question {
            object,
            site,
            request: Some(id),
            base,
            held,
        };
        self.ask_origin(edge, run, question);
    }

    /// Asks the origin behind a stale answer, unless somebody does.
    pub fn refresh(
        &mut self,
        edge: usize,
        run: Run,
        object: Object,
        site: SiteId,
        base: Option<Base>,
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
            let question = Question {
                object,
                site,
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
        let fetching = process.cache.begin_fetch();
        // After the stamp: whatever is purged from here on is newer than it, and takes what comes back as well.
        let is_validation = question.base.as_ref().is_some_and(|base| {
            let found = &base.found;
            !found.is_filling() && !found.record.liveness(&process.marks).is_dead()
        });
        let (generation, object) = (fetching.generation, question.object);
        let asking = Asking {
            question,
            fetching: Some(fetching),
            began: now,
            is_validation,
            waiters: Vec::new(),
            arriving: None,
        };
        process.asking.insert(id, asking);
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
