//! The life of a connection, from its first octet of HTTP on.
//!
//! What comes before is `accept`'s: the count of connections, the PROXY header, TLS. Then the protocol that was agreed on
//! serves it to its end: `http1`, whose loop and framing are ours, or `http2`, which is Pingora's behind a watch over its
//! frames.

use super::{backlog, gate::Gate, http1, http2};
use crate::drain::Drain;
use pingora::{
    apps::HttpServerApp,
    protocols::{ALPN, Stream},
};
use std::sync::Arc;

/// Serves one connection to its end.
pub(super) async fn serve<A>(
    stream: Stream,
    app: Arc<A>,
    drain: &Drain,
    gate: &Arc<Gate>,
    backlog: &Arc<backlog::Connection>,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
        http2::serve(stream, app, drain, gate, backlog).await;
    } else {
        backlog.serve(http1::serve(stream, &app, drain, gate)).await;
    }
}
