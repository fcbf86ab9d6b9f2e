//! Plain exchanges: requests that pass through to an origin before Pingora sees them.
//!
//! # Characters
//! - the protocol's loop: `listen::http1`, which has read a [valid head](Own) without a body, and had it
//!   [decided](crate::proxy::decide); towards this room it is a [`Client`];
//! - [`pass`]: attempts, as `phases::steer` chooses and judges them;
//! - [`Link`]: a connection to an origin for the time of an exchange, one of its [idle](crate::origin::Upstream::idle) ones or
//!   a new one;
//! - [`response`]: the head of a response, read strictly; [`body`]: where its body ends.
//!
//! What is said to the origin, and to the client, the phases of Pingora's way make of it: the same functions, in the same
//! order. Whatever is more than a plain exchange goes Pingora's way with its [`Context`] as it is, also between two attempts;
//! so does a request that no origin answered, for the document that tells of it. Once the head of a response is on its way,
//! it ends here.
//!
//! A task waits for one thing at a time: while it waits for the origin, it looks whether the client is still there; while the
//! client takes what there is, nothing is read of the origin. So what lies here of a response is one read, at most
//! [`READ_BYTES_MAX`](link::READ_BYTES_MAX).

mod body;
mod exchange;
mod link;
mod response;

use crate::{
    context::Context,
    edge::Edge,
    hot::head::Own,
    incoming::Plain,
    listen::cut_by,
    phases::{
        caching, fail,
        finish::{self, Ending},
        steer,
    },
    request::Head as _,
    respond::Stop,
};
use bytes::BytesMut;
use exchange::Exchange;
use link::Link;
use pingora::Error;
use std::{
    io::{self, IoSlice},
    task::{Context as Task, Poll},
};

/// Who asked, as an exchange sees it.
pub trait Client: Send {
    /// Ready when the client has gone.
    fn poll_gone(&mut self, task: &mut Task<'_>) -> Poll<()>;
    /// Takes octets of what is said.
    fn poll_write(
        &mut self,
        task: &mut Task<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;
    /// Ready when all that was taken is on its way.
    fn poll_flush(&mut self, task: &mut Task<'_>) -> Poll<io::Result<()>>;
    /// A final head as it goes over the wire, with the fields that belong to the connection, and room for so much more.
    fn head_octets(head: &mut Plain, keeps: bool, room: usize) -> BytesMut;
}

/// What became of a request.
pub enum Outcome {
    /// It was answered, or nobody is there any more; whether the connection goes on.
    Answered {
        /// Whether it does.
        goes_on: bool,
    },
    /// It goes on to Pingora: with a fault to tell, or to be sent to an origin.
    Passes(Result<(), Stop>),
}

/// Why an attempt came to no end.
enum Trouble {
    /// The client is gone, or was ended for that reason.
    Client(Option<io::Error>),
    /// The origin failed, or this edge; it says whether to try again.
    Origin(Box<Error>),
}

impl From<Box<Error>> for Trouble {
    fn from(error: Box<Error>) -> Self {
        Self::Origin(error)
    }
}

/// Whether a request that was let in is a plain exchange, as far as it can be told before an origin is chosen: nothing stored
/// may answer it, and nothing that answers it is stored.
pub fn takes(own: &Own, ctx: &mut Context) -> bool {
    let wants_stored = (ctx.asked.as_ref()).is_none_or(|asked| asked.directives.only_if_cached);
    if wants_stored || ctx.proxying().is_none() {
        return false;
    }
    match caching::rule(&own.request(), ctx) {
        Ok(_) => false,
        Err(why) => {
            ctx.caching.reason = Some(why);
            true
        }
    }
}

/// Sends a request to its origins, and their response to the client. `keeps`: whether the client's connection may go on.
pub async fn pass<C: Client>(
    edge: &Edge,
    own: &Own,
    client: &mut C,
    keeps: bool,
    ctx: &mut Context,
) -> Outcome {
    let mut exchange = Exchange::new(edge, own, client, keeps, ctx);
    loop {
        let Some((upstream, timeouts)) = steer::begin_plain(edge, exchange.ctx) else {
            return Outcome::Passes(Ok(()));
        };
        match exchange.attempt(&upstream, &timeouts).await {
            Ok(goes_on) => {
                edge.metrics.passed_answers.inc();
                exchange.tell();
                return Outcome::Answered { goes_on };
            }
            Err(Trouble::Origin(error)) if error.retry() => {}
            Err(trouble) => return exchange.give_up(&trouble),
        }
    }
}

impl<C: Client> Exchange<'_, C> {
    fn give_up(self, trouble: &Trouble) -> Outcome {
        let answer = &mut self.ctx.answer;
        match trouble {
            Trouble::Client(why) => {
                answer.detail = why.as_ref().map(ToString::to_string);
                answer.cut = Some(cut_by(why.as_ref()));
            }
            Trouble::Origin(error) => {
                answer.detail = Some(error.to_string());
                let fault = fail::fault(error, self.ctx);
                if let (Some(fault), false) = (fault, self.head_is_out) {
                    return Outcome::Passes(Err(fault.into()));
                }
                self.ctx.answer.fault = fault;
            }
        }
        self.tell();
        Outcome::Answered { goes_on: false }
    }

    fn tell(self) {
        let status = (self.ctx.answer.status).filter(|_| self.head_is_out);
        let ending = Ending {
            status: status.map_or(0, |status| status.as_u16()),
            bytes: (0, self.ctx.answer.bytes),
            headers: Some(self.own.headers()),
        };
        finish::told(self.edge, &ending, self.ctx);
    }
}
