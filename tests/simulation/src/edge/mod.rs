//! An edge: the shipped engine, link machine, driver, standing and verdicts, in the order in which the gateway's phases call them;
//! its sockets, disk and clocks are models.
//!
//! - [`machine`]: what outlives the program. [`process`]: a run of it. [`session`]: its end of the [`link`].
//! - [`request`] → [`look`] → [`fetch`] → [`answer`] → [`body`]; [`reading`]: what the client gets.
//! - [`interleave`]: other threads of the same program come between two steps of the engine; [`others`]: what they do there.

pub mod answer;
pub mod body;
pub mod fetch;
pub mod interleave;
pub mod link;
pub mod look;
pub mod machine;
pub mod others;
pub mod port;
pub mod process;
pub mod reading;
pub mod request;
pub mod session;

pub use machine::Machine;
pub use process::Process;

use crate::origin::{self, Object};
use latencify_cache::{KeyRef, Metadata};
use latencify_conf::change::{SiteId, Target};
use latencify_decide::freshness::Lifetime;
use std::time::Duration;

/// What is kept with a stored response.
#[derive(Debug, Clone)]
pub struct Meta {
    /// For how long it serves.
    pub lifetime: Lifetime,
    /// The version, so that the origin can say 304.
    pub version: u64,
    /// When the fetch or the validation of it began, for the oracle.
    pub began: Duration,
}

impl Metadata for Meta {
    fn bytes(&self) -> u64 {
        64
    }
}

/// The cache key of an object.
pub fn key(site: SiteId, object: Object) -> Vec<u8> {
    let mut key = site.0.to_be_bytes().to_vec();
    key.extend_from_slice(origin::path_of(object).as_bytes());
    key
}

/// The key as it is asked for.
pub fn key_ref(primary: &[u8]) -> KeyRef<'_> {
    KeyRef {
        primary,
        variance: None,
    }
}

/// An object's URL.
pub fn url(site: SiteId, object: Object) -> Target {
    Target::Url {
        site,
        path: origin::path_of(object).to_owned(),
    }
}
