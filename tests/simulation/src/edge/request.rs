//! A request on its way to an edge, and at it.

use super::{look::Base, reading::Reading};
use crate::{
    event::{Event, FetchId, RequestId, Run},
    origin::{self, OBJECTS, Object},
    world::World,
};
use latencify_cache::{Arrival, rules::Rules};
use latencify_conf::{
    change::SiteId,
    link::{edge::Isolation, message::WhenIsolated},
};
use latencify_decide::freshness::RequestDirectives;
use latencify_gateway::verdict::Asked;
use std::time::{Duration, SystemTime};

/// A request.
#[derive(Debug)]
pub struct Request {
    /// What it asks for.
    pub object: Object,
    /// The site's id under the policy of when it came.
    pub site: SiteId,
    /// When the client sent it.
    pub sent: Duration,
    /// When it came, in the order in which fetches begin, and under which history.
    pub arrival: Arrival,
    /// How often it has looked.
    pub looks: u8,
    /// An unsafe method.
    pub is_unsafe: bool,
    /// What the client demands.
    pub directives: RequestDirectives,
    /// When it looked, the fetch of the newest thing that had been found stored had begun then.
    pub newest: Duration,
    /// How far it is.
    pub state: State,
}

/// How far a request is.
#[derive(Debug)]
pub enum State {
    /// It is looked at.
    Looking,
    /// Something was found, and is not judged yet.
    Found(Box<Base>),
    /// It waits for another's fetch.
    Waiting(FetchId),
    /// It waits for the origin's answer.
    Fetching,
    /// Its client reads.
    Reading(Box<Reading>),
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
            .filter(|_| !process.draining || self.plan.breaks.leaves_before_it_is_drained)
        else {
            return;
        };
        let run = process.run;
        let request = Request {
            object: sent.object,
            site,
            sent: sent.at,
            arrival: process.cache.arrive_under(process.history()),
            looks: 0,
            is_unsafe: sent.is_unsafe,
            directives,
            newest: Duration::ZERO,
            state: State::Looking,
        };
        process.requests.insert(id, request);
        if sent.is_unsafe {
            return self.fetch(edge, run, id, None, None);
        }
        self.look(edge, run, id);
    }

    /// Whether receipts bind what an edge answers now: on `serve` one that is cut off makes no promise while it is a member, and
    /// receipts say that it is missing.
    pub fn is_bound(&self, edge: usize) -> bool {
        self.edges.get(edge).is_some_and(|machine| {
            let process = machine.running.as_ref();
            let isolation = process.and_then(|process| {
                let session = process.session.borrow();
                session.obedience.link().isolation(self.now)
            });
            machine.when_isolated != WhenIsolated::Serve
                || process.is_some() && matches!(isolation, None | Some(Isolation::Left))
        })
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
}

impl Request {
    /// Who asks, and when.
    pub fn asked(&self, now: SystemTime) -> Asked<'_> {
        Asked {
            directives: &self.directives,
            arrival: self.arrival,
            now,
        }
    }
}
