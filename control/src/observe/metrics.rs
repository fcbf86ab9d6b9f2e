//! `latencify_control_*`: counters and gauges in the Prometheus text format. No label's values are chosen by clients.

use crate::{fault::Kind, fleet::Standing, fold::Outcome, observe::connections::Connections};
use latencify_conf::{change::Epoch, link::replica::End};
use prometheus::{
    Histogram, HistogramOpts, HistogramTimer, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};
use std::sync::Arc;

/// Seconds: from a local commit to a broker far away.
const APPEND_BUCKETS: [f64; 10] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 10.0,
];
/// Seconds: from acceptance to an edge's ack.
const ACK_BUCKETS: [f64; 10] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 10.0,
];

/// Every metric of this program. A clone counts the same.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    applied: IntGauge,
    entries: IntCounterVec,
    append: Histogram,
    ack: Histogram,
    edges: IntGaugeVec,
    drifted: IntGauge,
    streams_ended: IntCounterVec,
    requests: IntCounterVec,
    events: IntCounterVec,
    consumer_errors: IntCounter,
    policies_unread: IntCounter,
    log_forks: IntCounter,
    faults: IntGaugeVec,
    connections: Connections,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let counters = |name: &str, help: &str, label: &str| {
            let metric = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let seconds = |name: &str, help: &str, buckets: &[f64]| {
            let metric =
                Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let policies_unread = IntCounter::new(
            "latencify_control_policies_unread_total",
            "Times that a purge met an older policy that can't be read, and took all its sites.",
        )?;
        registry.register(Box::new(policies_unread.clone()))?;
        let log_forks = IntCounter::new(
            "latencify_control_log_forks_total",
            "Times that an edge came that had obeyed an entry of this log that is not in it: an older copy was restored.",
        )?;
        registry.register(Box::new(log_forks.clone()))?;
        let consumer_errors = IntCounter::new(
            "latencify_control_event_consumer_errors_total",
            "Times that the event consumer lost its broker.",
        )?;
        registry.register(Box::new(consumer_errors.clone()))?;
        let faults = IntGaugeVec::new(
            Opts::new(
                "latencify_control_fault",
                "1 while the log or the store can't be written, or edges are not answered, by the kind of the fault.",
            ),
            &["part", "kind"],
        )?;
        registry.register(Box::new(faults.clone()))?;
        let edges = IntGaugeVec::new(
            Opts::new(
                "latencify_control_edges",
                "Edge processes of the roster: connected to this replica; cut off, and perhaps serving what they have stored; \
                 fenced until they have caught up; ahead of this replica's log.",
            ),
            &["state"],
        )?;
        registry.register(Box::new(edges.clone()))?;
        let inner = Inner {
            faults,
            applied: gauge(
                "latencify_control_log_applied_epoch",
                "The newest folded entry.",
            )?,
            entries: counters(
                "latencify_control_log_entries_total",
                "Folded entries by outcome.",
                "outcome",
            )?,
            append: seconds(
                "latencify_control_log_append_seconds",
                "From handing an entry to the log until it is kept.",
                &APPEND_BUCKETS,
            )?,
            ack: seconds(
                "latencify_control_edge_ack_seconds",
                "From an entry's acceptance to an edge's ack.",
                &ACK_BUCKETS,
            )?,
            edges,
            drifted: gauge(
                "latencify_control_edges_drifted",
                "Edge processes of the roster that run another policy than their target, and have not said why.",
            )?,
            streams_ended: counters(
                "latencify_control_edge_streams_ended_total",
                "Ended edge streams by reason.",
                "reason",
            )?,
            requests: counters(
                "latencify_control_api_requests_total",
                "Answered API requests by class of status.",
                "class",
            )?,
            events: counters(
                "latencify_control_events_total",
                "Content events by outcome.",
                "outcome",
            )?,
            consumer_errors,
            policies_unread,
            log_forks,
            connections: Connections::register(&registry)?,
            registry,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Those of connections.
    pub fn connections(&self) -> Connections {
        self.inner.connections.clone()
    }

    /// What keeps a part from being written; none: it works.
    pub fn fault(&self, part: &str, fault: Option<Kind>) {
        for kind in Kind::ALL {
            let is_this = i64::from(fault == Some(kind));
            self.inner
                .faults
                .with_label_values(&[part, kind.as_str()])
                .set(is_this);
        }
    }

    /// A purge met an older policy that can't be read.
    pub fn policy_unread(&self) {
        self.inner.policies_unread.inc();
    }

    /// An edge had obeyed what is not in the log.
    pub fn log_forked(&self) {
        self.inner.log_forks.inc();
    }

    /// A batch was folded.
    pub fn folded(&self, applied: Epoch, outcomes: impl Iterator<Item = Outcome>) {
        self.inner.applied.set(applied.0 as i64);
        for outcome in outcomes {
            self.inner
                .entries
                .with_label_values(&[outcome.as_str()])
                .inc();
        }
    }

    /// Measures an append.
    pub fn append_timer(&self) -> HistogramTimer {
        self.inner.append.start_timer()
    }

    /// An edge has acked an entry so long after its acceptance.
    pub fn acked(&self, after: std::time::Duration) {
        self.inner.ack.observe(after.as_secs_f64());
    }

    /// So many edge processes of the roster stand like this.
    pub fn edges(&self, standing: Standing, count: usize) {
        self.inner
            .edges
            .with_label_values(&[standing.as_str()])
            .set(count as i64);
    }

    /// So many edge processes run something else than their target.
    pub fn drifted(&self, count: usize) {
        self.inner.drifted.set(count as i64);
    }

    /// An edge's stream ended; none: it broke.
    pub fn stream_ended(&self, end: Option<End>) {
        self.inner
            .streams_ended
            .with_label_values(&[end.map_or("broken", End::as_str)])
            .inc();
    }

    /// An API request was answered.
    pub fn answered(&self, status: u16) {
        let class = match status {
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        self.inner.requests.with_label_values(&[class]).inc();
    }

    /// A content event came to this end: `accepted`, `repeat`, or a stable reason of refusal.
    pub fn event(&self, outcome: &'static str) {
        self.inner.events.with_label_values(&[outcome]).inc();
    }

    /// The event consumer lost its broker.
    pub fn consumer_error(&self) {
        self.inner.consumer_errors.inc();
    }

    /// The text format.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.inner.registry.gather())
    }
}
