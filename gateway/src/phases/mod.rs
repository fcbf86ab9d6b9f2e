//! What is decided in the life of a request, one module a decision. They do not know each other: each reads and writes
//! its part of the [`Context`](crate::context::Context), and [`proxy`](crate::proxy) calls them in order.

pub mod admit;
pub mod caching;
pub mod fail;
pub mod finish;
pub mod hops;
pub mod identify;
pub mod interim;
pub mod invalidate;
pub mod preconditions;
pub mod purge;
pub mod redirect;
pub mod route;
pub mod stale;
pub mod steer;
pub mod storing;
pub mod transform;
