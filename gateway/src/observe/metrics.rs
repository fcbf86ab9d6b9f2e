//! The numbers of an edge. Every label has a bounded set of values, none of which a client chooses: sites, routes and
//! origins come from the policy, the others from enums.

mod connections;
mod ends;
mod fetches;
mod origins;
mod requests;

pub use connections::{ConnectionMetrics, Ended, Refused};
pub use ends::EndMetrics;
pub use fetches::FetchMetrics;
pub use origins::{ANSWERED, OriginCounts};
pub use requests::{Course, RequestMetrics, RouteCounts};

use crate::errors::Fault;
use latencify_conf::record::CacheOutcome;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry, TextEncoder,
};
use std::{sync::Arc, time::Duration};

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    requests: RequestMetrics,
    faults: IntCounterVec,
    violations: IntCounterVec,
    origin_attempts: IntCounterVec,
    origin_first_byte: Histogram,
    requests_under_way: IntGauge,
    /// Connections of the public.
    pub connections: ConnectionMetrics,
    /// Requests without a whole answer.
    pub ends: EndMetrics,
    /// Requests at origins.
    pub fetches: FetchMetrics,
    /// Requests that were answered from memory before Pingora saw them.
    pub hot_answers: IntCounter,
    /// Requests that an origin answered before Pingora saw them.
    pub passed_answers: IntCounter,
    /// Access records that the writer was too far behind to take.
    pub access_log_dropped: IntCounter,
    /// Policies that took effect.
    pub policy_reloads: IntCounter,
    /// Policies that were refused; the one before stays.
    pub policy_reload_failures: IntCounter,
    /// When the running policy took effect, in seconds since 1970.
    pub policy_loaded_at: IntGauge,
    /// The revision that runs; 0: from files.
    pub policy_revision: IntGauge,
    /// Panics in requests.
    pub panics: IntCounter,
}

/// What a request is counted under.
#[derive(Debug, Clone, Copy)]
pub struct RequestLabels<'a> {
    /// The site's name; `-`: none.
    pub site: &'a str,
    /// The route's name; `-`: none.
    pub route: &'a str,
    /// The status sent; 0: none.
    pub status: u16,
    /// What the cache did.
    pub cache: CacheOutcome,
}

/// Something that is counted for as long as this lives, however it ends.
#[derive(Debug)]
pub struct Counted(IntGauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

const LATENCY_BUCKETS_SECONDS: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

impl Metrics {
    /// All metrics, at zero, in a registry of their own.
    pub fn new() -> prometheus::Result<Arc<Self>> {
        let registry = Registry::new();
        let make = Maker {
            registry: &registry,
        };
        Ok(Arc::new(Self {
            requests: RequestMetrics::register(&registry)?,
            faults: make.counters(
                "faults_total",
                "Requests that were not answered as asked, by why.",
                &["fault"],
            )?,
            violations: make.counters(
                "framing_violations_total",
                "Requests refused because they could be read in two ways, by what was wrong.",
                &["violation"],
            )?,
            origin_attempts: make.counters(
                "origin_attempts_total",
                "Attempts at origins, by origin and outcome.",
                &["origin", "outcome"],
            )?,
            origin_first_byte: make.histogram(
                "origin_first_byte_seconds",
                "From the choice of an origin to the head of its response.",
            )?,
            requests_under_way: make.gauge(
                "requests_under_way",
                "Requests under way, background refreshes included.",
            )?,
            connections: ConnectionMetrics::register(&registry)?,
            ends: EndMetrics::register(&registry)?,
            fetches: FetchMetrics::register(&registry)?,
            hot_answers: make.counter(
                "hot_answers_total",
                "Requests answered from memory without the proxy's machinery.",
            )?,
            passed_answers: make.counter(
                "passed_answers_total",
                "Requests passed through to an origin and back without the proxy's machinery.",
            )?,
            access_log_dropped: make.counter(
                "access_log_dropped_total",
                "Access records dropped because the writer was behind.",
            )?,
            policy_reloads: make.counter("policy_reloads_total", "Policies that took effect.")?,
            policy_reload_failures: make.counter(
                "policy_reload_failures_total",
                "Policies that were refused; the one before stays in effect.",
            )?,
            policy_loaded_at: make.gauge(
                "policy_loaded_timestamp_seconds",
                "When the running policy took effect, since 1970.",
            )?,
            policy_revision: make.gauge(
                "policy_revision",
                "The policy revision that runs; 0: from files.",
            )?,
            panics: make.counter(
                "panics_total",
                "Panics; each ended one request or connection.",
            )?,
            registry,
        }))
    }

    /// For metrics that other parts keep themselves.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Counts an answered request. `route`: where the route that took it keeps its metrics.
    pub fn request(&self, labels: RequestLabels<'_>, course: &Course, route: Option<&RouteCounts>) {
        self.requests.count(labels, course, route);
    }

    /// Counts a request as under way until the guard is dropped.
    pub fn request_under_way(&self) -> Counted {
        self.requests_under_way.inc();
        Counted(self.requests_under_way.clone())
    }

    /// Counts a fault.
    pub fn fault(&self, fault: Fault) {
        self.faults.with_label_values(&[fault.name()]).inc();
    }

    /// Counts a request that could be read in two ways.
    pub fn violation(&self, name: &'static str) {
        self.violations.with_label_values(&[name]).inc();
    }

    /// Counts an attempt at an origin. `kept`: where the origin keeps its metrics.
    pub fn origin_attempt(
        &self,
        origin: &str,
        outcome: &'static str,
        first_byte: Option<Duration>,
        kept: Option<&OriginCounts>,
    ) {
        let find = || self.origin_attempts.with_label_values(&[origin, outcome]);
        match kept.filter(|_| outcome == ANSWERED) {
            Some(kept) => kept.answered.get_or_init(find).inc(),
            None => find().inc(),
        }
        if let Some(first_byte) = first_byte {
            self.origin_first_byte.observe(first_byte.as_secs_f64());
        }
    }

    /// The text that a scrape gets.
    pub fn render(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

struct Maker<'a> {
    registry: &'a Registry,
}

impl Maker<'_> {
    fn opts(name: &str, help: &str) -> Opts {
        Opts::new(name, help)
            .namespace("latencify")
            .subsystem("gateway")
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        let counters = IntCounterVec::new(Self::opts(name, help), labels)?;
        self.registry.register(Box::new(counters.clone()))?;
        Ok(counters)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        let counter = IntCounter::with_opts(Self::opts(name, help))?;
        self.registry.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let gauge = IntGauge::with_opts(Self::opts(name, help))?;
        self.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn buckets(name: &str, help: &str) -> HistogramOpts {
        HistogramOpts {
            common_opts: Self::opts(name, help),
            buckets: LATENCY_BUCKETS_SECONDS.to_vec(),
        }
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<HistogramVec> {
        let histograms = HistogramVec::new(Self::buckets(name, help), labels)?;
        self.registry.register(Box::new(histograms.clone()))?;
        Ok(histograms)
    }

    fn histogram(&self, name: &str, help: &str) -> prometheus::Result<Histogram> {
        let histogram = Histogram::with_opts(Self::buckets(name, help))?;
        self.registry.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::new().unwrap();
        let labels = RequestLabels {
            site: "shop",
            route: "static",
            status: 200,
            cache: CacheOutcome::Hit,
        };
        let course = Course {
            duration: Duration::from_millis(2),
            first_byte: Some(Duration::from_millis(1)),
            bytes: (0, 10),
        };
        let route = RouteCounts::default();
        metrics.request(labels, &course, None);
        for status in [200, 304, 999] {
            let labels = RequestLabels { status, ..labels };
            metrics.request(labels, &course, Some(&route));
        }
        metrics.fault(Fault::NoSite);
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        for (class, count) in [("2xx", 2), ("3xx", 1), ("none", 1)] {
            let labels = r#"cache="hit",route="static",site="shop""#;
            let line = format!(
                r#"latencify_gateway_requests_total{{{labels},status_class="{class}"}} {count}"#
            );
            assert!(text.contains(&line), "{line}: {text}");
        }
        let sent = r#"latencify_gateway_response_body_bytes_total{cache="hit",site="shop"} 40"#;
        assert!(text.contains(sent), "{text}");
        assert!(
            text.contains(r#"latencify_gateway_faults_total{fault="no_site"} 1"#),
            "{text}"
        );
    }
}
