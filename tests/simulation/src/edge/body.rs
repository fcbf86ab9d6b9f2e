//! A body arrives from the origin and is stored as it comes.

use super::{Meta, answer::Full, fetch::Named, interleave, key_ref};
use crate::{
    event::{Event, FetchId, Run},
    faults::Fault,
    oracle::Source,
    origin,
    world::World,
};
use bytes::Bytes;
use latencify_cache::{Expectation, Identity, Record, Writer, rules::Rules};
use std::{sync::Arc, time::Duration};

/// A body that arrives.
pub struct Arriving<R: Rules> {
    writer: Writer<Meta, R>,
    body: Bytes,
    sent: usize,
    breaks_at: Option<usize>,
}

impl<R: Rules> World<R> {
    /// The head of a body has arrived.
    pub fn full(&mut self, edge: usize, run: Run, id: FetchId, full: Full) {
        let Full {
            version,
            words,
            announced,
            windows,
        } = full;
        let lifetime = windows.map(|windows| self.lifetime(edge, windows));
        let slow_fill = self.random.permille(self.plan.rates.slow_fill);
        let breaks = self.random.permille(self.plan.rates.fill_broken);
        let breaks_at = breaks.then(|| self.random.of(0..words) as usize * 8);
        let tags = {
            let asking = self
                .edges
                .get(edge)
                .and_then(|machine| machine.running.as_ref()?.asking.get(&id));
            asking.map_or(0, |asking| {
                self.origin.tags(asking.question.named.object, version)
            })
        };
        let Some(process) = self.process(edge, run) else {
            return;
        };
        let Some(asking) = process.asking.get_mut(&id) else {
            return;
        };
        let question = &mut asking.question;
        question.base = None;
        let (Named { object, site, .. }, request) = (question.named, question.request);
        let key = question.named.key();
        let Some(lifetime) = lifetime else {
            process
                .cache
                .remember_uncacheable(key_ref(&key), Duration::from_secs(1));
            return self.pass(edge, run, id, version);
        };
        let identity = Identity {
            site,
            path: Arc::from(origin::path_of(object)),
            tags: origin::names(tags).map(Box::from).collect(),
        };
        let body = origin::body(object, version, words);
        let Some(fetching) = asking.fetching.take() else {
            return self.pass(edge, run, id, version);
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
        asking.arriving = Some(Arriving {
            writer,
            body,
            sent: 0,
            breaks_at,
        });
        drop(fetching);
        let own = process.cache.follow(key_ref(&key), fill);
        self.release(edge, run, id);
        if let (Some(request), Some(own)) = (request, own) {
            self.serve(edge, run, request, own, Some(Source::Fetched));
        }
        let next = self.next_piece(slow_fill);
        if slow_fill {
            self.fault(Fault::SlowFill);
        }
        self.put(next, Event::Piece(edge, run, id));
    }

    fn next_piece(&mut self, is_slow: bool) -> Duration {
        if is_slow {
            self.random.millis(100..2500)
        } else {
            self.random.millis(0..10)
        }
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
        let object = asking.question.named.object;
        let Some(arriving) = &mut asking.arriving else {
            return;
        };
        let from = arriving.sent;
        let is_broken = arriving.breaks_at.is_some_and(|at| from >= at);
        let to = (from + size).min(arriving.body.len());
        arriving.sent = to;
        let piece = arriving.body.slice(from..to);
        let is_whole = to == arriving.body.len();
        interleave::about(object);
        let goes_on = !is_broken && arriving.writer.write(&piece).is_ok();
        if goes_on && !is_whole {
            let slow = self.random.permille(self.plan.rates.slow_fill);
            let next = self.next_piece(slow);
            self.put(next, Event::Piece(edge, run, id));
        } else {
            let asking = process.asking.remove(&id);
            let writer = asking.and_then(|asking| Some(asking.arriving?.writer));
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
