//! The client gets an answer, and reads its body as fast as it can or likes.

use super::{Meta, request::State};
use crate::{
    event::{Event, RequestId, Run},
    lies::Lie,
    oracle::{Given, Source},
    origin::{self, Object},
    world::World,
};
use latencify_cache::{Found, Reader, rules::Rules};
use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

/// A client that reads.
#[derive(Debug)]
pub struct Reading {
    reader: Reader,
    body: Vec<u8>,
    is_slow: bool,
    given: Given,
}

impl<R: Rules> World<R> {
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
        let began = found.record.meta.began;
        let Some(request) = process.requests.get_mut(&id) else {
            return;
        };
        let is_known = source.is_none() && stored == Source::Stored;
        let known = process.newest_began.get_mut(request.object);
        if let Some(known) = known.filter(|_| is_known) {
            *known = began.max(*known);
        }
        let given = Given {
            source: source.unwrap_or(stored),
            sent: request.sent,
            decided: now,
            is_bound,
            floor_at,
            obeys,
            began,
            newest: request.newest,
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
        let (lacks, is_other) = (self.lies(Lie::TornBody), self.lies(Lie::OtherBody));
        let body = body
            .get(..body.len() - usize::from(lacks))
            .unwrap_or_default();
        let object = object + usize::from(is_other);
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
}
