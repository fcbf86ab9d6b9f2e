//! Telling of the requests that the library and Pingora refuse: a record and a number for each, as for any other.

use super::{ledger::Missed, word::Word};
use crate::{
    edge::Edge,
    errors::Fault,
    listen::{gate::Gate, untaken},
    observe::{Course, RequestLabels, Unserved},
};
use latencify_conf::record::{AccessRecord, CacheOutcome};
use pingora::protocols::Stream;
use std::{
    borrow::Cow,
    net::IpAddr,
    sync::Arc,
    task::Poll,
    time::{Instant, SystemTime},
};

/// Keeps the books of one connection. What is still open when it is dropped was never served.
pub(super) struct Books {
    gate: Arc<Gate>,
    word: Arc<Word>,
    client: IpAddr,
    is_secure: bool,
    /// Requests that were taken up since the last settlement.
    taken: usize,
}

impl Books {
    /// Of a connection on which nothing has come yet.
    pub(super) fn open(gate: Arc<Gate>, word: Arc<Word>, stream: &Stream) -> Self {
        Self {
            gate,
            word,
            client: untaken::peer_address(&**stream),
            is_secure: stream.get_ssl_digest().is_some(),
            taken: 0,
        }
    }

    /// A request is taken up.
    pub(super) fn take(&mut self) {
        self.taken += 1;
    }

    /// Passes on what the library says when it is asked for a request. When it has none and nothing is left to read, all
    /// that came is accounted for.
    pub(super) fn heed<T>(&mut self, asked: Poll<T>) -> Poll<T> {
        if asked.is_pending() && self.word.is_read_empty() {
            let missed = self.word.ledger().settle(std::mem::take(&mut self.taken));
            self.word.forget_decisions();
            self.tell(missed);
        }
        asked
    }

    fn tell(&self, missed: Vec<Missed>) {
        for request in missed {
            tracing::debug!(
                stream = request.stream,
                reason = request.why.name(),
                "request refused"
            );
            if let Some(edge) = self.gate.edge.get() {
                self.record(edge, &request);
            }
        }
    }

    fn record(&self, edge: &Edge, request: &Missed) {
        edge.metrics.ends.unserved(request.why);
        let status = request.why.status();
        match request.why {
            Unserved::Malformed | Unserved::Authority => edge.metrics.fault(Fault::BadRequest),
            Unserved::HeaderBytes => edge.metrics.fault(Fault::FieldsTooLarge),
            _ => {}
        }
        let labels = RequestLabels {
            site: "-",
            route: "-",
            status,
            cache: CacheOutcome::None,
        };
        let duration = request.began.elapsed();
        let course = Course {
            duration,
            first_byte: None,
            bytes: (0, 0),
        };
        edge.metrics.request(labels, &course, None);
        if !edge.access_log.is_on() {
            return;
        }
        let came = SystemTime::now() - Instant::now().saturating_duration_since(request.began);
        edge.access_log.record(&AccessRecord {
            time: came.into(),
            protocol: Cow::Borrowed("HTTP/2"),
            status,
            duration_us: duration.as_micros() as u64,
            error: Some(Cow::Borrowed(request.why.name())),
            error_detail: Some(
                format!("stream {}: {}", request.stream, request.why.advice()).into(),
            ),
            ..untaken::record(edge, self.client, self.is_secure)
        });
    }
}

impl Drop for Books {
    fn drop(&mut self) {
        let why = self.word.why().map(Unserved::Connection);
        let missed = self.word.ledger().close(self.taken, why);
        self.tell(missed);
    }
}
