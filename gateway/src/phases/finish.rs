//! The end of a request: its record and its numbers.

use crate::{
    cache::is_withdrawn,
    context::Context,
    edge::Edge,
    isolation::ISOLATED,
    listen::{Wire, cut_of},
    observe::{Course, Cut, Ended, RequestLabels},
};
use http::{HeaderMap, HeaderName, Method, Version, header};
use latencify_conf::record::{AccessRecord, CacheOutcome, HEADER_CHARACTERS_MAX};
use pingora::{Error, proxy::Session};
use std::borrow::Cow;
use time::OffsetDateTime;

/// Counts the request and leaves its record. A background refresh is nobody's request: it is counted as one attempt at
/// an origin already.
pub fn finish(edge: &Edge, session: &mut Session, error: Option<&Error>, ctx: &mut Context) {
    ctx.untold = None;
    if ctx.answer.fault.is_none() && ctx.answer.cut.is_none() && !ctx.is_refresh {
        let withdrawn = error.is_some_and(is_withdrawn).then_some(Cut::Withdrawn);
        ctx.answer.cut = withdrawn.or_else(|| cut_of(session, ctx.wire.as_ref(), error));
    }
    let status = session
        .response_written()
        .map_or(0, |head| head.status.as_u16());
    let ending = Ending {
        status,
        bytes: (
            session.body_bytes_read() as u64,
            session.body_bytes_sent() as u64,
        ),
        headers: Some(&session.req_header().headers),
    };
    if ctx.answer.detail.is_none() {
        ctx.answer.detail = error.map(ToString::to_string);
    }
    tell(edge, &ending, ctx);
}

/// Whether a client over HTTP/2 that asked for something stored, or to be stored, has gone before anything was done about it.
/// Its stream says no more whether the request has a body, so that no cache may be asked, and for nobody no origin is.
pub fn is_for_nobody(session: &mut Session, ctx: &mut Context) -> bool {
    let asks_only = (ctx.asked.as_ref())
        .is_some_and(|asked| matches!(asked.method, Method::GET | Method::HEAD));
    if !asks_only || ctx.is_refresh || !session.is_http2() {
        return false;
    }
    // Before it is known whether the client is there: then it is true.
    ctx.caching.is_bodiless = Some(session.is_body_empty());
    ctx.answer.cut = cut_of(session, None, None);
    ctx.answer.cut.is_some()
}

/// What the end itself shows of a request.
pub struct Ending<'a> {
    /// The status sent; 0: none.
    pub status: u16,
    /// Octets of the request's body, and of the response's.
    pub bytes: (u64, u64),
    /// The request's fields, if somebody has them still.
    pub headers: Option<&'a HeaderMap>,
}

/// The same for a request that was answered without Pingora.
pub fn told(edge: &Edge, ending: &Ending<'_>, ctx: &mut Context) {
    ctx.untold = None;
    tell(edge, ending, ctx);
}

/// A request that is given up tells of itself: nothing else will. Its task was ended, by the end of a drain or a defect.
impl Drop for Context {
    fn drop(&mut self) {
        let Some(edge) = self.untold.take() else {
            return;
        };
        if self.asked.is_none() {
            return;
        }
        let cut = if std::thread::panicking() {
            Cut::Panic
        } else if edge.drain.is_cutting() {
            Cut::Limit(Ended::DrainTime)
        } else {
            Cut::Dropped
        };
        self.answer.cut.get_or_insert(cut);
        let ending = Ending {
            status: self.answer.status.map_or(0, |status| status.as_u16()),
            bytes: (self.body_bytes, self.answer.bytes),
            headers: None,
        };
        tell(&edge, &ending, self);
    }
}

fn tell(edge: &Edge, ending: &Ending<'_>, ctx: &mut Context) {
    if ctx.is_refresh {
        return;
    }
    if let (None, Some(cut)) = (ctx.answer.fault, ctx.answer.cut) {
        edge.metrics.ends.cut(cut);
    }
    if let Some(fault) = ctx.answer.fault {
        edge.metrics.fault(fault);
    }
    if let Some(violation) = ctx.wire.as_ref().and_then(Wire::violation) {
        edge.metrics.violation(violation.name());
    }
    if ctx.caching.isolated.is_some() {
        edge.count_isolated();
    }
    let course = Course {
        duration: ctx.clock.began.elapsed(),
        first_byte: ctx.clock.first_byte,
        bytes: ending.bytes,
    };
    let labels = RequestLabels {
        site: ctx.taken.as_ref().map_or("-", |taken| &taken.site.name),
        route: ctx.route().map_or("-", |route| &route.name),
        status: ending.status,
        cache: ctx.caching.outcome,
    };
    if let Some(compiled) = &ctx.policy {
        let first_byte = course.first_byte.unwrap_or(course.duration);
        compiled
            .tally
            .count(ending.status, ctx.caching.outcome, first_byte);
    }
    let kept = ctx.policy.as_ref().zip(ctx.route());
    let counts = kept.and_then(|(compiled, route)| compiled.counts(route));
    edge.metrics.request(labels, &course, counts);
    if edge.access_log.is_on()
        && let Some(record) = record(ending, &course, ctx)
    {
        edge.access_log.record(&record);
    }
}

fn record<'a>(ending: &Ending<'a>, course: &Course, ctx: &'a Context) -> Option<AccessRecord<'a>> {
    let asked = ctx.asked.as_ref()?;
    let compiled = ctx.policy.as_ref();
    let found = ctx
        .caching
        .found
        .as_ref()
        .filter(|_| ctx.caching.outcome.is_from_cache());
    let country = asked
        .place
        .as_ref()
        .and_then(|place| place.country.as_ref());
    let current = ctx.steering.current.as_ref();
    Some(AccessRecord {
        time: OffsetDateTime::from(ctx.clock.began_at),
        request_id: Cow::Borrowed(&asked.id),
        client: asked.client,
        country: country.map(|country| Cow::Borrowed(country.as_str())),
        site: ctx
            .taken
            .as_ref()
            .map(|taken| Cow::Borrowed(&*taken.site.name)),
        route: ctx.route().map(|route| Cow::Borrowed(&*route.name)),
        method: Cow::Borrowed(asked.method.as_str()),
        scheme: Cow::Borrowed(if asked.https { "https" } else { "http" }),
        host: Cow::Borrowed(&asked.host),
        path: Cow::Borrowed(&asked.path),
        query: asked.query.as_deref().map(Cow::Borrowed),
        protocol: Cow::Borrowed(protocol(asked.version)),
        status: ending.status,
        bytes_in: ending.bytes.0,
        bytes_out: ending.bytes.1,
        duration_us: course.duration.as_micros() as u64,
        ttfb_us: ctx
            .clock
            .first_byte
            .map(|first_byte| first_byte.as_micros() as u64),
        cache: ctx.caching.outcome,
        cache_reason: reason(ctx),
        age: ctx.answer.age,
        origin: current.map(|attempt| Cow::Borrowed(&*attempt.name)),
        origin_status: ctx.steering.status,
        attempts: ctx.steering.attempts,
        revision: compiled.and_then(|compiled| compiled.revision),
        policy: compiled.map(|compiled| compiled.policy.digest),
        epoch: found.and_then(|found| found.fetch.stamp.log.map(|_| found.fetch.stamp.epoch)),
        mark_epoch: ctx.obeyed.and_then(|marks| marks.log.map(|_| marks.epoch)),
        decisions: (ctx.decisions.iter())
            .map(|step| Cow::Borrowed(step.as_str()))
            .collect(),
        error: error(ctx).map(Cow::Borrowed),
        error_detail: ctx.answer.detail.as_deref().map(Cow::Borrowed),
        user_agent: field(ending.headers, &header::USER_AGENT),
        referer: field(ending.headers, &header::REFERER),
    })
}

fn error(ctx: &Context) -> Option<&'static str> {
    let fault = ctx.answer.fault;
    fault
        .map(|fault| ctx.answer.kind.unwrap_or(fault.name()))
        .or(ctx.answer.cut.map(Cut::name))
}

fn reason(ctx: &Context) -> Option<Cow<'static, str>> {
    let told = matches!(
        ctx.caching.outcome,
        CacheOutcome::None | CacheOutcome::Uncacheable
    );
    let isolated = ctx.caching.isolated.map(|_| ISOLATED);
    isolated
        .or(ctx.caching.reason.filter(|_| told))
        .map(Cow::Borrowed)
}

/// A field as text, cut where a record ends it.
fn field<'a>(headers: Option<&'a HeaderMap>, name: &HeaderName) -> Option<Cow<'a, str>> {
    let text = String::from_utf8_lossy(headers?.get(name)?.as_bytes());
    let Some((end, _)) = text.char_indices().nth(HEADER_CHARACTERS_MAX) else {
        return Some(text);
    };
    Some(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(..end)?),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    })
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_09 => "HTTP/0.9",
        _ => "HTTP/1.1",
    }
}
