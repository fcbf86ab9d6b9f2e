//! The policy that runs: read from files or handed over by the fleet, compiled whole, swapped atomically. One that can't
//! be compiled changes nothing.

mod compiled;
mod load;
mod watch;

pub use compiled::{Compiled, compile};
pub use load::read_bundle;
pub use watch::{FilePolicy, watch};
