//! What the phases keep with a stored response.

use latencify_decide::freshness::Lifetime;

/// What is kept with a stored response, beside its head.
#[derive(Debug, Clone, Copy)]
pub struct Notes {
    /// For how long it serves.
    pub lifetime: Lifetime,
}
