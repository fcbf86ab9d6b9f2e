//! Where an HTTP/1 request begins and ends (RFC 9112), read strictly and in one way only.
//!
//! Two programs that disagree about the end of a request let a client smuggle one past the first of them. This crate
//! reads what a client sends before any other parser sees an octet of it, and refuses whatever two parsers could read
//! differently, even where a standard asks for leniency:
//!
//! - [`HeadReader`] looks at a head as it comes, in pieces of any size, and says where it ends and how the body is framed
//!   ([`Head`]).
//! - [`BodyReader`] looks at the body that follows, and says of each octet whether it goes on ([`Filtered`]).
//! - [`Violation`] names what is wrong, with the status to answer and what the sender should do instead.
//!
//! The verdict never depends on how the octets were cut into pieces: octets are looked at in order, and the first one
//! that makes a request unacceptable decides.
//!
//! Left out on purpose: decoding. Octets that pass go on as they came, except chunk extensions and trailers, which are
//! checked and then left out (RFC 9112 §7.1.1 and §6.5.1 allow a recipient to drop both).

mod authority;
mod body;
mod chunk;
mod head;
mod limits;
mod octets;
mod target;
mod trailer;
mod violation;

#[cfg(test)]
mod tests;

pub use authority::{check_authority, is_same_authority};
pub use body::{BodyReader, Filtered};
pub use head::{Framing, Head, HeadReader, Version};
pub use limits::Limits;
pub use octets::is_value_octet;
pub use target::{Target, check_target, is_target_octet};
pub use violation::Violation;
