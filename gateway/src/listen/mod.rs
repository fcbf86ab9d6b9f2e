//! From a bound socket to a connection that Pingora serves: accept, TLS, the deadline for a request's head, and the
//! count of what is under way.
//!
//! The accept loop is ours rather than Pingora's `Server`, for three reasons: ports chosen by the system are known
//! before the first connection, a drain ends with the last request instead of after a fixed sleep, and a slow head is
//! cut off by a total deadline.

mod accept;
mod backlog;
mod bind;
mod connection;
mod cut;
mod descriptors;
mod gate;
mod handshakes;
mod http1;
mod http2;
mod limits;
mod paced;
mod patience;
pub mod proxy_protocol;
mod rate;
mod sockets;
pub mod tls;
mod untaken;

pub use accept::{Endpoint, serve};
pub use backlog::{READ_AHEAD_BYTES_MAX, Response as UnsentResponse};
pub use bind::{Bound, bind, write_ports_file};
pub use cut::cut_of;
pub use descriptors::{is_exhaustion, raise as raise_descriptors};
pub use gate::{Block, Gate};
pub use http1::{Lent, Wire, cut_by, fault_of};
pub use http2::take_decided;
pub use limits::Limits;
pub use sockets::{Asked, Handles, Kept, Label, Role, Sockets};
