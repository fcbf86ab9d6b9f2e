//! What the origin says, and what an edge makes of it: a failure, a 304, or a [body](super::body).

use super::{
    Meta,
    fetch::{Named, Question},
    key_ref,
    look::Base,
    url,
};
use crate::{
    event::{Event, FetchId, Run},
    faults::Fault,
    oracle::Source,
    origin,
    world::World,
};
use latencify_cache::{Record, rules::Rules};
use latencify_conf::change::Mode;
use latencify_decide::freshness::{Lifetime, LifetimeSource, OnError, RequestDirectives, on_error};
use std::time::Duration;

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
    Full(Full),
}

/// A body, as its head announces it.
#[derive(Debug, Clone, Copy)]
pub struct Full {
    /// The version.
    pub version: u64,
    /// How long the body is, in words.
    pub words: u64,
    /// Whether the head says how long.
    pub announced: bool,
    /// For how long it serves; none: it is not to be stored.
    pub windows: Option<Windows>,
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
    /// A question arrives at the origin.
    pub fn origin_gets(&mut self, edge: usize, run: Run, id: FetchId) {
        let Some(asking) = self
            .process(edge, run)
            .and_then(|process| process.asking.get(&id))
        else {
            return;
        };
        let question = &asking.question;
        let object = question.named.object;
        let known = question
            .base
            .as_ref()
            .filter(|_| asking.is_validation)
            .map(|base| base.found.record.meta.version);
        let is_unsafe = question
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
            Answer::Full(Full {
                version,
                words: self.random.of(1..self.plan.body_words),
                announced: self.random.permille(600),
                windows: (!is_unsafe && !self.random.permille(20)).then_some(windows),
            })
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
            Answer::Full(full) => self.full(edge, run, id, full),
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
        let Question { request, base, .. } = asking.question;
        let Some(request) = request else {
            return;
        };
        let directives = process
            .requests
            .get(&request)
            .map_or_else(RequestDirectives::default, |asked| asked.directives);
        let answers = |base: &Base| {
            let lifetime = &base.found.record.meta.lifetime;
            !base.is_closed
                && on_error(lifetime, base.soft_purged, &directives, wall) == OnError::ServeStale
        };
        let base = base.filter(answers);
        match base.filter(|base| self.ask_before_stale(edge, run, request, base).is_ok()) {
            Some(base) => self.serve(edge, run, request, base.found, Some(Source::StaleOnError)),
            None => self.forget(edge, run, request),
        }
    }

    /// For how long what an edge receives now serves.
    pub fn lifetime(&self, edge: usize, windows: Windows) -> Lifetime {
        Lifetime {
            born: self.wall(edge),
            fresh: windows.fresh,
            stale_while_revalidate: windows.while_revalidate,
            stale_if_error: windows.on_error,
            always_revalidate: false,
            immutable: false,
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
            .map_or(0, |asking| tags(asking.question.named.object));
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(asking) = process.asking.get_mut(&id) else {
            return;
        };
        let (Some(base), Some(fetching)) = (asking.question.base.take(), asking.fetching.take())
        else {
            return;
        };
        let mut identity = base.found.record.identity();
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
        let record = Record::of_validation(&base.found.record, identity, *fetching, meta);
        let question = &asking.question;
        let key = question.named.key();
        let request = question.request;
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
            self.serve(edge, run, request, base.found, Some(Source::Revalidated));
        }
    }

    /// The answer passes through unstored.
    pub fn pass(&mut self, edge: usize, run: Run, id: FetchId, version: u64) {
        self.release(edge, run, id);
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(asking) = process.asking.remove(&id) else {
            return;
        };
        let question = asking.question;
        let Some(request) = question.request else {
            return;
        };
        let is_unsafe = self.is_unsafe(edge, run, request);
        if is_unsafe {
            self.invalidate(edge, run, question.named);
        }
        self.given_directly(edge, run, request, version);
    }

    /// RFC 9111 §4.4, as the shipped phase does it.
    fn invalidate(&mut self, edge: usize, run: Run, named: Named) {
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Named {
            object,
            site,
            arrival,
        } = named;
        let target = process.marks.named(url(site, object), arrival.history());
        process.marks.local_purge(&target, Mode::Hard);
        self.local_purged(edge, object);
    }
}
