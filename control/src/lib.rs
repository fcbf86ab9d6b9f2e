//! The control service of a latencify fleet: API, change log, fleet, receipts, content events.
//!
//! - [`settings`] → [`run`]: from the command line to a running replica and its end;
//! - [`log`]: the ordered log, in SQLite or Kafka; [`fold`]: what its entries mean; [`store`]: what came of them;
//! - [`migrate`]: a log moved to another place, with everything in it; [`fault`]: what keeps it from being written;
//! - [`writer`]: the way into the log; [`verbs`]: what can be done, without HTTP;
//! - [`api`], [`fleet`], [`events`]: who asks for it: people and programs, edges, content systems;
//! - [`data`], [`auth`], [`tls`], [`serve`], [`observe`], [`backoff`]: what stands around all of them.

pub mod api;
pub mod auth;
pub mod backoff;
pub mod data;
pub mod events;
pub mod fault;
pub mod fleet;
pub mod fold;
pub mod kafka;
pub mod log;
pub mod migrate;
pub mod observe;
pub mod output;
pub mod presence;
pub mod run;
pub mod serve;
pub mod settings;
pub mod store;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod verbs;
pub mod writer;
