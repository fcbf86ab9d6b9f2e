//! What a connection and the request on it tell each other.

use super::{date::Redate, line::Line};
use crate::{context::Context, observe::Cut};
use http::HeaderMap;
use latencify_framing::Violation;
use parking_lot::{Mutex, MutexGuard};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

/// One connection's. Pingora hands it to the request's context.
#[derive(Debug, Clone, Default)]
pub struct Wire(Arc<Shared>);

/// What goes with a connection that is lent to Pingora for one request.
pub struct Lent {
    /// The connection's.
    pub wire: Wire,
    /// The request's, if it has been decided on already.
    pub decided: Option<Box<Context>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The connection, when nobody has it lent.
    line: Mutex<Option<Line>>,
    /// What was wrong with a body.
    violation: OnceLock<Violation>,
    /// Whether what the client sends is no HTTP any more.
    tunnel: AtomicBool,
    /// Whether the body that stands for a tunnel ends now.
    ends: AtomicBool,
    /// Whether the origin answers: the answer has begun and not ended.
    answered: AtomicBool,
    /// Whether the body came too slowly.
    slow: AtomicBool,
    /// Why the request can't come to its end.
    cut: Mutex<Option<Cut>>,
    /// Whether the client has said, behind a whole request, that it sends no more.
    gone: AtomicBool,
    /// The date that a response keeps.
    redate: Mutex<Redate>,
    /// Whether the head that is written next may wait for the octets behind it.
    head_waits: AtomicBool,
}

impl Wire {
    /// What was wrong with the request's body, if something was.
    pub fn violation(&self) -> Option<Violation> {
        self.0.violation.get().copied()
    }

    /// Whether the request's body came slower than `body_rate`.
    pub fn was_too_slow(&self) -> bool {
        self.0.slow.load(Ordering::Acquire)
    }

    pub(super) fn is_too_slow(&self) {
        self.0.slow.store(true, Ordering::Release);
    }

    /// Why the request can't come to its end, if that is so.
    pub fn cut(&self) -> Option<Cut> {
        *self.0.cut.lock()
    }

    pub(super) fn is_cut(&self, why: Cut) {
        self.0.cut.lock().get_or_insert(why);
    }

    /// Whether the client sends no more; Pingora takes that for its going away.
    pub fn is_gone(&self) -> bool {
        self.0.gone.load(Ordering::Acquire)
    }

    pub(super) fn went(&self) {
        self.0.gone.store(true, Ordering::Release);
    }

    /// The origin's answer begins, or ends.
    pub fn is_being_answered(&self, now: bool) {
        self.0.answered.store(now, Ordering::Release);
    }

    pub(super) fn is_answered(&self) -> bool {
        self.0.answered.load(Ordering::Acquire)
    }

    /// The head with these fields is written next; it keeps its `Date`, if it has one.
    pub fn keeps_date(&self, fields: &HeaderMap) {
        *self.0.redate.lock() = Redate::with(fields);
    }

    /// The head that is written next may wait for the octets behind it: whoever waits for these looks for the client
    /// meanwhile.
    pub fn head_may_wait(&self) {
        self.0.head_waits.store(true, Ordering::Release);
    }

    pub(super) fn head_waits(&self) -> bool {
        self.0.head_waits.load(Ordering::Acquire)
    }

    pub(super) fn redate(&self) -> MutexGuard<'_, Redate> {
        self.0.redate.lock()
    }

    /// From now on everything passes: the origin agreed to another protocol (RFC 9110 §7.8).
    pub fn becomes_tunnel(&self) {
        self.0.tunnel.store(true, Ordering::Release);
    }

    /// The origin did not agree to another protocol. Pingora, which holds the request open for it as a chunked body that
    /// never comes (see `transform::upgrade`), is given the end of that body.
    pub fn stays_http(&self) {
        self.0.ends.store(true, Ordering::Release);
    }

    pub(super) fn take_end(&self) -> bool {
        self.0.ends.swap(false, Ordering::AcqRel)
    }

    /// Whether the origin agreed to another protocol, so that what follows is no HTTP.
    pub fn is_tunnel(&self) -> bool {
        self.0.tunnel.load(Ordering::Acquire)
    }

    pub(super) fn violated(&self, violation: Violation) {
        let _ = self.0.violation.set(violation);
    }

    /// A new request begins: what an earlier one left unsaid is not its.
    pub(super) fn begins(&self) {
        self.0.ends.store(false, Ordering::Release);
        self.0.answered.store(false, Ordering::Release);
        self.0.gone.store(false, Ordering::Release);
        self.0.head_waits.store(false, Ordering::Release);
        *self.0.cut.lock() = None;
        *self.0.redate.lock() = Redate::default();
    }

    pub(super) fn give_back(&self, line: Line) {
        *self.0.line.lock() = Some(line);
    }

    pub(super) fn take_back(&self) -> Option<Line> {
        self.0.line.lock().take()
    }
}
