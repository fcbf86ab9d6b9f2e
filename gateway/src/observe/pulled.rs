//! The numbers that the cache keeps itself, read when a scrape comes.

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
