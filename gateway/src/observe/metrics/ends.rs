//! Requests without an answer, or without a whole one.

use super::{Ended, Maker};
use crate::observe::{Cut, Unserved};
use prometheus::{IntCounterVec, Registry};

/// How requests ended that were not answered to their end.
pub struct EndMetrics {
    cut: IntCounterVec,
    unserved: IntCounterVec,
}

impl EndMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let make = Maker { registry };
        let metrics = Self {
            cut: make.counters(
                "requests_cut_total",
                "Requests that were taken up and did not come to their end, by the cause that their record names.",
                &["cause"],
            )?,
            unserved: make.counters(
                "http2_requests_refused_total",
                "Requests over HTTP/2 that were refused before anybody saw what they ask for, by why.",
                &["reason"],
            )?,
        };
        // A counter that is there at 0 can be told from one that is misspelt in an alert.
        let limits = Ended::ALL.map(Ended::name);
        for cause in Cut::OWN.map(Cut::name).iter().chain(&limits) {
            metrics.cut.with_label_values(&[*cause]);
        }
        for reason in Unserved::OWN.map(Unserved::name).iter().chain(&limits) {
            metrics.unserved.with_label_values(&[*reason]);
        }
        Ok(metrics)
    }

    /// A request did not come to its end.
    pub fn cut(&self, cause: Cut) {
        self.cut.with_label_values(&[cause.name()]).inc();
    }

    /// A request was refused by the layers below.
    pub fn unserved(&self, why: Unserved) {
        self.unserved.with_label_values(&[why.name()]).inc();
    }
}
