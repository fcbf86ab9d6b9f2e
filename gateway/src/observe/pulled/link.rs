//! Where the edge stands in its fleet.

use super::{Kind, Pulled};
use crate::fleet::{LinkState, Standing, saved::Saving};
use latencify_conf::link::edge::Isolation;
use tokio::time::Instant;

impl Pulled {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_conf::change::{Epoch, ProcessId};
    use std::collections::BTreeMap;

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
