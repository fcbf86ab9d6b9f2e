//! Origins that are slow, break off, lie about their lengths, babble or never come to an end, in front of routes that cache
//! and routes that pass. What the client is told, that nothing incomplete is ever stored or served as whole afterwards, what
//! becomes of those who wait for another's fetch, and that everything is well when the origin is.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod disk;
mod endless;
mod faults;
mod origin;
mod stale;
mod waiters;
mod world;
