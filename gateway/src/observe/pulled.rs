//! Numbers that other parts keep themselves, read when a scrape comes.

mod disk;
mod link;

use crate::origin::OriginState;
use latencify_cache::{CacheCount, MarksCount};
use std::fmt::{Display, Write as _};

/// Metrics in the text format (Prometheus 0.0.4), family by family.
#[derive(Default)]
pub struct Pulled {
    text: String,
}

/// What a family is.
#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

type Sample<'a> = (Vec<(&'static str, &'a str)>, f64);

impl Pulled {
    /// The cache and its marks.
    pub fn cache(&mut self, cache: &CacheCount, marks: MarksCount) {
        self.gauge("cache_objects", "Responses stored.", cache.objects);
        self.gauge(
            "cache_fills",
            "Responses on their way into the cache.",
            cache.fills,
        );
        self.gauge(
            "cache_bytes",
            "Bytes of stored responses and of those under way.",
            cache.bytes,
        );
        self.gauge(
            "cache_bytes_max",
            "The most that cache_bytes may be.",
            cache.bytes_max,
        );
        self.gauge(
            "cache_bytes_peak",
            "The most that cache_bytes ever was.",
            cache.bytes_peak,
        );
        self.gauge(
            "cache_lingering_bytes",
            "Bytes of responses that left the cache while somebody reads them.",
            cache.lingering_bytes,
        );
        self.gauge(
            "cache_filling_bytes",
            "Bytes of cache_bytes that responses under way hold, small ones aside.",
            cache.filling_bytes,
        );
        self.gauge(
            "cache_passing_bytes",
            "Bytes of responses that pass without being stored.",
            cache.passing_bytes,
        );
        self.gauge(
            "cache_hit_for_miss_keys",
            "Keys remembered as uncacheable.",
            cache.hit_for_miss,
        );
        self.counter("cache_stored_total", "Responses stored.", cache.stored);
        self.counter(
            "cache_evicted_total",
            "Responses evicted to make room.",
            cache.evicted,
        );
        self.counter(
            "cache_withdrawn_total",
            "Evicted responses that slow readers lost because their memory was needed.",
            cache.withdrawn,
        );
        self.counter(
            "cache_fills_given_up_total",
            "Responses under way that were too slow to be stored when their memory was needed.",
            cache.given_up,
        );
        self.counter(
            "cache_promoted_total",
            "Responses that came back into memory from another tier.",
            cache.promoted,
        );
        self.counter(
            "cache_dead_total",
            "Responses taken out because a purge names them.",
            cache.dead,
        );
        self.counter(
            "cache_swept_total",
            "Responses that a sweep took out because a purge names them.",
            cache.swept,
        );
        self.counter(
            "cache_sweeps_total",
            "Sweeps over everything that is stored.",
            cache.sweep_rounds,
        );
        self.counter(
            "cache_revalidated_total",
            "Responses whose fields a validation renewed.",
            cache.revalidated,
        );
        let refused = cache
            .refused
            .iter()
            .map(|(why, count)| (vec![("reason", *why)], *count as f64))
            .collect();
        self.family(
            Kind::Counter,
            "cache_refused_total",
            "Responses that were not stored, by why.",
            refused,
        );
        self.gauge("marks", "Marks of purges that are kept.", marks.marks);
        self.gauge(
            "marks_bytes",
            "Bytes of the marks on URLs, prefixes and tags.",
            marks.bytes,
        );
        self.gauge(
            "fetches_under_way",
            "Fetches and validations that may need marks of before them.",
            marks.under_way,
        );
        self.counter(
            "marks_forgotten_total",
            "Marks that sweeps forgot because nothing older was left.",
            marks.forgotten,
        );
        self.counter(
            "marks_widened_total",
            "Marks that became a wider one because there were too many.",
            marks.widened,
        );
        self.counter(
            "marks_changes_total",
            "Changes of marks, floors or the log.",
            marks.changes,
        );
    }

    /// The origins of the running policy.
    pub fn origins(&mut self, origins: &[OriginState]) {
        let mut each = |kind, name, help, value: fn(&OriginState) -> f64| {
            let samples = origins
                .iter()
                .map(|origin| (vec![("origin", &*origin.name)], value(origin)))
                .collect();
            self.family(kind, name, help, samples);
        };
        each(
            Kind::Gauge,
            "origin_healthy",
            "Whether an origin is worth a try.",
            |origin| f64::from(u8::from(origin.health.is_usable())),
        );
        each(
            Kind::Gauge,
            "origin_addresses",
            "Addresses of an origin's name.",
            |origin| origin.addresses as f64,
        );
        each(
            Kind::Gauge,
            "origin_usable_addresses",
            "Addresses that do not rest.",
            |origin| origin.usable_addresses as f64,
        );
        each(
            Kind::Counter,
            "origin_resolve_failures_total",
            "Its name was asked for in vain.",
            |origin| origin.resolve_failures as f64,
        );
        each(
            Kind::Counter,
            "origin_connect_failures_total",
            "Connections that failed.",
            |origin| origin.connect_failures as f64,
        );
        each(
            Kind::Counter,
            "origin_response_failures_total",
            "No response, or 502, 503, 504.",
            |origin| origin.response_failures as f64,
        );
        each(
            Kind::Counter,
            "origin_ejections_total",
            "How often it was ejected.",
            |origin| origin.ejections as f64,
        );
        each(
            Kind::Counter,
            "origin_checks_good_total",
            "Active checks that were good.",
            |origin| origin.checks_good as f64,
        );
        each(
            Kind::Counter,
            "origin_checks_failed_total",
            "Active checks that failed.",
            |origin| origin.checks_failed as f64,
        );
    }

    /// GeoIP files.
    pub fn places(&mut self, failures: u64) {
        self.counter(
            "geoip_failures_total",
            "Addresses whose GeoIP record could not be read; they count as unknown.",
            failures,
        );
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.text
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.family(Kind::Gauge, name, help, vec![(Vec::new(), value as f64)]);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(Kind::Counter, name, help, vec![(Vec::new(), value as f64)]);
    }

    fn family(&mut self, kind: Kind, name: &str, help: &str, samples: Vec<Sample<'_>>) {
        if samples.is_empty() {
            return;
        }
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.line(format_args!("# HELP latencify_gateway_{name} {help}"));
        self.line(format_args!("# TYPE latencify_gateway_{name} {kind}"));
        for (labels, value) in samples {
            let labels: Vec<_> = labels
                .into_iter()
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            let labels = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", labels.join(","))
            };
            self.line(format_args!("latencify_gateway_{name}{labels} {value}"));
        }
    }

    fn line(&mut self, line: impl Display) {
        // Writing to a String does not fail.
        let _ = writeln!(self.text, "{line}");
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_once_with_their_samples() {
        let mut pulled = Pulled::default();
        let count = CacheCount {
            objects: 3,
            refused: vec![("too_large", 2), ("a\"b", 0)],
            ..CacheCount::default()
        };
        pulled.cache(&count, MarksCount::default());
        let text = pulled.into_text();
        assert!(
            text.contains("latencify_gateway_cache_objects 3\n"),
            "{text}"
        );
        assert!(
            text.contains("latencify_gateway_cache_refused_total{reason=\"too_large\"} 2\n"),
            "{text}"
        );
        assert!(text.contains("{reason=\"a\\\"b\"} 0\n"), "{text}");
        assert_eq!(
            text.matches("# TYPE latencify_gateway_cache_refused_total counter")
                .count(),
            1
        );
    }
}
