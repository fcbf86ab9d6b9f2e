//! The control service of a latencify fleet: API, change log, fleet, receipts, content events.
//!
//! - [`settings`] → [`run`]: from the command line to a running replica and its end;
//! - [`log`]: the ordered log, in SQLite or Kafka; [`fold`]: what its entries mean; [`store`]: what came of them;
//! - [`migrate`]: a log moved to another place, with everything in it; [`fault`]: what keeps it from being written;
//! - [`writer`]: the way into the log; [`verbs`]: what can be done, without HTTP;
//! - [`api`], [`fleet`], [`events`]: who asks for it: people and programs, edges, content systems;
//! - [`identity`]: who asks, and what they may do; [`audit`]: what they did; [`pki`]: who edges and control are to each other;
//! - [`snapshots`]: the key that policies are signed with;
//! - [`rollout`]: policies reach the fleet in stages that undo themselves;
//! - [`seal`]: what secrets and private keys are sealed with in the store;
//! - [`data`], [`auth`], [`tls`], [`serve`], [`observe`], [`backoff`]: what stands around all of them.

pub mod api;
pub mod audit;
pub mod auth;
pub mod backoff;
pub mod data;
pub mod events;
pub mod fault;
pub mod fleet;
pub mod fold;
pub mod identity;
pub mod kafka;
pub mod log;
pub mod migrate;
pub mod observe;
pub mod output;
pub mod pki;
pub mod presence;
pub mod rollout;
pub mod run;
pub mod seal;
pub mod secrets;
pub mod serve;
pub mod settings;
pub mod snapshots;
pub mod store;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod verbs;
pub mod writer;
