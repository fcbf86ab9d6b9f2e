//! The edge: Pingora phases, cache, origins, telemetry, the fleet link.
//!
//! A request's life is [`proxy`]: one or two lines a phase, each calling the module of [`phases`] that decides it. What
//! requests share is [`edge::Edge`]; what one request carries is [`context::Context`]. Decisions are `latencify-decide`'s,
//! stored objects `latencify-cache`'s.

pub mod admin;
pub mod alarm;
pub mod cache;
pub mod cache_told;
pub mod context;
pub mod disk;
pub mod drain;
pub mod edge;
pub mod errors;
pub mod fetches;
pub mod fleet;
pub mod hot;
pub mod hpack;
pub mod incoming;
pub mod isolation;
pub mod limit;
pub mod listen;
pub mod membership;
pub mod observe;
pub mod origin;
pub mod outgoing;
pub mod phases;
pub mod policy;
pub mod proxy;
pub mod purge;
pub mod request;
pub mod request_id;
pub mod respond;
pub mod run;
pub mod secrets;
pub mod service;
pub mod settings;
pub mod signals;
pub mod spelling;
pub mod step;
pub mod systemd;
pub mod through;
pub mod upgrade;
pub mod verdict;
