//! `latencify_control_connections*`: who is connected, and who was ended that might have gone on.

use crate::serve::Cut;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// The metrics of connections. A clone counts the same.
#[derive(Clone)]
pub struct Connections {
    open: IntGaugeVec,
    ended: IntCounterVec,
}

/// One connection.
#[derive(Debug)]
pub struct Open(IntGauge);

impl Connections {
    /// All at zero, in that registry.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let open = IntGaugeVec::new(
            Opts::new(
                "latencify_control_connections",
                "Connections at a time, by listening address.",
            ),
            &["address"],
        )?;
        let ended = IntCounterVec::new(
            Opts::new(
                "latencify_control_connections_ended_total",
                "Connections that were ended, by listening address and reason: crowded_out and full tell that places are \
                 wanting.",
            ),
            &["address", "reason"],
        )?;
        registry.register(Box::new(open.clone()))?;
        registry.register(Box::new(ended.clone()))?;
        Ok(Self { open, ended })
    }

    /// One more at that address, until what is returned is dropped.
    pub fn opened(&self, address: &str) -> Open {
        let open = self.open.with_label_values(&[address]);
        open.inc();
        Open(open)
    }

    /// One was ended.
    pub fn ended(&self, address: &str, cut: Cut) {
        let labels = [address, cut.as_str()];
        self.ended.with_label_values(&labels).inc();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
