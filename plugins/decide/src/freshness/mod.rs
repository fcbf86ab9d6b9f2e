//! What may be stored, for how long, and how it may be used again (RFC 9111), bent only where the policy says so.
//! Everything is a function of facts, the stored [`Lifetime`], the rule and the time.
//!
//! | RFC 9111 | here | cases in `tests/decide` |
//! |---|---|---|
//! | §3, §3.5 storing; §5.2.2 | [`storable`] | `storing`, `directives` |
//! | §3.3 incomplete responses | [`is_complete`] | `directives` |
//! | §4.2.1 lifetime, §5.3 `Expires`; RFC 9213 | [`storable`] → [`Lifetime::fresh`] | `storing`, `directives`, `targeted` |
//! | §4.2.2 heuristics | [`storable`], by the policy's `heuristic` | `directives` |
//! | §4.2.3 age, §5.1 `Age` | [`Lifetime::age`] | `directives` |
//! | §4, §4.2.4, §5.2.1; RFC 5861 §3, RFC 8246 | [`RequestDirectives`], [`reuse()`] | `reusing`, `monotonic` |
//! | §4.2.4; RFC 5861 §4 | [`on_error`], [`is_origin_failure`] | `reusing` |
//!
//! Beside it: §2 the key [`crate::key`]; §4.1 variants [`crate::vary`]; §4.3.1, §4.3.2 conditions [`crate::conditional`];
//! §3.2, §4.3.4, §4.3.5 updates [`crate::refresh`]; §4.4 [`crate::invalidation`]; dates [`crate::dates`].

mod complete;
mod control;
mod dates;
mod lifetime;
mod request;
mod reuse;
mod store;
mod targeted;

pub use complete::is_complete;
pub use lifetime::{Lifetime, LifetimeSource};
pub use request::RequestDirectives;
pub use reuse::{OnError, Reuse, Revalidate, is_origin_failure, on_error, reuse};
pub use store::{Exchange, NotStored, Storable, storable};
pub use targeted::{CDN_CACHE_CONTROL, SURROGATE_CONTROL};
