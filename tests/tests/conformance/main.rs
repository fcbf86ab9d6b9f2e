//! The edge held against the standards of caching, case by case: real requests to a real edge in front of an origin that
//! answers by a script. A case cites the section that it holds to; tables of functions without sockets stand in
//! `plugins/decide/tests`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod case;
mod conditions;
mod freshness;
mod invalidation;
mod messages;
mod origin;
mod policies;
mod public;
mod ranges;
mod reuse;
mod stale;
mod storing;
mod targeted;
mod telling;
mod validation;
mod vary;
mod world;
