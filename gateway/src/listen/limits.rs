//! Where listeners read the limits that hold now.

use arc_swap::ArcSwap;
use latencify_conf::policy::EdgeLimits;
use std::sync::Arc;

/// The limits of the policy that runs, swapped whole when another takes effect. Whoever begins something new (a
/// connection, a request, a body) loads them again, so that it obeys a change at once.
#[derive(Debug, Clone)]
pub struct Limits(Arc<ArcSwap<EdgeLimits>>);

impl Limits {
    /// The limits that hold now.
    pub fn now(&self) -> EdgeLimits {
        **self.0.load()
    }

    /// From now on these hold.
    pub fn set(&self, limits: EdgeLimits) {
        self.0.store(Arc::new(limits));
    }
}

impl Default for Limits {
    /// The defaults, which hold until a policy runs.
    fn default() -> Self {
        Self(Arc::new(ArcSwap::from_pointee(EdgeLimits::default())))
    }
}
