//! The stream to control, and the one place that reconnects it.

use super::{
    backoff::Backoff,
    client::Client,
    obey::{Obedience, Outcome, Wanted},
    ports::PolicyPort,
    standing::boot_time,
    status::{Broken, LOG_FORKED, LOG_SHORTENED, Status},
    stream::Stream,
};
use latencify_conf::{
    change::Position,
    link::{
        edge::{Fault, Shortened, WELCOME_WITHIN},
        replica::Report,
    },
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

/// The first pause before another attempt …
const RECONNECT_FIRST: Duration = Duration::from_millis(100);
/// … and the longest: shorter than a lease, so that a short absence of control isolates no edge.
const RECONNECT_MAX: Duration = Duration::from_secs(5);
/// The pause after a stream that can't be trusted.
const DISTRUST_PAUSE: Duration = Duration::from_secs(1);
/// The pause after a refusal that only the operator can end.
const REFUSED_PAUSE: Duration = Duration::from_secs(15);
/// What was answered is told so often, if there is news.
const HEALTH_EVERY: Duration = Duration::from_secs(1);
/// After `Leave`, control has so long to end the stream.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);

/// The task that owns the link.
pub struct Session {
    edge: Obedience,
    client: Client,
    status: Arc<Status>,
    ends: Ends,
    /// That the log is shorter than it was is told once.
    is_short: bool,
}

/// Whom the session tells, and who tells it.
pub struct Ends {
    /// What is to run.
    pub want: watch::Sender<Option<Wanted>>,
    /// What runs.
    pub reports: watch::Receiver<Report>,
    /// How far marks are on disk.
    pub saved: watch::Receiver<Option<Position>>,
    /// Whoever fetches secrets.
    pub secrets: Arc<Notify>,
    /// That the edge is to leave.
    pub leave: CancellationToken,
    /// Who answers requests, and says how.
    pub port: Arc<dyn PolicyPort>,
}

impl Session {
    /// A session that has not begun.
    pub fn new(edge: Obedience, client: Client, status: Arc<Status>, ends: Ends) -> Self {
        Self {
            edge,
            client,
            status,
            ends,
            is_short: false,
        }
    }

    /// Keeps the stream up until the edge leaves.
    pub async fn run(mut self) {
        self.keep_up().await;
        // However it left: a connection that should outlive this uses nothing that may be purged from here on.
        let _ = self.edge.leave();
        self.status.follow(self.edge.link());
    }

    async fn keep_up(&mut self) {
        let leave = self.ends.leave.clone();
        let mut backoff = Backoff::new(RECONNECT_FIRST, RECONNECT_MAX);
        let mut told = Told::default();
        while !leave.is_cancelled() {
            let mut was_live = false;
            let Err(broken) = self.stream_once(&mut was_live).await else {
                return;
            };
            self.edge.disconnected();
            self.status.follow(self.edge.link());
            self.status.count_error(broken.as_str());
            if was_live {
                backoff.reset();
                told = Told::default();
            }
            let pause = match &broken {
                Broken::Fault(Fault::Refused { is_final: true, .. })
                | Broken::Unauthorised(_)
                | Broken::Untrusted(_) => REFUSED_PAUSE,
                Broken::Fault(fault) if fault.is_distrust() => DISTRUST_PAUSE,
                _ => backoff.next(),
            };
            if matches!(broken, Broken::Unauthorised(_)) {
                self.client.passport().refused();
            }
            let is_news = told.is_new(&broken);
            tell(&broken, is_news, pause, self.edge.link().obeyed());
            tokio::select! {
                () = leave.cancelled() => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// One stream from its opening to its end; Ok when the edge has left.
    async fn stream_once(&mut self, was_live: &mut bool) -> Result<(), Broken> {
        let leave = self.ends.leave.clone();
        let mut stream = tokio::select! {
            () = leave.cancelled() => return Ok(()),
            stream = self.open() => stream?,
        };
        self.status.count_stream();
        // What runs is told after the Welcome; only later changes are news.
        let report = self.ends.reports.borrow_and_update().clone();
        let _ = self.edge.report(report);
        let mut health = interval(HEALTH_EVERY);
        health.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told_health = None;
        loop {
            let tick = self.edge.link().next_tick().map(Status::at);
            let told = tokio::select! {
                biased;
                () = leave.cancelled() => {
                    self.say_goodbye(stream).await;
                    return Ok(());
                }
                batch = stream.next_batch() => {
                    let (messages, end) = batch;
                    let stood = self.edge.link().obeyed();
                    let outcomes = self.edge.receive(messages, boot_time());
                    self.tell_restarts(&outcomes, stood);
                    self.carry_out(outcomes, &stream).and(end.map_or(Ok(()), Err))
                }
                Ok(()) = self.ends.reports.changed() => {
                    let report = self.ends.reports.borrow_and_update().clone();
                    let outcomes = self.edge.report(report);
                    self.carry_out(outcomes, &stream)
                }
                Ok(()) = self.ends.saved.changed() => {
                    let saved = *self.ends.saved.borrow_and_update();
                    let outcomes = saved.map_or_else(Vec::new, |saved| self.edge.saved(&saved));
                    self.carry_out(outcomes, &stream)
                }
                _ = health.tick() => {
                    let now = self.ends.port.health();
                    let is_news = self.edge.link().is_live() && now != told_health;
                    match now.filter(|_| is_news) {
                        Some(now) => {
                            let outcomes = self.edge.health(&now);
                            told_health = Some(now);
                            self.carry_out(outcomes, &stream)
                        }
                        None => Ok(()),
                    }
                }
                () = sleep_until(tick.unwrap_or_else(|| Status::at(boot_time() + WELCOME_WITHIN))) => Ok(()),
            };
            // After every turn: heartbeats go out however much comes in.
            let outcomes = self.edge.tick(boot_time());
            let told = told.and_then(|()| self.carry_out(outcomes, &stream));
            let link = self.edge.link();
            if link.is_live() && !std::mem::replace(was_live, true) {
                info!(
                    obeyed = link.obeyed().map(|position| position.epoch.0),
                    "joined the fleet"
                );
            }
            self.status.follow(link);
            self.tell_shortened();
            told?;
        }
    }

    async fn open(&mut self) -> Result<Stream, Broken> {
        self.client.passport().ready().await?;
        let hello = self.edge.connected(boot_time());
        let hello = hello.into_iter().filter_map(|outcome| match outcome {
            Outcome::Send(message) => Some(message),
            _ => None,
        });
        Stream::open(&self.client, hello).await
    }

    fn carry_out(&mut self, outcomes: Vec<Outcome>, stream: &Stream) -> Result<(), Broken> {
        for outcome in outcomes {
            match outcome {
                Outcome::Send(message) => stream.send(message)?,
                Outcome::Want(wanted) => {
                    let Wanted { log, target, .. } = &wanted;
                    debug!(%log, revision = target.revision.0, digest = %target.digest, "policy target");
                    self.ends.want.send_replace(Some(wanted));
                }
                // Told already, with where the edge stood.
                Outcome::Reset(_) => {}
                Outcome::Secrets => self.ends.secrets.notify_one(),
                Outcome::Obeyed { entries, .. } => self.status.count_entries(entries),
                Outcome::Disconnect(fault) => return Err(fault.into()),
            }
        }
        Ok(())
    }

    /// An edge that starts over in the log that it followed has obeyed what is not in it.
    fn tell_restarts(&self, outcomes: &[Outcome], stood: Option<Position>) {
        for outcome in outcomes {
            let Outcome::Reset(start) = outcome else {
                continue;
            };
            let (log, epoch) = (start.log, start.epoch.0);
            if let Some(stood) = stood.filter(|stood| stood.log == log) {
                self.status.count_error(LOG_FORKED);
                error!(
                    %log,
                    epoch,
                    obeyed = stood.epoch.0,
                    "control's log has not what this edge obeyed of it: it was restored from a copy and written to, and purges \
                     may be lost; starting over here, stored objects are suspect. If so, write the log anew with \
                     `latencify-control migrate-log`"
                );
            } else {
                info!(%log, epoch, "starting over here: stored objects are suspect");
            }
        }
    }

    /// Control's log may have been put back to a copy: then this edge stays isolated until the log has outgrown what was told.
    fn tell_shortened(&mut self) {
        let shortened = self.edge.link().shortened();
        let was_short = std::mem::replace(&mut self.is_short, shortened.is_some());
        match shortened {
            Some(Shortened { told, head }) if !was_short => {
                self.status.count_error(LOG_SHORTENED);
                error!(
                    told = told.0,
                    head = head.0,
                    "control's log ends before an epoch that it told once, so what this edge stored may be purged by entries that are \
                     gone: was the log restored from a copy? If so, write it anew with `latencify-control migrate-log`; an edge \
                     that is isolated stays so until the log has outgrown what was told"
                );
            }
            _ => {}
        }
    }

    async fn say_goodbye(&mut self, stream: Stream) {
        let outcomes = self.edge.leave();
        // Before control hears of it: from then on receipts do not count on this edge.
        self.status.follow(self.edge.link());
        for outcome in outcomes {
            if let Outcome::Send(message) = outcome {
                let _ = stream.send(message);
            }
        }
        // Control ends the stream when the edge is out of the roster.
        if timeout(GOODBYE_WITHIN, stream.finish()).await.is_ok() {
            info!("left the fleet");
        } else {
            warn!("left without an answer of control; `latencify edge remove` takes this edge out");
        }
    }
}

/// What was told last: two reasons that take turns are told once each.
#[derive(Default)]
struct Told([Option<String>; 2]);

impl Told {
    fn is_new(&mut self, broken: &Broken) -> bool {
        let reason = match broken {
            Broken::Unauthorised(_) => broken.to_string(),
            _ => broken.as_str().to_owned(),
        };
        let [last, before] = &mut self.0;
        if [&*last, &*before].contains(&&Some(reason.clone())) {
            return false;
        }
        *before = last.replace(reason);
        true
    }
}

/// An absence of control is told once, not once an attempt.
fn tell(broken: &Broken, is_news: bool, pause: Duration, obeyed: Option<Position>) {
    let (reason, again_ms) = (broken.as_str(), pause.as_millis() as u64);
    let obeyed = obeyed.map(|position| position.epoch.0);
    match broken {
        Broken::Fault(fault) if fault.is_distrust() => {
            error!(reason, %broken, obeyed, again_ms, "control's stream can't be trusted: nothing of it was applied");
        }
        Broken::Unauthorised(_) if is_news => {
            error!(reason, %broken, obeyed, again_ms, "control does not take this edge");
        }
        Broken::Untrusted(_) if is_news => {
            error!(reason, %broken, obeyed, again_ms, "whoever answers at --control is not control: nothing was said to it");
        }
        Broken::Fault(Fault::Refused { is_final: true, .. }) if is_news => {
            error!(reason, %broken, obeyed, again_ms, "control does not take this edge");
        }
        _ if is_news => warn!(reason, %broken, obeyed, again_ms, "link to control is down"),
        _ => debug!(reason, %broken, obeyed, again_ms, "link to control is still down"),
    }
}
