//! The numbers of requests that were answered.
//!
//! A metric of some labels is found by hashing them and under a lock, five times a request. So each route keeps what it
//! found ([`RouteCounts`]).

use super::{Maker, RequestLabels};
use latencify_conf::record::CacheOutcome;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, Registry};
use std::{sync::OnceLock, time::Duration};

const OUTCOMES: usize = CacheOutcome::Absent as usize + 1;
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Requests, by site, route and what became of them.
pub struct RequestMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    first_byte: HistogramVec,
    received: IntCounterVec,
    sent: IntCounterVec,
}

/// How a request went.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// From its head to the end of its response.
    pub duration: Duration,
    /// From its head to that of its response; none: there was none.
    pub first_byte: Option<Duration>,
    /// Octets of its body, and of its response's.
    pub bytes: (u64, u64),
}

/// The metrics of one route's requests, found when they are first needed.
#[derive(Default)]
pub struct RouteCounts {
    outcomes: [OnceLock<Box<OutcomeCounts>>; OUTCOMES],
}

struct OutcomeCounts {
    duration: Histogram,
    first_byte: Histogram,
    received: IntCounter,
    sent: IntCounter,
    requests: [OnceLock<IntCounter>; CLASSES.len()],
}

impl RequestMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let make = Maker { registry };
        Ok(Self {
            requests: make.counters(
                "requests_total",
                "Requests answered, by site, route, class of status and what the cache did.",
                &["site", "route", "status_class", "cache"],
            )?,
            duration: make.histograms(
                "request_duration_seconds",
                "From a request's head to the end of its response.",
                &["site", "cache"],
            )?,
            first_byte: make.histograms(
                "first_byte_seconds",
                "From a request's head to the head of its response.",
                &["site", "cache"],
            )?,
            received: make.counters(
                "request_body_bytes_total",
                "Bytes of request bodies read from clients.",
                &["site"],
            )?,
            sent: make.counters(
                "response_body_bytes_total",
                "Bytes of response bodies sent to clients.",
                &["site", "cache"],
            )?,
        })
    }

    /// Counts a request. `route`: where the route that took it keeps its metrics.
    pub fn count(&self, labels: RequestLabels<'_>, course: &Course, route: Option<&RouteCounts>) {
        let kept = route.and_then(|route| route.outcomes.get(labels.cache as usize));
        match kept {
            Some(kept) => kept
                .get_or_init(|| Box::new(self.find(labels)))
                .count(self, labels, course),
            None => self.find(labels).count(self, labels, course),
        }
    }

    fn find(&self, labels: RequestLabels<'_>) -> OutcomeCounts {
        let (site, cache) = (labels.site, labels.cache.as_str());
        OutcomeCounts {
            duration: self.duration.with_label_values(&[site, cache]),
            first_byte: self.first_byte.with_label_values(&[site, cache]),
            received: self.received.with_label_values(&[site]),
            sent: self.sent.with_label_values(&[site, cache]),
            requests: Default::default(),
        }
    }
}

impl OutcomeCounts {
    fn count(&self, metrics: &RequestMetrics, labels: RequestLabels<'_>, course: &Course) {
        let class = usize::from(labels.status / 100);
        let class = if class < CLASSES.len() { class } else { 0 };
        if let (Some(requests), Some(name)) = (self.requests.get(class), CLASSES.get(class)) {
            let find = || {
                let labels = [labels.site, labels.route, *name, labels.cache.as_str()];
                metrics.requests.with_label_values(&labels)
            };
            requests.get_or_init(find).inc();
        }
        self.duration.observe(course.duration.as_secs_f64());
        if let Some(first_byte) = course.first_byte {
            self.first_byte.observe(first_byte.as_secs_f64());
        }
        let (received, sent) = course.bytes;
        if received > 0 {
            self.received.inc_by(received);
        }
        self.sent.inc_by(sent);
    }
}
