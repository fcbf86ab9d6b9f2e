//! What operators see: metrics and health, on an address of their own.

pub mod admin;
pub mod connections;
pub mod metrics;
pub mod missing;
