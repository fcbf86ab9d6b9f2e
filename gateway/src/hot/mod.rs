//! Hot hits: requests that are answered from memory before Pingora sees them.
//!
//! # Characters
//! - the protocol's loop: `listen::http1`, which has read a [valid head](head::Own), or `listen::http2`, ahead of its library
//!   or for one stream;
//! - [`proxy::decide`](crate::proxy::decide), the phases that every request passes;
//! - [`find`]: whether a complete, fresh, live object in memory answers, by the same questions that the cache's phases ask,
//!   and with the same fields, since the same functions make them;
//! - [`ready`]: heads of hot objects, as such a function has made them once.
//!
//! Whatever is not answered here goes to Pingora with its [`Context`] as it is, so that nothing is decided, counted or
//! limited twice; what only a proxy can do (fetching, waiting, ranges, bodies, serving stale while refreshing) is done there
//! alone.

mod block;
pub mod head;
pub mod ready;

use crate::{
    cache::StoredMeta,
    context::Context,
    edge::Edge,
    phases::{admit, caching, preconditions, transform},
    request::Request,
    verdict::{Use, Verdict},
};
use http::{HeaderMap, Method, StatusCode, Version, header};
use latencify_cache::{BodyReader, Reader, Record};
use latencify_conf::{policy::CacheRule, record::CacheOutcome};
use latencify_decide::freshness::{Lifetime, Reuse};
use pingora::{http::ResponseHeader, protocols::http::conditional_filter::to_304};
use ready::{Differing, ReadyHead};
use std::{sync::Arc, time::SystemTime};

/// A whole response from memory.
pub struct Answer {
    /// Its head, but for what belongs to the connection.
    pub head: Box<ResponseHeader>,
    /// Its body; none: only the head is sent.
    pub body: Option<BodyReader>,
}

/// Something stored that may answer as it is.
pub struct Hit {
    rule: Arc<CacheRule>,
    record: Arc<Record<StoredMeta>>,
    body: BodyReader,
    lifetime: Lifetime,
    verdict: Verdict,
}

/// What answers a request that was let in; none: it goes the long way, and nothing has been noted of this look.
pub fn find(edge: &Edge, request: &Request<'_>, ctx: &mut Context) -> Option<Hit> {
    let rule = ctx.proxying()?.cache.clone()?;
    if caching::askable(request).is_err() || needs_more(request.headers) {
        return None;
    }
    ctx.caching.arrival = edge.cache.arrive_under(ctx.history());
    let key = caching::primary_key(&rule, request.headers, ctx)?;
    let found = caching::find(edge, &rule, &key, request.headers)?;
    let Reader::Stored(body) = found.reader else {
        return None;
    };
    let lifetime = caching::lifetime(&found.record.meta)?;
    let verdict = caching::weigh(edge, &found.record, &lifetime, ctx)?;
    (verdict.lets() == Use::Answer).then_some(Hit {
        rule,
        record: found.record,
        body,
        lifetime,
        verdict,
    })
}

/// The answer to a request that was let in, if memory has one.
pub fn look(edge: &Edge, request: &Request<'_>, ctx: &mut Context) -> Option<Answer> {
    find(edge, request, ctx)?.answer(edge, request, ctx)
}

impl Hit {
    /// Answers, if the stored head says of the body what it is. None: it goes the long way, and nothing is noted of this.
    pub fn answer(self, edge: &Edge, request: &Request<'_>, ctx: &mut Context) -> Option<Answer> {
        let mut head = Box::new(self.record.meta.response());
        if !is_framed(&head, self.body.body().len()) {
            return None;
        }
        let steps = ctx.decisions.len();
        ctx.caching.key_told = caching::told_key(&self.rule, request.headers, ctx);
        let (is_accepted, body) = (self.verdict.reuse == Reuse::StaleAccepted, self.note(ctx));
        head.set_version(Version::HTTP_11);
        let is_unmodified = preconditions::is_not_modified(request, &head, ctx);
        if is_unmodified {
            to_304(&mut head);
        }
        ctx.caching.outcome = if is_accepted {
            CacheOutcome::Stale
        } else {
            CacheOutcome::Hit
        };
        let limits = admit::limit_fields(ctx);
        if transform::towards_client(&mut *head, edge.pseudonym(), limits, ctx).is_err() {
            ctx.forget_look(steps);
            return None;
        }
        ctx.head_goes_out(head.status);
        let is_head_only = is_unmodified || *request.method == Method::HEAD;
        Some(Answer {
            head,
            body: (!is_head_only).then_some(body),
        })
    }

    /// The head that is kept of it, if it is answered whole and fresh, and nothing but what differs each time depends on
    /// the request.
    pub fn ready(&self, edge: &Edge, ctx: &Context) -> Option<Arc<ReadyHead>> {
        edge.ready_heads.find(&self.record, ctx.route()?)
    }

    /// Whether a head of it may be kept, or one that is kept may answer.
    pub fn may_be_ready(&self, request: &Request<'_>) -> bool {
        let is_conditional = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE]
            .iter()
            .any(|name| request.headers.contains_key(name));
        let is_plain = self.verdict.reuse == Reuse::Fresh && self.verdict.isolated.is_none();
        is_plain && !is_conditional && !self.rule.cache_status.key
    }

    /// Answers with a head that is kept.
    pub fn answer_ready(
        self,
        head: &ReadyHead,
        request: &Request<'_>,
        ctx: &mut Context,
    ) -> Option<BodyReader> {
        let now = SystemTime::now();
        ctx.answer.age = Some(self.lifetime.age_seconds(now));
        ctx.caching.outcome = CacheOutcome::Hit;
        ctx.head_goes_out(head.status());
        let body = self.note(ctx);
        (*request.method != Method::HEAD).then_some(body)
    }

    /// How long its body is.
    pub fn length(&self) -> u64 {
        self.body.body().len()
    }

    /// The version that was found.
    pub fn record(&self) -> &Arc<Record<StoredMeta>> {
        &self.record
    }

    fn note(self, ctx: &mut Context) -> BodyReader {
        caching::note(&self.verdict, self.lifetime, self.record.fetch, ctx);
        ctx.caching.rule = Some(self.rule);
        self.body
    }
}

/// What differs in the head of an answer whose `Age` is known.
pub fn differing(ctx: &Context, keeps: bool) -> Option<Differing<'_>> {
    let age = ctx.answer.age?;
    let fresh = ctx.caching.found.as_ref()?.lifetime.fresh.as_secs();
    Some(Differing {
        age,
        ttl: i64::try_from(fresh)
            .unwrap_or(i64::MAX)
            .saturating_sub_unsigned(age),
        keeps,
        ctx,
    })
}

/// Whether a request asks for more than the whole of a response.
fn needs_more(headers: &HeaderMap) -> bool {
    [
        header::RANGE,
        header::IF_MATCH,
        header::IF_UNMODIFIED_SINCE,
        header::EXPECT,
    ]
    .iter()
    .any(|name| headers.contains_key(name))
}

/// Whether the stored head says of the body what it is, so that nothing has to be framed anew.
fn is_framed(head: &ResponseHeader, length: u64) -> bool {
    if head.headers.contains_key(header::TRANSFER_ENCODING) {
        return false;
    }
    if head.status == StatusCode::NO_CONTENT || head.status == StatusCode::NOT_MODIFIED {
        return length == 0;
    }
    let announced = head.headers.get(header::CONTENT_LENGTH);
    announced.and_then(|announced| announced.to_str().ok()?.parse().ok()) == Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{drain::Drain, observe::Metrics};

    #[test]
    fn another_look_finds_nothing_of_one_that_failed() {
        let metrics = Metrics::new().unwrap();
        let mut ctx = Context::new(Drain::new().request(), metrics.request_under_way());
        ctx.decide("site:shop");
        let steps = ctx.decisions.len();
        ctx.caching.key_told = Some("key".to_owned());
        ctx.caching.outcome = CacheOutcome::Hit;
        ctx.answer.age = Some(5);
        ctx.decide("cache:isolated");
        ctx.forget_look(steps);
        let left: Vec<_> = ctx
            .decisions
            .iter()
            .map(crate::step::Step::as_str)
            .collect();
        assert_eq!(left, ["site:shop"]);
        assert_eq!(ctx.answer.age, None);
        assert_eq!(ctx.caching.outcome, CacheOutcome::None);
        assert!(ctx.caching.key_told.is_none() && ctx.caching.found.is_none());
    }
}
