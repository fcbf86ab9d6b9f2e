//! A request of HTTP/2 that is answered before Pingora sees it, as `http1::answered` answers those of HTTP/1: by the same
//! decisions, look-up, fields and records. What memory does not answer goes to Pingora with what was decided of it.

use super::causes;
use crate::{
    context::Context,
    edge::Edge,
    hot::{self, Answer},
    observe::Cut,
    phases::finish::{self, Ending},
    proxy,
    request::Head as _,
};
use http::Method;
use latencify_cache::stream::Broken;
use pingora::{Error, ErrorType, Result, protocols::http::v2::server::HttpSession};
use std::{cell::Cell, sync::Arc};

/// So much of a body is handed over at once: what is told as sent is this exact.
const PIECE_BYTES_MAX: usize = 32 << 10;

tokio::task_local! {
    /// What was decided of the request that the task serves, until Pingora asks for its context.
    static DECIDED: Cell<Option<Box<Context>>>;
}

/// Whether what is stored could answer a request.
pub(super) fn may_answer(session: &HttpSession) -> bool {
    matches!(session.req_header().method, Method::GET | Method::HEAD) && session.is_body_empty()
}

/// Decides a request, and answers it if memory can; none: that is done. Otherwise it goes on to Pingora with what was decided.
pub(super) async fn answer(
    edge: &Arc<Edge>,
    mut session: HttpSession,
) -> Option<(HttpSession, Box<Context>)> {
    let mut ctx = Box::new(Context::begin(edge));
    let decided = proxy::decide(edge, &mut session, &mut ctx).await;
    let answer = match decided {
        Ok(()) => hot::look(edge, &session.request(), &mut ctx),
        Err(_) => None,
    };
    let Some(answer) = answer else {
        ctx.decided = Some(decided);
        return Some((session, ctx));
    };
    edge.metrics.hot_answers.inc();
    let status = answer.head.status.as_u16();
    let sent = send(&mut session, answer, &mut ctx.answer.bytes).await;
    let error = sent.as_ref().err().map(|error| &**error);
    let is_withdrawn = error.is_some_and(|error| error.root_cause().is::<Broken>());
    ctx.answer.cut = is_withdrawn
        .then_some(Cut::Withdrawn)
        .or_else(|| causes::cut_of_stream(&mut session, error));
    ctx.answer.detail = error.map(ToString::to_string);
    let ending = Ending {
        status,
        bytes: (0, ctx.answer.bytes),
        headers: Some(&session.req_header().headers),
    };
    finish::told(edge, &ending, &mut ctx);
    None
}

/// Serves a request of which that was decided.
pub(super) async fn with_decided<T>(
    decided: Option<Box<Context>>,
    serving: impl Future<Output = T>,
) -> T {
    DECIDED.scope(Cell::new(decided), serving).await
}

/// What was decided of the request that this task serves; none: nothing, or it was taken.
pub fn take_decided() -> Option<Box<Context>> {
    DECIDED.try_with(Cell::take).ok().flatten()
}

fn withdrawn(why: Broken) -> Box<Error> {
    Error::because(ErrorType::ReadError, "reading a body from the cache", why)
}

/// Writes a response. `sent` is how much of its body has been taken over for sending, at every moment: the task may be ended
/// in any.
async fn send(session: &mut HttpSession, answer: Answer, sent: &mut u64) -> Result<()> {
    let Answer { head, body } = answer;
    let Some(mut body) = body.filter(|body| !body.body().is_empty()) else {
        return session.write_response_header(head, true);
    };
    session.write_response_header(head, false)?;
    let mut left = body.body().len();
    while let Some(mut rest) = body.read().map_err(withdrawn)? {
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(PIECE_BYTES_MAX));
            let length = piece.len() as u64;
            left = left.saturating_sub(length);
            tokio::select! {
                biased;
                written = session.write_body(piece, left == 0) => written?,
                () = body.withdrawn() => return Err(withdrawn(Broken::Withdrawn)),
            }
            *sent += length;
        }
    }
    Ok(())
}
