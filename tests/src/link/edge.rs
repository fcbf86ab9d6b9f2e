//! One edge process that is played.

use super::door::{Door, Line};
use anyhow::Context as _;
use futures::FutureExt as _;
use latencify_conf::{
    change::{Position, ProcessId},
    digest::Digest,
    link::{
        edge::{Action, EdgeLink, Introduction},
        message::{FromEdge, ToEdge, WhenIsolated},
        replica::Report,
    },
};
use std::{sync::LazyLock, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tonic::Streaming;
use uuid::Uuid;

/// Messages that wait to be sent. The state machine says little; more means that control does not read.
const OUTGOING_MAX: usize = 256;
/// Messages that are taken together: one ack answers them all.
const BATCH_MAX: usize = 64;

/// What the clock of the link counts from.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// An edge process without a gateway: it believes, verifies and answers as any, and obeys what it is told to.
pub struct LinkEdge {
    link: EdgeLink,
    edge: String,
    door: Door,
    line: Line,
    say: mpsc::Sender<FromEdge>,
    hear: Streaming<ToEdge>,
}

impl LinkEdge {
    /// A new process that attaches. It obeys nothing yet.
    pub async fn attach(door: &Door, edge: &str) -> anyhow::Result<Self> {
        let mut link = EdgeLink::new(Introduction {
            edge: edge.to_owned(),
            process: ProcessId(Uuid::new_v4()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            about: Vec::new(),
            when_isolated: WhenIsolated::Revalidate,
            saves_marks: false,
        });
        let (line, say, hear) = open(door, edge, &mut link).await?;
        Ok(Self {
            edge: edge.to_owned(),
            link,
            door: door.clone(),
            line,
            say,
            hear,
        })
    }

    /// The same process attaches anew, over another connection.
    pub async fn attach_again(&mut self) -> anyhow::Result<()> {
        self.link.disconnected();
        (self.line, self.say, self.hear) = open(&self.door, &self.edge, &mut self.link).await?;
        Ok(())
    }

    /// Where the link stands.
    pub fn link(&self) -> &EdgeLink {
        &self.link
    }

    /// Its clock.
    pub fn now() -> Duration {
        BEGAN.elapsed()
    }

    /// Waits until something has come or is due; what is to be said is said. What is to be done comes back: it is the caller's
    /// to do, or not. Dropping the future loses nothing.
    pub async fn turn(&mut self) -> anyhow::Result<Vec<Action>> {
        let tick = self.link.next_tick().map(|at| *BEGAN + at);
        let tick = async {
            match tick {
                Some(tick) => sleep_until(tick).await,
                None => std::future::pending().await,
            }
        };
        let came = tokio::select! {
            came = self.hear.message() => Some(came?.context("control has ended the stream")?),
            () = tick => None,
        };
        let mut actions = Vec::new();
        let (mut next, mut taken) = (came, 0);
        while let Some(message) = next {
            actions.extend(self.link.receive(message, Self::now()));
            taken += 1;
            if taken == BATCH_MAX {
                break;
            }
            // An end comes again, with the next turn.
            let more = self.hear.message().now_or_never();
            next = more.and_then(Result::ok).flatten();
        }
        actions.extend(self.link.tick(Self::now()));
        self.carry_out(actions)
    }

    /// Everything up to there is applied.
    pub fn applied(&mut self, position: &Position) -> anyhow::Result<()> {
        let actions = self.link.applied(position);
        self.carry_out(actions).map(|_| ())
    }

    /// The same of all that these tell of.
    pub fn obey(&mut self, actions: &[Action]) -> anyhow::Result<()> {
        let newest = actions.iter().rev().find_map(|action| match action {
            Action::Apply { position, .. } => Some(*position),
            Action::Reset { start } => Some(*start),
            _ => None,
        });
        newest.map_or(Ok(()), |newest| self.applied(&newest))
    }

    /// What it runs has changed.
    pub fn report(&mut self, report: Report) -> anyhow::Result<()> {
        let actions = self.link.report(report);
        self.carry_out(actions).map(|_| ())
    }

    /// Fetches the files of a policy beside the stream, and verifies them.
    pub fn fetch(&self, digest: Digest) -> impl Future<Output = anyhow::Result<()>> + use<> {
        self.line.clone().fetch(digest)
    }

    /// Says what is to be said; the rest comes back, and a fault is an error.
    fn carry_out(&self, actions: Vec<Action>) -> anyhow::Result<Vec<Action>> {
        let mut rest = Vec::new();
        for action in actions {
            match action {
                Action::Send(message) => self.say.try_send(message)?,
                Action::Disconnect(fault) => return Err(fault.into()),
                action => rest.push(action),
            }
        }
        Ok(rest)
    }
}

async fn open(
    door: &Door,
    edge: &str,
    link: &mut EdgeLink,
) -> anyhow::Result<(Line, mpsc::Sender<FromEdge>, Streaming<ToEdge>)> {
    let mut line = door.open(edge).await?;
    let (say, said) = mpsc::channel(OUTGOING_MAX);
    for action in link.connected(BEGAN.elapsed()) {
        if let Action::Send(hello) = action {
            say.try_send(hello)?;
        }
    }
    let hear = line.attach(said).await?;
    Ok((line, say, hear))
}
