//! Origins in `/metrics`.

use super::{Health, OriginState};
use parking_lot::Mutex;
use prometheus::{
    IntCounterVec, IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// Reads the origins of the policy in force at every scrape.
pub struct OriginMetrics {
    read: Box<dyn Fn() -> Vec<OriginState> + Send + Sync>,
    /// One scrape at a time fills the families.
    families: Mutex<Families>,
    descs: Vec<Desc>,
}

struct Families {
    health: IntGaugeVec,
    addresses: IntGaugeVec,
    failures: IntCounterVec,
    ejections: IntCounterVec,
    checks: IntCounterVec,
}

impl OriginMetrics {
    /// Metrics of the origins that `read` returns.
    pub fn new(
        read: impl Fn() -> Vec<OriginState> + Send + Sync + 'static,
    ) -> prometheus::Result<Self> {
        let families = Families::new()?;
        let descs = families
            .all()
            .into_iter()
            .flat_map(Collector::desc)
            .cloned()
            .collect();
        Ok(Self {
            read: Box::new(read),
            families: Mutex::new(families),
            descs,
        })
    }
}

impl Collector for OriginMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let origins = (self.read)();
        let families = self.families.lock();
        families.fill(&origins);
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
        let gauges = |name, help, labels: &[&str]| IntGaugeVec::new(opts(name, help), labels);
        let counters = |name, help, labels: &[&str]| IntCounterVec::new(opts(name, help), labels);
        Ok(Self {
            health: gauges(
                "origin_health",
                "1 for what an origin is, 0 for what it is not.",
                &["origin", "health"],
            )?,
            addresses: gauges(
                "origin_addresses",
                "Addresses of an origin, by whether they may be used or rest after a failure.",
                &["origin", "state"],
            )?,
            failures: counters(
                "origin_failures_total",
                "What failed at an origin: its name, a connection, a response.",
                &["origin", "what"],
            )?,
            ejections: counters(
                "origin_ejections_total",
                "How often an origin was ejected because its requests failed.",
                &["origin"],
            )?,
            checks: counters(
                "origin_checks_total",
                "Active health checks, by outcome.",
                &["origin", "outcome"],
            )?,
        })
    }

    fn all(&self) -> [&dyn Collector; 5] {
        let Self {
            health,
            addresses,
            failures,
            ejections,
            checks,
        } = self;
        [health, addresses, failures, ejections, checks]
    }

    fn fill(&self, origins: &[OriginState]) {
        // An origin that has gone with its policy goes from here too.
        self.health.reset();
        self.addresses.reset();
        self.failures.reset();
        self.ejections.reset();
        self.checks.reset();
        for origin in origins {
            let name = origin.name.as_ref();
            for health in Health::ALL {
                let is = i64::from(origin.health == health);
                self.health
                    .with_label_values(&[name, health.as_str()])
                    .set(is);
            }
            let usable = origin.usable_addresses;
            let resting = origin.addresses.saturating_sub(usable);
            for (state, addresses) in [("usable", usable), ("resting", resting)] {
                self.addresses
                    .with_label_values(&[name, state])
                    .set(addresses as i64);
            }
            for (what, failures) in [
                ("resolve", origin.resolve_failures),
                ("connect", origin.connect_failures),
                ("response", origin.response_failures),
            ] {
                self.failures
                    .with_label_values(&[name, what])
                    .inc_by(failures);
            }
            self.ejections
                .with_label_values(&[name])
                .inc_by(origin.ejections);
            for (outcome, checks) in [
                ("good", origin.checks_good),
                ("failed", origin.checks_failed),
            ] {
                self.checks
                    .with_label_values(&[name, outcome])
                    .inc_by(checks);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Registry, TextEncoder};

    #[test]
    fn a_scrape_tells_the_origins_of_the_moment() {
        let state = OriginState {
            name: "paris".into(),
            health: Health::Ejected,
            addresses: 3,
            usable_addresses: 2,
            resolve_failures: 1,
            connect_failures: 4,
            response_failures: 0,
            ejections: 2,
            checks_good: 7,
            checks_failed: 0,
        };
        let registry = Registry::new();
        let metrics = OriginMetrics::new(move || vec![state.clone()]).unwrap();
        registry.register(Box::new(metrics)).unwrap();
        for _ in 0..2 {
            let text = TextEncoder::new()
                .encode_to_string(&registry.gather())
                .unwrap();
            for line in [
                r#"latencify_gateway_origin_health{health="ejected",origin="paris"} 1"#,
                r#"latencify_gateway_origin_health{health="healthy",origin="paris"} 0"#,
                r#"latencify_gateway_origin_addresses{origin="paris",state="resting"} 1"#,
                r#"latencify_gateway_origin_failures_total{origin="paris",what="connect"} 4"#,
                r#"latencify_gateway_origin_checks_total{origin="paris",outcome="good"} 7"#,
                r#"latencify_gateway_origin_ejections_total{origin="paris"} 2"#,
            ] {
                assert!(text.contains(line), "{line} in:\n{text}");
            }
        }
    }
}
