//! Where listeners read the rules that hold now.

use arc_swap::ArcSwap;
use latencify_conf::policy::{EdgeLimits, EdgeRules};
use std::sync::Arc;

/// What the policy that runs says of the whole edge, swapped whole when another takes effect. Whoever begins something
/// new (a connection, a request, a body) looks again, so that it obeys a change at once.
#[derive(Debug, Clone, Default)]
pub struct Limits(Arc<ArcSwap<EdgeRules>>);

impl Limits {
    /// The limits that hold now; the defaults, until a policy runs.
    pub fn now(&self) -> EdgeLimits {
        self.0.load().limits
    }

    /// All rules that hold now.
    pub fn rules(&self) -> Arc<EdgeRules> {
        self.0.load_full()
    }

    /// From now on these hold.
    pub fn set(&self, rules: EdgeRules) {
        self.0.store(Arc::new(rules));
    }
}
