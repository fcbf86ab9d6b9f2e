//! Content events from Kafka: a consumer group on `PREFIX.events`, dead letters on `PREFIX.events.dlq`.
//!
//! An event's offset moves only when the event is in the log and folded, or is a dead letter that the broker has
//! confirmed. What is read twice because of that, the fold tells by source and id.

mod consumer;
mod dead_letters;
mod read;

pub use consumer::{Consumer, Health};
