//! What happens to a request: match → admit → key → freshness → steering order, as pure functions over facts and a
//! policy. No sockets, no clock, no chance: time and random numbers are arguments, and what must be asked of the outside
//! (a limiter) goes through [`admit::Host`]. The gateway's phases and `policy explain` call the same functions.
//!
//! In the order of a request's life:
//! - [`facts`]: what is known of a request and of a response;
//! - [`hops`]: the client's address, `Via`, `CDN-Loop`, hop-by-hop fields;
//! - [`route`]: host → site → route;
//! - [`admit`]: access list → token → rate limits ([`limit`]);
//! - [`edit`] and [`redirect`]: header edits, the path towards the origin, redirects;
//! - [`key`], [`device`] and [`vary`]: which stored object a request may be answered with;
//! - [`freshness`]: what may be stored, for how long, and how it may be used again;
//! - [`conditional`] and [`range`]: the client's own validators and ranges;
//! - [`forward`]: what of a request the origin gets to see;
//! - [`refresh`]: what a 304 or an answer to HEAD changes in what is stored;
//! - [`methods`], [`invalidation`] and [`groups`]: what a request that changes something makes unfit;
//! - [`steer`]: which origins are asked, in which order;
//! - [`tags`]: what a purge may call the response;
//! - [`cache_status`]: how the outcome is told;
//! - [`explain`]: all of it for one request, without traffic.

pub mod admit;
pub mod cache_status;
pub mod conditional;
pub mod dates;
pub mod device;
pub mod edit;
pub mod explain;
pub mod facts;
mod fields;
pub mod forward;
pub mod freshness;
pub mod groups;
pub mod hops;
pub mod invalidation;
pub mod key;
pub mod limit;
pub mod methods;
pub mod range;
pub mod redirect;
pub mod refresh;
pub mod route;
pub mod steer;
pub mod tags;
pub mod vary;
