//! One request of an HTTP/2 connection, as far as somebody waits for the client in it.

use crate::{listen::rate::RateMeter, observe::Ended};
use latencify_conf::policy::EdgeLimits;
use std::time::Instant;

/// Both directions of a stream.
#[derive(Debug)]
pub(super) struct StreamWatch {
    request_ended: bool,
    response_began: bool,
    response_ended: bool,
    /// What the client may still send.
    receive_window: i64,
    /// What we may still send.
    send_window: i64,
    /// Octets of the body since the last tick.
    brought: u64,
    /// Octets of the response since the last tick.
    taken: u64,
    bringing: RateMeter,
    taking: RateMeter,
}

/// What the windows of the connection allow to wait for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    /// The client may send.
    pub to_receive: bool,
    /// We may not.
    pub to_send: bool,
}

impl StreamWatch {
    /// A request begins.
    pub(super) fn new(limits: &EdgeLimits, receive_window: i64, send_window: i64) -> Self {
        Self {
            request_ended: false,
            response_began: false,
            response_ended: false,
            receive_window,
            send_window,
            brought: 0,
            taken: 0,
            bringing: RateMeter::new(limits.body),
            taking: RateMeter::new(limits.send),
        }
    }

    /// A DATA frame of the client begins.
    pub(super) fn receives(&mut self, length: u32) {
        self.receive_window -= i64::from(length);
    }

    /// So much of the body came.
    pub(super) fn brought(&mut self, octets: u32) {
        self.brought += u64::from(octets);
    }

    /// A DATA frame of ours begins.
    pub(super) fn sends(&mut self, length: u32) {
        self.send_window -= i64::from(length);
        self.taken += u64::from(length);
    }

    /// We let the client send so much more, or less.
    pub(super) fn widen_receive(&mut self, by: i64) {
        self.receive_window += by;
    }

    /// The client lets us send so much more, or less.
    pub(super) fn widen_send(&mut self, by: i64) {
        self.send_window += by;
    }

    /// The head of the response goes out.
    pub(super) fn response_begins(&mut self) {
        self.response_began = true;
    }

    /// Whether that has happened.
    pub(super) fn response_has_begun(&self) -> bool {
        self.response_began
    }

    /// The client has sent its last; says whether both sides have.
    pub(super) fn request_ends(&mut self) -> bool {
        self.request_ended = true;
        self.response_ended
    }

    /// We have sent our last; says whether both sides have.
    pub(super) fn response_ends(&mut self) -> bool {
        self.response_ended = true;
        self.request_ended
    }

    /// Whether the response waits for a window of the client; the connection's may be shut.
    pub(super) fn waits_for_window(&self, connection_is_shut: bool) -> bool {
        self.response_began && !self.response_ended && (connection_is_shut || self.send_window <= 0)
    }

    /// Says why the stream is to be ended, if it is.
    ///
    /// A body is waited for until the response begins. After that the two sides talk as long as they like (gRPC does),
    /// as over a WebSocket. When the response has ended, what is left of the body is waited for again.
    pub(super) fn tick(
        &mut self,
        limits: &EdgeLimits,
        connection: Waits,
        now: Instant,
    ) -> Option<Ended> {
        let for_body = !self.request_ended
            && (!self.response_began || self.response_ended)
            && connection.to_receive
            && self.receive_window > 0;
        let for_window = self.waits_for_window(connection.to_send);
        let brought = std::mem::take(&mut self.brought);
        let taken = std::mem::take(&mut self.taken);
        self.bringing.pass(brought, limits.body, now);
        self.taking.pass(taken, limits.send, now);
        let sides = [
            (&mut self.bringing, for_body, limits.body, Ended::BodyRate),
            (&mut self.taking, for_window, limits.send, Ended::SendRate),
        ];
        sides.into_iter().find_map(|(meter, waits, least, why)| {
            if waits {
                meter.wait(now);
            } else {
                meter.rest(now);
            }
            meter
                .deadline(least)
                .is_some_and(|deadline| deadline <= now)
                .then_some(why)
        })
    }
}
