//! One connection: HTTP/2 is Pingora's; the HTTP/1.1 loop is ours, so that a request's head has a total deadline
//! (Pingora's is per read, which a client that sends a byte a minute never meets).

use crate::drain::Drain;
use pingora::{
    apps::{HttpServerApp, ServerApp},
    protocols::{ALPN, Stream, http::ServerSession},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use tracing::debug;

/// An idle HTTP/1.1 connection is kept so long, in seconds.
pub const KEEPALIVE_SECONDS: u64 = 60;
/// From the first byte to the end of a request's head.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// Tells the connection that the head of a request has been read; Pingora hands it to the request's context.
#[derive(Debug, Clone, Default)]
pub struct HeadWatch(Arc<AtomicBool>);

impl HeadWatch {
    /// The head has been read.
    pub fn head_read(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_read(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Serves one connection to its end.
pub(super) async fn serve<A>(stream: Stream, app: Arc<A>, drain: &Drain)
where
    A: HttpServerApp + ServerApp + Send + Sync + 'static,
{
    let shutdown = drain.watch();
    if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
        app.process_new(stream, &shutdown).await;
        return;
    }
    let mut session = ServerSession::new_http1(stream);
    session.set_keepalive(Some(KEEPALIVE_SECONDS));
    let mut head_time_max = HEAD_TIME_MAX;
    loop {
        if *shutdown.borrow() {
            session.set_keepalive(None);
        }
        let head = HeadWatch::default();
        session.set_connection_user_context(Some(Box::new(head.clone())));
        let request = app.process_new_http(session, &shutdown);
        let Some(reused) = with_head_deadline(request, &head, head_time_max).await else {
            return;
        };
        let (stream, settings) = reused.consume();
        session = ServerSession::new_http1(stream);
        if let Some(settings) = settings {
            settings.apply_to_session(&mut session);
        }
        // The next head may come after an idle time, which the keepalive timeout bounds.
        head_time_max = HEAD_TIME_MAX + Duration::from_secs(KEEPALIVE_SECONDS);
    }
}

async fn with_head_deadline<T>(
    request: impl Future<Output = Option<T>>,
    head: &HeadWatch,
    time_max: Duration,
) -> Option<T> {
    tokio::pin!(request);
    tokio::select! {
        biased;
        done = &mut request => return done,
        () = tokio::time::sleep_until(Instant::now() + time_max) => {}
    }
    if head.is_read() {
        return request.await;
    }
    debug!("closed a connection whose request head did not arrive within {time_max:?}");
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_head_is_cut_off_and_a_slow_response_is_not() {
        let limit = Duration::from_secs(30);
        let head = HeadWatch::default();
        assert_eq!(
            with_head_deadline(std::future::pending::<Option<u8>>(), &head, limit).await,
            None
        );

        let head = HeadWatch::default();
        head.head_read();
        let slow = async {
            tokio::time::sleep(limit * 10).await;
            Some(7)
        };
        assert_eq!(with_head_deadline(slow, &head, limit).await, Some(7));
    }
}
