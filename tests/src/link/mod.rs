//! Edges that are played: the link's own state machine over a real stream, and no gateway behind it. Thousands fit into
//! one process, and a test decides what they obey, and when.

mod door;
mod edge;

pub use door::Door;
pub use edge::LinkEdge;

/// The calls, as generated.
#[allow(missing_docs, clippy::pedantic, clippy::all)]
mod stub {
    tonic::include_proto!("latencify.link.v1");
}
