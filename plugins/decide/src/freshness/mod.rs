//! What may be stored, for how long, and how it may be used again (RFC 9111), bent only where the policy says so.
//! Everything is a function of facts, the stored [`Lifetime`], the rule and the time.
//!
//! - [`RequestDirectives`]: what the client demands of stored responses;
//! - [`storable`]: a response as it arrives → a [`Lifetime`], or a named reason not to store it;
//! - [`reuse()`]: a stored response and a request → use it, use it and refresh it, or ask the origin, with the reason;
//! - [`on_error`]: the origin failed → whether the stored response may be served.

mod control;
mod dates;
mod lifetime;
mod request;
mod reuse;
mod store;
mod targeted;

pub use lifetime::{Lifetime, LifetimeSource};
pub use request::RequestDirectives;
pub use reuse::{OnError, Reuse, Revalidate, is_origin_failure, on_error, reuse};
pub use store::{Exchange, NotStored, Storable, is_complete, storable};
pub use targeted::{CDN_CACHE_CONTROL, SURROGATE_CONTROL};
