//! Requests that are at an origin, and those that found no place there.

use super::Maker;
use crate::fetches::Crowded;
use prometheus::{IntCounterVec, IntGauge, Registry};

/// The numbers of requests at origins, background refreshes included.
#[derive(Debug, Clone)]
pub struct FetchMetrics {
    under_way: IntGauge,
    refused: IntCounterVec,
}

impl FetchMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let make = Maker { registry };
        let metrics = Self {
            under_way: make.gauge(
                "origin_requests_under_way",
                "Requests that are at an origin, background refreshes included.",
            )?,
            refused: make.counters(
                "fetches_refused_total",
                "Requests, and background refreshes, that no origin was asked for, by the limit.",
                &["reason"],
            )?,
        };
        // A counter that is there at 0 can be told from one that is misspelt in an alert.
        for crowded in Crowded::ALL {
            metrics.refused.with_label_values(&[crowded.name()]);
        }
        Ok(metrics)
    }

    /// Numbers that nobody scrapes.
    #[cfg(test)]
    pub fn unseen() -> prometheus::Result<Self> {
        Self::register(&Registry::new())
    }

    /// A request goes to an origin. [`FetchMetrics::left`] follows.
    pub fn entered(&self) {
        self.under_way.inc();
    }

    /// It needs none any more.
    pub fn left(&self) {
        self.under_way.dec();
    }

    /// There was no place for it.
    pub fn refused(&self, crowded: Crowded) {
        self.refused.with_label_values(&[crowded.name()]).inc();
    }
}
