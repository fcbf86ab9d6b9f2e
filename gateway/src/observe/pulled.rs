//! Numbers that other parts keep themselves, read when a scrape comes.

use crate::{
    fleet::{LinkState, Standing, saved::Saving},
    origin::OriginState,
};
use latencify_cache::{CacheCount, MarksCount};
use latencify_conf::link::edge::Isolation;
use std::fmt::{Display, Write as _};
use tokio::time::Instant;

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

    /// The link to control.
    pub fn link(&mut self, link: &LinkState) {
        let lease = link.lease_until.is_some_and(|until| until > Instant::now());
        self.gauge(
            "link_connected",
            "Whether a replica of control has welcomed this edge.",
            u64::from(link.connected),
        );
        self.gauge(
            "link_lease_valid",
            "Whether control counts on this edge.",
            u64::from(lease),
        );
        self.gauge(
            "link_epoch",
            "Every entry of the log up to here is obeyed.",
            link.obeyed.map_or(0, |at| at.epoch.0),
        );
        self.gauge(
            "link_head_epoch",
            "The newest entry of the log that this edge has heard of.",
            link.head.0,
        );
        self.counter(
            "link_entries_total",
            "Entries of the log applied.",
            link.entries,
        );
        self.counter(
            "link_streams_total",
            "Streams to control opened.",
            link.streams,
        );
        let errors = link
            .errors
            .iter()
            .map(|(why, count)| (vec![("error", *why)], *count as f64))
            .collect();
        self.family(
            Kind::Counter,
            "link_errors_total",
            "What went wrong with the link, by name.",
            errors,
        );
    }

    /// Whether purges may be missing.
    pub fn standing(&mut self, standing: &Standing) {
        let isolated = standing.isolated();
        let reasons = Isolation::ALL.map(|why| {
            let holds = isolated.is_some_and(|isolated| isolated.why == why);
            (vec![("reason", why.as_str())], f64::from(u8::from(holds)))
        });
        self.family(
            Kind::Gauge,
            "isolated",
            "Whether purges may be missing, by why.",
            reasons.into(),
        );
        let does = standing.when_isolated().as_str();
        self.family(
            Kind::Counter,
            "isolated_requests_total",
            "Requests that a stored response would have answered while purges might be missing, by what was done.",
            vec![(vec![("when_isolated", does)], standing.requests() as f64)],
        );
    }

    /// What is saved of what is obeyed.
    pub fn saving(&mut self, saving: &Saving) {
        let saved = *saving.saved().borrow();
        self.gauge(
            "state_saved_epoch",
            "Every entry of the log up to here is obeyed, and on disk.",
            saved.map_or(0, |at| at.epoch.0),
        );
        self.gauge(
            "state_save_failing",
            "Whether what is obeyed can't be saved now.",
            u64::from(saving.is_failing()),
        );
        self.counter(
            "state_save_failures_total",
            "Attempts to save what is obeyed that failed.",
            saving.failures(),
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
    use latencify_conf::change::{Epoch, ProcessId};
    use std::collections::BTreeMap;

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

    #[test]
    fn the_link_tells_where_it_stands_and_every_error_it_can_meet() {
        let mut pulled = Pulled::default();
        pulled.link(&LinkState {
            process: ProcessId(uuid::Uuid::nil()),
            connected: true,
            obeyed: None,
            head: Epoch(7),
            lease_until: None,
            entries: 5,
            streams: 2,
            errors: BTreeMap::from([("chain_broken", 0), ("closed", 1)]),
        });
        let text = pulled.into_text();
        for line in [
            "link_connected 1",
            "link_lease_valid 0",
            "link_epoch 0",
            "link_head_epoch 7",
            "link_entries_total 5",
            "link_streams_total 2",
            "link_errors_total{error=\"chain_broken\"} 0",
            "link_errors_total{error=\"closed\"} 1",
        ] {
            let line = format!("latencify_gateway_{line}\n");
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
