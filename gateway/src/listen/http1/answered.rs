//! A request that is answered before Pingora sees it: decided, looked up, written and told of.

use super::{date as dates, line::Line};
use crate::{
    context::Context,
    edge::Edge,
    hot::{self, Answer, head::Own, ready::ReadyHead},
    incoming::{Incoming as _, Plain},
    listen::paced::EndedBy,
    observe::Cut,
    phases::finish::{self, Ending},
    proxy,
    request::Head as _,
    through,
};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderValue, StatusCode, Version, header};
use latencify_cache::{BodyReader, stream::Broken};
use pingora::{http::ResponseHeader, protocols::http::date};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::Arc,
};
use tokio::io::AsyncWriteExt as _;

/// So much of a body goes out in one piece with the head.
const JOINED_BYTES_MAX: u64 = 16 << 10;
/// The most pieces of a body that are written at once.
const PIECES_MAX: usize = 16;
/// Room for the head of a response; a larger one takes more.
const HEAD_BYTES: usize = 1 << 10;

/// What became of a request.
pub(super) enum Outcome {
    /// It was answered; whether the connection goes on.
    Answered { goes_on: bool },
    /// It goes on to Pingora: with what was decided, and its head as it came.
    Passes(Box<Context>, BytesMut),
}

/// Decides a request, and answers it if memory can, or has its origin answer it if that is all there is to do. `keeps`:
/// whether the connection may go on afterwards.
pub(super) async fn answer(
    edge: &Arc<Edge>,
    mut own: Own,
    line: &mut Line,
    keeps: bool,
) -> Outcome {
    let keeps = keeps && own.keeps_connection();
    let mut ctx = Box::new(Context::begin(edge));
    let decided = proxy::decide(edge, &mut own, &mut ctx).await;
    let ready = match decided {
        Ok(()) => make_ready(edge, &own, &mut ctx, keeps),
        Err(_) => None,
    };
    let Some((octets, body)) = ready else {
        ctx.decided = Some(match decided {
            Ok(()) if through::takes(&own, &mut ctx) => {
                match through::pass(edge, &own, line, keeps, &mut ctx).await {
                    through::Outcome::Answered { goes_on } => return Outcome::Answered { goes_on },
                    through::Outcome::Passes(decided) => decided,
                }
            }
            decided => decided,
        });
        return Outcome::Passes(ctx, own.into_octets());
    };
    let status = ctx.answer.status.map_or(0, |status| status.as_u16());
    edge.metrics.hot_answers.inc();
    // Whoever else is ready goes first: so writes come one behind the other, and who waits for them on another core is woken
    // once, and not each time. Not so where this client's next request is here already.
    if line.pending.is_empty() {
        tokio::task::yield_now().await;
        ctx.head_goes_out_now();
    }
    let sent = line.send(octets, body, &mut ctx.answer.bytes).await;
    if let Err(error) = &sent {
        ctx.answer.cut = Some(cut_by(Some(error)));
        ctx.answer.detail = Some(error.to_string());
    }
    let ending = Ending {
        status,
        bytes: (0, ctx.answer.bytes),
        headers: Some(own.headers()),
    };
    finish::told(edge, &ending, &mut ctx);
    Outcome::Answered {
        goes_on: keeps && sent.is_ok(),
    }
}

/// The head and the body that answer a request; the head is one that is kept, if there is one.
fn make_ready(
    edge: &Edge,
    own: &Own,
    ctx: &mut Context,
    keeps: bool,
) -> Option<(BytesMut, Option<BodyReader>)> {
    let request = own.request();
    let hit = hot::find(edge, &request, ctx)?;
    let may_be_ready = hit.may_be_ready(&request);
    if may_be_ready && let Some(head) = hit.ready(edge, ctx) {
        let body = hit.answer_ready(&head, &request, ctx);
        let length = body.as_ref().map_or(0, |body| body.body().len());
        let room = HEAD_BYTES + length.min(JOINED_BYTES_MAX) as usize;
        let mut octets = BytesMut::with_capacity(room);
        head.write(&mut octets, &hot::differing(ctx, keeps)?);
        return Some((octets, body));
    }
    let record = may_be_ready.then(|| hit.record().clone());
    let Answer { mut head, body } = hit.answer(edge, &request, ctx)?;
    let octets = write_head(&mut head, keeps);
    if let Some(record) = record.filter(|record| edge.ready_heads.wants(record))
        && let (Some(put), Some(route)) = (hot::differing(ctx, keeps), ctx.route())
        && let Some(head) = ReadyHead::of(&head, &put, record, route.clone())
    {
        edge.ready_heads.keep(head);
    }
    Some((octets, body))
}

/// The head as it goes over the wire, with the fields that Pingora would add.
fn write_head(head: &mut ResponseHeader, keeps: bool) -> BytesMut {
    // In the spelling of the long way too, if it is the date that was stored.
    let stored = dates::of(&head.headers).cloned();
    let date = stored.unwrap_or_else(date::get_cached_date);
    // Refused by a map that is full alone: then nobody needs them.
    let _ = head.insert_header(header::DATE, date);
    let _ = head.insert_header(header::CONNECTION, connection(keeps));
    let reason = head.get_reason_phrase().unwrap_or_default();
    let mut octets = begin_head(head.version, head.status, reason.as_bytes(), 0);
    head.header_to_h1_wire(&mut octets);
    octets.put_slice(b"\r\n");
    octets
}

/// The same of a response that passes through, whose names keep their spelling, with room for so much more.
pub(super) fn write_plain(head: &mut Plain, keeps: bool, room: usize) -> BytesMut {
    if !dates::is_one(head.lines(&header::DATE)) {
        let _ = head.set(header::DATE, date::get_cached_date());
    }
    let connection = HeaderValue::from_static(connection(keeps));
    let _ = head.set(header::CONNECTION, connection);
    let mut octets = begin_head(head.version, head.status, head.reason(), room);
    head.write(&mut octets);
    octets.put_slice(b"\r\n");
    octets
}

fn connection(keeps: bool) -> &'static str {
    if keeps { "keep-alive" } else { "close" }
}

fn begin_head(version: Version, status: StatusCode, reason: &[u8], room: usize) -> BytesMut {
    let mut octets = BytesMut::with_capacity(HEAD_BYTES + room);
    octets.put_slice(if version == Version::HTTP_10 {
        b"HTTP/1.0 "
    } else {
        b"HTTP/1.1 "
    });
    octets.put_slice(status.as_str().as_bytes());
    octets.put_u8(b' ');
    octets.put_slice(reason);
    octets.put_slice(b"\r\n");
    octets
}

impl Line {
    /// Writes a response: what is small in one piece, what is not without copying it. `sent` is how much of its body has gone
    /// out, at every moment: the task may be ended in any.
    async fn send(
        &mut self,
        mut head: BytesMut,
        body: Option<BodyReader>,
        sent: &mut u64,
    ) -> io::Result<()> {
        let before_body = head.len() as u64;
        let is_small = |body: &BodyReader| body.body().len() <= JOINED_BYTES_MAX;
        let mut body = body;
        if let Some(mut body) = body.take_if(|body| is_small(body)) {
            while let Some(piece) = body.read().map_err(io::Error::other)? {
                head.put_slice(&piece);
            }
        }
        let mut pieces = VecDeque::from([head.freeze()]);
        let mut written = 0;
        loop {
            while pieces.len() < PIECES_MAX
                && let Some(body) = &mut body
                && let Some(piece) = body.read().map_err(io::Error::other)?
            {
                pieces.push_back(piece);
            }
            if pieces.is_empty() {
                return self.stream.flush().await;
            }
            let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let taken = tokio::select! {
                biased;
                taken = self.stream.write_vectored(&slices) => taken?,
                () = withdrawn(body.as_ref()) => return Err(io::Error::other(Broken::Withdrawn)),
            };
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            written += taken as u64;
            *sent = written.saturating_sub(before_body);
            drop_taken(&mut pieces, taken);
        }
    }
}

/// Why a response did not go out whole; without an error, the client closed.
pub fn cut_by(error: Option<&io::Error>) -> Cut {
    let Some(error) = error else {
        return Cut::ClientGone;
    };
    if let Some(inner) = error.get_ref()
        && inner.is::<Broken>()
    {
        return Cut::Withdrawn;
    }
    EndedBy::of(error).map_or(Cut::ClientGone, Cut::Limit)
}

/// Waits until a body is withdrawn that is being written.
async fn withdrawn(body: Option<&BodyReader>) {
    match body {
        Some(body) => body.withdrawn().await,
        None => std::future::pending().await,
    }
}

fn drop_taken(pieces: &mut VecDeque<Bytes>, mut taken: usize) {
    while let Some(mut piece) = pieces.pop_front() {
        if piece.len() > taken {
            piece.advance(taken);
            return pieces.push_front(piece);
        }
        taken -= piece.len();
    }
}
