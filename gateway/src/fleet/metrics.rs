//! The link to control in `/metrics`.

use super::status::Status;
use parking_lot::Mutex;
use prometheus::{
    Gauge, IntCounter, IntCounterVec, IntGauge, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use std::sync::Arc;
use tokio::time::Instant;

/// Reads where the link stands at every scrape.
pub struct LinkMetrics {
    status: Arc<Status>,
    /// One scrape at a time fills the families.
    families: Mutex<Families>,
    descs: Vec<Desc>,
}

struct Families {
    connected: IntGauge,
    obeyed: IntGauge,
    head: IntGauge,
    lease: Gauge,
    entries: IntCounter,
    streams: IntCounter,
    errors: IntCounterVec,
}

impl LinkMetrics {
    /// Metrics of the link with this status.
    pub(super) fn new(status: Arc<Status>) -> prometheus::Result<Self> {
        let families = Families::new()?;
        let descs = families
            .all()
            .into_iter()
            .flat_map(Collector::desc)
            .cloned()
            .collect();
        Ok(Self {
            status,
            families: Mutex::new(families),
            descs,
        })
    }
}

impl Collector for LinkMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let families = self.families.lock();
        families.fill(&self.status);
        families
            .all()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}

impl Families {
    fn new() -> prometheus::Result<Self> {
        let opts = |name, help| {
            Opts::new(name, help)
                .namespace("latencify")
                .subsystem("gateway")
        };
        Ok(Self {
            connected: IntGauge::with_opts(opts(
                "link_connected",
                "1 while a replica of control has welcomed this edge.",
            ))?,
            obeyed: IntGauge::with_opts(opts(
                "link_obeyed_epoch",
                "Every entry of the change log up to this epoch is obeyed.",
            ))?,
            head: IntGauge::with_opts(opts(
                "link_head_epoch",
                "The newest epoch that control has told of.",
            ))?,
            lease: Gauge::with_opts(opts(
                "link_lease_remaining_seconds",
                "For how long control still counts on this edge; negative: cut off for so long, 0: never joined.",
            ))?,
            entries: IntCounter::with_opts(opts(
                "link_entries_total",
                "Entries of the change log that were applied.",
            ))?,
            streams: IntCounter::with_opts(opts(
                "link_streams_total",
                "Streams to control that were opened.",
            ))?,
            errors: IntCounterVec::new(
                opts(
                    "link_errors_total",
                    "Why streams to control ended or did not open.",
                ),
                &["reason"],
            )?,
        })
    }

    fn all(&self) -> [&dyn Collector; 7] {
        let Self {
            connected,
            obeyed,
            head,
            lease,
            entries,
            streams,
            errors,
        } = self;
        [connected, obeyed, head, lease, entries, streams, errors]
    }

    fn fill(&self, status: &Status) {
        let link = status.read();
        self.connected.set(link.connected.into());
        self.obeyed
            .set(link.obeyed.map_or(0, |position| position.epoch.0 as i64));
        self.head.set(link.head.0 as i64);
        self.lease.set(link.lease_until.map_or(0.0, |until| {
            let now = Instant::now();
            let (left, over) = (
                until.saturating_duration_since(now),
                now.saturating_duration_since(until),
            );
            left.as_secs_f64() - over.as_secs_f64()
        }));
        self.entries.reset();
        self.entries.inc_by(link.entries);
        self.streams.reset();
        self.streams.inc_by(link.streams);
        self.errors.reset();
        for (reason, errors) in link.errors {
            self.errors.with_label_values(&[reason]).inc_by(errors);
        }
    }
}
