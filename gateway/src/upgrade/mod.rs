//! One process takes over from another without a refused or failed request.
//!
//! # The workflow
//! 1. The operator replaces the program and sends SIGUSR2 to the running process, the **predecessor**.
//! 2. It starts the program anew, the **successor**, with its own arguments and environment. Standard input is a socket
//!    between the two; over it go a second handle on each listening socket and a label for each ([`wire`]).
//! 3. The successor reads its policy, joins the fleet, and says `ready` when it could serve ([`successor`]). Until then
//!    the predecessor serves alone; the successor accepts nothing.
//! 4. The predecessor answers `go` and goes on ([`predecessor`]). The successor accepts too and says `serving`; only then
//!    the predecessor stops accepting, and drains. Whoever connects meanwhile is taken from the queue of the socket that
//!    both share by the one or the other.
//!
//! A successor that fails, or is late, is ended; so is one that a predecessor which is told to stop still waits for. The
//! predecessor says why and goes on as if nothing had been. One upgrade at a time.
//!
//! # Rejected
//! - `SO_REUSEPORT`: each process has a queue of its own, and who waits in that of a process that ends is refused.
//! - Inherited descriptors by number: making one's own out of a number needs unsafe code, and the numbers must be kept
//!   free. Descriptors that come in a message are owned from the start.
//! - `exec` in place: a program that does not start would take the service down with it.

mod predecessor;
mod successor;
mod wire;

pub use predecessor::{Program, Upgrade};
pub use successor::TakeOver;

/// Set in the environment of a successor: its standard input is the channel to its predecessor.
pub const VARIABLE: &str = "LATENCIFY_TAKES_OVER";
