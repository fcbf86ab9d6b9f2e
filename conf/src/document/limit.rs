//! Rate limits.

use super::text::{HeaderName, Name, Rate, Words};
use schemars::JsonSchema;
use serde::Deserialize;

/// A rate limit: never more than `burst` + `rate` × elapsed time. Refused requests are answered by 429.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// What headers and metrics call it. Limits of one name and site share their counts. Default `ROUTE/N`.
    pub name: Option<Name>,
    /// What is counted apart. Default `address`.
    pub key: Option<RateKey>,
    /// How many in which time.
    pub rate: Rate,
    /// How many may come at once. Default the number of `rate`.
    #[schemars(range(min = 1, max = 4_294_967_295_u64))]
    pub burst: Option<u32>,
}

/// What a limit counts apart.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateKey {
    /// The client's address; IPv6 by its /64.
    Address,
    /// The value of a request header.
    Header(HeaderName),
    /// A claim of the verified token.
    Claim(Words),
}
