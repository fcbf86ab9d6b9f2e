//! Waiting for the next request of a connection, and reading its head.

use super::{framing_limits, line::Line};
use crate::{drain::Drain, observe::Ended};
use bytes::{Buf as _, BytesMut};
use latencify_conf::policy::EdgeLimits;
use latencify_framing::{Head, HeadReader, Violation};
use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    task::Poll,
};
use tokio::time::{Instant, timeout_at};

/// What came.
pub(super) enum Arrival {
    /// A whole head, and its octets without what may stand before it.
    Head(Head, BytesMut),
    /// What no request may be; the octets are pending.
    Refused(Violation, HeadReader),
    /// A head that did not come in time; its octets are pending.
    Late(HeadReader),
    /// Nothing that anybody waits for an answer to: the client closed, or the time was over that is named.
    Nothing(Option<Ended>),
}

impl Line {
    /// The next head. The first of a connection has its time from the start of the connection, the others from their
    /// first octet.
    pub(super) async fn next_head(
        &mut self,
        first: bool,
        limits: &EdgeLimits,
        drain: &Drain,
    ) -> Arrival {
        let came_at = Instant::now();
        if self.pending.is_empty() {
            let (wait, over) = if first {
                (limits.header_time, Ended::HeaderTime)
            } else {
                (limits.idle, Ended::Idle)
            };
            let mut closing = pin!(drain.idle_closes());
            let came = poll_fn(|cx| {
                if let Poll::Ready(came) = self.poll_more(cx) {
                    return Poll::Ready(matches!(came, Ok(1..)).then_some(()).ok_or(None));
                }
                if self.alarm.poll_over(cx, came_at + wait).is_ready() {
                    return Poll::Ready(Err(Some(over)));
                }
                closing.as_mut().poll(cx).map(|()| Err(None))
            });
            if let Err(ended) = came.await {
                return Arrival::Nothing(ended);
            }
        }
        // Seldom asked for: most heads come in one piece.
        let mut start = first.then_some(came_at);
        let mut reader = HeadReader::new(framing_limits(limits));
        loop {
            match reader.read(&self.pending) {
                Ok(Some(head)) => {
                    let octets = self.take_head(&head);
                    return Arrival::Head(head, octets);
                }
                Ok(None) => {}
                Err(violation) => return Arrival::Refused(violation, reader),
            }
            let until = *start.get_or_insert_with(Instant::now) + limits.header_time;
            match timeout_at(until, self.read_more()).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return Arrival::Nothing(None),
                Err(_) => return Arrival::Late(reader),
            }
        }
    }

    fn take_head(&mut self, head: &Head) -> BytesMut {
        let mut octets = if head.end == self.pending.len() {
            // The usual case: nothing is shared, so nothing is counted.
            std::mem::take(&mut self.pending)
        } else {
            self.pending.split_to(head.end)
        };
        octets.advance(head.skip);
        octets
    }
}
