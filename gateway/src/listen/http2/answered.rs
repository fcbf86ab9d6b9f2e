//! A request of HTTP/2 that is answered before Pingora sees it, as `http1::answered` answers those of HTTP/1: by the same
//! decisions, look-up, fields and records. What fits the client's windows is answered ahead of the library; what does not, by
//! its stream's task; and what memory does not answer goes to Pingora with what was decided of it.

use super::{causes, own::Own, write};
use crate::{
    context::Context,
    edge::Edge,
    hot::{self, Answer, Hit, ready::ReadyHead},
    hpack::encode,
    listen::{backlog, http1::date},
    observe::Cut,
    phases::{
        finish::{self, Ending},
        hops,
    },
    proxy,
    request::Head as _,
    respond::Stop,
};
use bytes::{BufMut as _, BytesMut};
use futures::future::BoxFuture;
use http::{Method, header};
use latencify_cache::{BodyReader, stream::Broken};
use pingora::{
    Error, ErrorType, Result,
    http::ResponseHeader,
    protocols::http::{date::get_cached_date, v2::server::HttpSession},
};
use std::{
    cell::Cell,
    fmt,
    sync::Arc,
    task::{self, Poll},
};

/// So much of a body is handed over at once: what is told as sent is this exact.
const PIECE_BYTES_MAX: usize = 32 << 10;

tokio::task_local! {
    /// What was decided of the request that the task serves, until Pingora asks for its context.
    static DECIDED: Cell<Option<Box<Context>>>;
}

/// What is decided of a request that goes on to its stream's task, which tells of it.
pub(super) enum Decision {
    Made {
        ctx: Box<Context>,
        decided: Result<(), Stop>,
        /// Memory had something for it, so that another look is worth while.
        is_stored: bool,
    },
    UnderWay(BoxFuture<'static, Decided>),
}

type Decided = (Own, Box<Context>, Result<(), Stop>);

/// Where an answer ahead of the library goes.
pub(super) struct Outgoing<'a> {
    pub stream: u32,
    /// A longer body does not fit.
    pub body_bytes_max: u64,
    /// Room for its head.
    pub block: &'a mut BytesMut,
    pub out: &'a mut BytesMut,
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Made { .. } => "Made",
            Self::UnderWay(_) => "UnderWay",
        })
    }
}

/// Decides a request, and answers it if memory can; how much of a body went out, or what was decided.
pub(super) fn ahead(
    edge: &Arc<Edge>,
    own: Own,
    backlog: &Arc<backlog::Connection>,
    to: &mut Outgoing<'_>,
    cx: &mut task::Context<'_>,
) -> std::result::Result<u64, Decision> {
    let ctx = backlog.serve_now(|| Box::new(Context::begin(edge)));
    let mut deciding = Box::pin(decided(edge.clone(), own, ctx));
    let Poll::Ready((own, mut ctx, decided)) = deciding.as_mut().poll(cx) else {
        return Err(Decision::UnderWay(deciding));
    };
    // Until somebody takes it up, the connection's books tell of it. Who is still deciding tells of itself if it is dropped.
    ctx.untold = None;
    let hit = match decided {
        Ok(()) => hot::find(edge, &own.request(), &mut ctx),
        Err(_) => None,
    };
    let is_stored = hit.is_some();
    let Some(sent) = hit.and_then(|hit| respond(edge, hit, &own, &mut ctx, to)) else {
        return Err(Decision::Made {
            ctx,
            decided,
            is_stored,
        });
    };
    edge.metrics.hot_answers.inc();
    ctx.answer.bytes = sent;
    let ending = Ending {
        status: ctx.answer.status.map_or(0, |status| status.as_u16()),
        bytes: (0, sent),
        headers: Some(own.headers()),
    };
    finish::told(edge, &ending, &mut ctx);
    Ok(sent)
}

async fn decided(edge: Arc<Edge>, mut own: Own, mut ctx: Box<Context>) -> Decided {
    let decided = proxy::decide(&edge, &mut own, &mut ctx).await;
    (own, ctx, decided)
}

/// Writes what memory has; none: nothing was written, and nothing is noted of the look.
fn respond(
    edge: &Edge,
    hit: Hit,
    own: &Own,
    ctx: &mut Context,
    to: &mut Outgoing<'_>,
) -> Option<u64> {
    let request = own.request();
    if hit.length() > to.body_bytes_max && *request.method != Method::HEAD {
        return None;
    }
    let (steps, before) = (ctx.decisions.len(), to.out.len());
    to.block.clear();
    let may_be_ready = hit.may_be_ready(&request);
    let body = if may_be_ready && let Some(head) = hit.ready(edge, ctx) {
        let body = hit.answer_ready(&head, &request, ctx);
        head.write_block(to.block, &hot::differing(ctx, true)?);
        body
    } else {
        let record = may_be_ready.then(|| hit.record().clone());
        let Answer { mut head, body } = hit.answer(edge, &request, ctx)?;
        complete(&mut head);
        write_block(to.block, &head);
        if let Some(record) = record.filter(|record| edge.ready_heads.wants(record))
            && let (Some(put), Some(route)) = (hot::differing(ctx, true), ctx.route())
            && let Some(head) = ReadyHead::of(&head, &put, record, route.clone())
        {
            edge.ready_heads.keep(head);
        }
        body
    };
    let body = body.filter(|body| !body.body().is_empty());
    write::head(to.out, to.stream, body.is_none(), None, to.block);
    let Some(body) = body else {
        return Some(0);
    };
    let sent = write_body(to, body);
    if sent.is_none() {
        // It was withdrawn meanwhile: nothing of it shall go out.
        to.out.truncate(before);
        ctx.forget_look(steps);
    }
    sent
}

/// The fields that a connection adds, as over HTTP/1: of such heads those are made that are kept.
fn complete(head: &mut ResponseHeader) {
    let stored = date::of(&head.headers).cloned();
    // Refused by a map that is full alone: then nobody needs them.
    let _ = head.insert_header(header::DATE, stored.unwrap_or_else(get_cached_date));
    let _ = head.insert_header(header::CONNECTION, "keep-alive");
}

fn write_block(block: &mut BytesMut, head: &ResponseHeader) {
    encode::status(block, head.status);
    for (name, value) in &head.headers {
        if encode::is_of_http2(name.as_str()) {
            encode::name(block, name.as_str());
            encode::string(block, value.as_bytes());
        }
    }
}

fn write_body(to: &mut Outgoing<'_>, mut body: BodyReader) -> Option<u64> {
    if let Some(whole) = body.rest() {
        write::last_data(to.out, to.stream, whole);
        return Some(whole.len() as u64);
    }
    to.block.clear();
    while let Some(piece) = body.read().ok()? {
        to.block.put_slice(&piece);
    }
    write::last_data(to.out, to.stream, to.block);
    Some(to.block.len() as u64)
}

/// Whether what is stored could answer a request.
pub(super) fn may_answer(session: &HttpSession) -> bool {
    matches!(session.req_header().method, Method::GET | Method::HEAD) && session.is_body_empty()
}

/// Decides a request.
pub(super) async fn decide(edge: &Arc<Edge>, session: &mut HttpSession) -> Box<Context> {
    let mut ctx = Box::new(Context::begin(edge));
    let decided = proxy::decide(edge, session, &mut ctx).await;
    ctx.decided = Some(decided);
    ctx
}

/// Takes up what was decided of a request, and whether memory may have something for it.
pub(super) async fn take_up(
    edge: &Arc<Edge>,
    session: &mut HttpSession,
    decision: Decision,
) -> (Box<Context>, bool) {
    let (mut ctx, decided, may_be_stored) = match decision {
        Decision::Made {
            ctx,
            decided,
            is_stored,
        } => (ctx, decided, is_stored),
        Decision::UnderWay(deciding) => {
            let (_, ctx, decided) = deciding.await;
            (ctx, decided, true)
        }
    };
    ctx.untold = Some(edge.clone());
    // What ends here has left the head that was decided on, too.
    let ended = decided.and_then(|()| hops::end_of_request(session, &ctx).map_err(Stop::from));
    ctx.decided = Some(ended);
    (ctx, may_be_stored)
}

/// Answers a request of which that was decided, if memory can; none: that is done. Otherwise it goes on to Pingora.
pub(super) async fn answer(
    edge: &Arc<Edge>,
    mut session: HttpSession,
    mut ctx: Box<Context>,
    may_be_stored: bool,
) -> Option<(HttpSession, Box<Context>)> {
    let answer = match ctx.decided {
        Some(Ok(())) if may_be_stored => hot::look(edge, &session.request(), &mut ctx),
        _ => None,
    };
    let Some(answer) = answer else {
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
