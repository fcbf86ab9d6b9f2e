//! Rate limits.

use std::{sync::Arc, time::Duration};

/// A limit on the rate of requests, obeyed by GCRA: never more than `burst + rate × elapsed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Its name: in `RateLimit` headers, records and metrics. Limits with one name and one site share their counters.
    pub name: Arc<str>,
    /// What is counted apart.
    pub key: RateKey,
    /// So many requests …
    pub requests: u32,
    /// … in this time.
    pub per: Duration,
    /// How many may come at once; at least 1.
    pub burst: u32,
}

/// What a limit counts apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateKey {
    /// The client's address; IPv6 by its /64.
    Address,
    /// The value of a request header; requests without it share one count.
    Header(http::HeaderName),
    /// A claim of the verified token; requests without it share one count.
    Claim(String),
}
