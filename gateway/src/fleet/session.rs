//! The stream to control, and the one place that reconnects it.

use super::{
    backoff::Backoff,
    client::Client,
    policies::Wanted,
    ports::MarksPort,
    status::{Broken, Status},
};
use futures::StreamExt as _;
use latencify_conf::{
    change::{Change, Position},
    link::{
        edge::{Action, EdgeLink, Fault, Introduction, WELCOME_WITHIN},
        message,
        replica::Report,
    },
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, sleep_until, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tracing::{debug, error, info, warn};

/// Messages to control that wait to be sent. They are small and coalesced; more means that control does not read.
const OUTGOING_MAX: usize = 256;
/// Messages of control that are taken together: one ack answers them all.
const BATCH_MAX: usize = 64;
/// The first pause before another attempt …
const RECONNECT_FIRST: Duration = Duration::from_millis(100);
/// … and the longest: shorter than a lease, so that a short absence of control isolates no edge.
const RECONNECT_MAX: Duration = Duration::from_secs(5);
/// The pause after a stream that can't be trusted.
const DISTRUST_PAUSE: Duration = Duration::from_secs(1);
/// The pause after a refusal that only the operator can end.
const REFUSED_PAUSE: Duration = Duration::from_secs(15);
/// After `Leave`, control has so long to end the stream.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);

/// The task that owns the link.
pub struct Session {
    link: EdgeLink,
    client: Client,
    marks: Arc<dyn MarksPort>,
    status: Arc<Status>,
    want: watch::Sender<Option<Wanted>>,
    reports: watch::Receiver<Report>,
    leave: CancellationToken,
}

/// An open stream.
struct Stream {
    outgoing: mpsc::Sender<message::FromEdge>,
    incoming: Streaming<message::ToEdge>,
}

impl Session {
    /// A session that has not begun.
    pub fn new(
        introduction: Introduction,
        client: Client,
        marks: Arc<dyn MarksPort>,
        status: Arc<Status>,
        want: watch::Sender<Option<Wanted>>,
        reports: watch::Receiver<Report>,
        leave: CancellationToken,
    ) -> Self {
        Self {
            link: EdgeLink::new(introduction),
            client,
            marks,
            status,
            want,
            reports,
            leave,
        }
    }

    /// Keeps the stream up until the edge leaves.
    pub async fn run(mut self) {
        let leave = self.leave.clone();
        let mut backoff = Backoff::new(RECONNECT_FIRST, RECONNECT_MAX);
        while !leave.is_cancelled() {
            let mut was_live = false;
            let Err(broken) = self.stream_once(&mut was_live).await else {
                return;
            };
            self.link.disconnected();
            self.status.follow(&self.link);
            self.status.count_error(broken.as_str());
            if was_live {
                backoff.reset();
            }
            let pause = match &broken {
                Broken::Fault(Fault::Refused { is_final: true, .. }) | Broken::Unauthorised(_) => {
                    REFUSED_PAUSE
                }
                Broken::Fault(fault) if fault.is_distrust() => DISTRUST_PAUSE,
                _ => backoff.next(),
            };
            tell(&broken, pause, self.link.obeyed());
            tokio::select! {
                () = leave.cancelled() => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// One stream from its opening to its end; Ok when the edge has left.
    async fn stream_once(&mut self, was_live: &mut bool) -> Result<(), Broken> {
        let leave = self.leave.clone();
        let mut stream = tokio::select! {
            () = leave.cancelled() => return Ok(()),
            stream = self.open() => stream?,
        };
        self.status.count_stream();
        // What runs is told after the Welcome; only later changes are news.
        let report = self.reports.borrow_and_update().clone();
        let _ = self.link.report(report);
        loop {
            let tick = self.link.next_tick().map(|at| self.status.at(at));
            let told = tokio::select! {
                biased;
                () = leave.cancelled() => {
                    self.say_goodbye(stream).await;
                    return Ok(());
                }
                batch = next_batch(&mut stream.incoming) => {
                    let (messages, end) = batch;
                    let actions = self.take(messages);
                    self.perform(actions, &stream)?;
                    end.map_or(Ok(()), Err)
                }
                changed = self.reports.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let report = self.reports.borrow_and_update().clone();
                    let actions = self.link.report(report);
                    self.perform(actions, &stream)
                }
                () = sleep_until(tick.unwrap_or_else(|| self.status.at(self.status.now() + WELCOME_WITHIN))) => {
                    let actions = self.link.tick(self.status.now());
                    self.perform(actions, &stream)
                }
            };
            if self.link.is_live() && !std::mem::replace(was_live, true) {
                info!(obeyed = ?self.link.obeyed().map(|position| position.epoch.0), "joined the fleet");
            }
            self.status.follow(&self.link);
            told?;
        }
    }

    async fn open(&mut self) -> Result<Stream, Broken> {
        let (outgoing, messages) = mpsc::channel(OUTGOING_MAX);
        // The Hello goes first: control may answer nothing at all before it.
        for action in self.link.connected(self.status.now()) {
            if let Action::Send(message) = action {
                send(&outgoing, message)?;
            }
        }
        let incoming = timeout(
            WELCOME_WITHIN,
            self.client.attach(ReceiverStream::new(messages)),
        )
        .await
        .map_err(|_| Broken::Unreachable(format!("no answer within {WELCOME_WITHIN:?}")))??;
        Ok(Stream { outgoing, incoming })
    }

    fn take(&mut self, messages: Vec<message::ToEdge>) -> Vec<Action> {
        let now = self.status.now();
        messages
            .into_iter()
            .flat_map(|message| self.link.receive(message, now))
            .collect()
    }

    /// Carries out actions in their order. Entries that follow each other are acked together.
    fn perform(&mut self, actions: Vec<Action>, stream: &Stream) -> Result<(), Broken> {
        let mut applied = Applied::default();
        for action in actions {
            match action {
                Action::Apply { entry, position } => {
                    if let Change::Purge { mode, targets, .. } = &entry.change {
                        self.marks.purge(targets, *mode, position.epoch);
                    }
                    applied.add(position);
                }
                Action::Reset { start } => {
                    self.settle(&mut applied, stream)?;
                    info!(log = %start.log, epoch = start.epoch.0, "starting over here: stored objects are suspect");
                    self.marks.reset(&start);
                    applied.add(start);
                }
                Action::Target(target) => {
                    debug!(revision = target.revision.0, digest = %target.digest, "policy target");
                    let log = applied
                        .last
                        .or(self.link.obeyed())
                        .map(|position| position.log);
                    if let Some(log) = log {
                        self.want.send_replace(Some(Wanted { log, target }));
                    }
                }
                Action::Send(message) => send(&stream.outgoing, message)?,
                Action::Disconnect(fault) => {
                    self.settle(&mut applied, stream)?;
                    return Err(fault.into());
                }
            }
        }
        self.settle(&mut applied, stream)
    }

    /// Fetches that begin from now on may be stamped with what was applied, and control may know.
    fn settle(&mut self, applied: &mut Applied, stream: &Stream) -> Result<(), Broken> {
        let Applied {
            last: Some(position),
            entries,
        } = std::mem::take(applied)
        else {
            return Ok(());
        };
        self.marks.obey(&position);
        self.status.count_entries(entries);
        for action in self.link.applied(&position) {
            if let Action::Send(message) = action {
                send(&stream.outgoing, message)?;
            }
        }
        Ok(())
    }

    async fn say_goodbye(&mut self, mut stream: Stream) {
        for action in self.link.leave() {
            if let Action::Send(message) = action {
                let _ = send(&stream.outgoing, message);
            }
        }
        self.status.follow(&self.link);
        // Control ends the stream when the edge is out of the roster.
        let ended = async { while let Some(Ok(_)) = stream.incoming.next().await {} };
        match timeout(GOODBYE_WITHIN, ended).await {
            Ok(()) => info!("left the fleet"),
            Err(_) => warn!(
                "left without an answer of control; `latencify edge remove` takes this edge out"
            ),
        }
    }
}

#[derive(Default)]
struct Applied {
    last: Option<Position>,
    entries: u64,
}

impl Applied {
    fn add(&mut self, position: Position) {
        self.last = Some(position);
        self.entries += 1;
    }
}

/// What has come by now, at least one message, and the end if that came too.
async fn next_batch(
    incoming: &mut Streaming<message::ToEdge>,
) -> (Vec<message::ToEdge>, Option<Broken>) {
    let mut messages = Vec::new();
    let mut next = Some(incoming.next().await);
    while let Some(came) = next {
        match came {
            Some(Ok(message)) => messages.push(message),
            Some(Err(status)) => return (messages, Some(status.into())),
            None => return (messages, Some(Broken::Closed)),
        }
        if messages.len() == BATCH_MAX {
            break;
        }
        next = futures::FutureExt::now_or_never(incoming.next());
    }
    (messages, None)
}

fn send(
    outgoing: &mpsc::Sender<message::FromEdge>,
    message: message::FromEdge,
) -> Result<(), Broken> {
    match outgoing.try_send(message) {
        Ok(()) => Ok(()),
        Err(mpsc::error::TrySendError::Full(_)) => Err(Broken::Stalled),
        // The end of the stream tells why; it is read next.
        Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
    }
}

fn tell(broken: &Broken, pause: Duration, obeyed: Option<Position>) {
    let (reason, again_ms) = (broken.as_str(), pause.as_millis() as u64);
    let obeyed = obeyed.map(|position| position.epoch.0);
    match broken {
        Broken::Fault(fault) if fault.is_distrust() => {
            error!(reason, %broken, obeyed, again_ms, "control's stream can't be trusted: nothing of it was applied");
        }
        Broken::Fault(Fault::Refused { is_final: true, .. }) | Broken::Unauthorised(_) => {
            error!(reason, %broken, obeyed, again_ms, "control does not take this edge");
        }
        _ => warn!(reason, %broken, obeyed, again_ms, "link to control is down"),
    }
}
