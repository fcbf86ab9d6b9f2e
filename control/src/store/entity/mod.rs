//! The tables of the store.

pub mod applied;
pub mod blobs;
pub mod entries;
pub mod forks;
pub mod identity;
pub mod policies;
pub mod processes;
pub mod promises;
pub mod purges;
pub mod repeats;
pub mod replicas;
pub mod roster;
pub mod tokens;
