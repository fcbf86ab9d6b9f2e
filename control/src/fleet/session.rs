//! One edge's stream, driven: bytes in and out, the store asked, time kept. What is said, the
//! [`Replica`] decides.

mod door;
mod mend;
mod outbox;

use super::{
    Fleet, admission,
    ahead::{EdgeAhead, Lead},
    connections::Connection,
    contacts::Unanswered,
    server::revoked,
};
use crate::{
    fold::State,
    pki::{Presented, millis},
    rollout::drift::Mending,
    store::StoreError,
};
use door::Door;
use latencify_conf::{
    change::{Change, Epoch, LeaveReason, Position, ProcessId, Revision},
    link::{
        message::{FromEdge, from_edge::Message as From},
        replica::{Accepted, Action, Admission, End, Peer, Replica, Target},
    },
};
pub use outbox::Outbound;
use outbox::{Gone, Outbox};
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::{sync::watch, time::Instant};
use tonic::{Status, Streaming};

/// Entries that are read from the store at a time.
const READ_MAX: u64 = 64;
/// Who is no longer in the roster is told so.
const TAKEN_OUT: &str = "this process was taken out of the fleet while it was away: join again";

/// Drives one stream to its end.
pub async fn run(
    fleet: Fleet,
    caller: Presented,
    inbound: Streaming<FromEdge>,
    outbound: Outbound,
) {
    let state = fleet.fold.subscribe();
    let holds = (caller.until - OffsetDateTime::now_utc()).try_into();
    let mut session = Session {
        // A certificate that is near its end may be past it by now.
        expires: Instant::now() + holds.unwrap_or_default(),
        caller,
        machine: Replica::new(fleet.terms()),
        fleet,
        outbox: Outbox::new(outbound),
        state,
        member: None,
        target: None,
        ended: None,
        mending: Mending::default(),
        began: Instant::now(),
    };
    let waits_for = session.fleet.edges_wait_for.map(str::to_owned);
    let withheld = || session.fleet.withholds().map(|fault| fault.to_string());
    let broke = match waits_for.or_else(withheld) {
        None => session.serve(inbound).await,
        Some(why) => {
            session.give_up(&why);
            None
        }
    };
    session.outbox.farewell().await;
    session.fleet.metrics.stream_ended(session.ended);
    if let Some(member) = &session.member {
        let end = session.ended.map_or("broken", End::as_str);
        let detail = broke.map(|status| status.message().to_owned());
        tracing::info!(edge = member.edge, process = %member.process, end, detail, "an edge's stream has ended");
    }
}

struct Session {
    fleet: Fleet,
    /// Who has opened the stream, by its certificate.
    caller: Presented,
    /// When that expires.
    expires: Instant,
    machine: Replica,
    outbox: Outbox,
    state: watch::Receiver<Arc<State>>,
    member: Option<Member>,
    /// The revision that the edge was last told to run.
    target: Option<Revision>,
    ended: Option<End>,
    mending: Mending,
    began: Instant,
}

struct Member {
    edge: String,
    process: ProcessId,
    connection: Connection,
}

/// What woke a session.
enum Woken {
    Heard(Result<Option<FromEdge>, Status>),
    CanSend,
    StateChanged,
    Replaced,
    Silent,
    Expired,
    Stopping,
    Gone,
}

impl Session {
    async fn serve(&mut self, mut inbound: Streaming<FromEdge>) -> Option<Status> {
        let mut heard = Instant::now();
        while self.ended.is_none() {
            if let Err(error) = self.read_on().await {
                self.give_up(&error);
                continue;
            }
            match self.wake(&mut inbound, heard).await {
                Woken::Heard(Ok(Some(message))) => {
                    heard = Instant::now();
                    let actions = match self.head_for(&message) {
                        Ok(head) => self.machine.receive(message, head),
                        Err(Unanswered::TakenOut) => {
                            self.machine.end(End::Removed, TAKEN_OUT.to_owned(), false)
                        }
                        Err(Unanswered::Withheld(why)) => {
                            self.give_up(&self.fleet.withheld(why));
                            continue;
                        }
                    };
                    self.carry_out(actions).await;
                    self.mend();
                }
                Woken::Heard(Ok(None)) | Woken::Gone => return None,
                Woken::Heard(Err(status)) => return Some(status),
                Woken::CanSend => self.outbox.send_next(),
                Woken::StateChanged => self.state_changed(),
                // Whoever was replaced or went silent is not there to be told.
                Woken::Replaced => self.ended = Some(End::Replaced),
                Woken::Silent => self.ended = Some(End::Silent),
                Woken::Expired => {
                    let reason = format!(
                        "the certificate of {} that this stream was opened with has expired: attach with the one after it",
                        self.caller.edge
                    );
                    let actions = self.machine.end(End::CertificateExpired, reason, false);
                    self.queue_messages(actions);
                }
                Woken::Stopping => {
                    let reason = "this replica stops: attach again, or to another one".to_owned();
                    let actions = self.machine.end(End::ReplicaStops, reason, false);
                    self.queue_messages(actions);
                }
            }
        }
        None
    }

    async fn wake(&mut self, inbound: &mut Streaming<FromEdge>, heard: Instant) -> Woken {
        let replaced = self
            .member
            .as_ref()
            .map(|member| member.connection.replaced.clone());
        let replaced = async {
            match replaced {
                Some(replaced) => replaced.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            taken = self.outbox.is_taken(), if !self.outbox.is_empty() => match taken {
                Ok(()) => Woken::CanSend,
                Err(Gone) => Woken::Gone,
            },
            message = inbound.message(), if self.outbox.has_room() => Woken::Heard(message),
            changed = self.state.changed() => if changed.is_ok() { Woken::StateChanged } else { Woken::Stopping },
            () = self.outbox.is_gone() => Woken::Gone,
            () = replaced => Woken::Replaced,
            () = tokio::time::sleep_until(heard + self.fleet.lease) => Woken::Silent,
            () = tokio::time::sleep_until(self.expires) => Woken::Expired,
            () = self.fleet.stop.cancelled() => Woken::Stopping,
        }
    }

    /// Queues the next deliveries, once the last ones are out.
    async fn read_on(&mut self) -> Result<(), StoreError> {
        let Some(sent) = self.machine.sent().filter(|_| self.outbox.is_empty()) else {
            return Ok(());
        };
        if self.state.borrow().position.epoch <= sent.epoch {
            return Ok(());
        }
        for accepted in self.next_entries(&sent).await? {
            let actions = self.machine.deliver(&accepted);
            self.queue_messages(actions);
        }
        Ok(())
    }

    async fn next_entries(&self, sent: &Position) -> Result<Vec<Arc<Accepted>>, StoreError> {
        match self.fleet.tail.after(sent) {
            Some(entries) => Ok(entries),
            None => {
                self.fleet
                    .store
                    .accepted_after(sent.log, sent.epoch, READ_MAX)
                    .await
            }
        }
    }

    async fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Admit(peer) => self.admit(peer).await,
                Action::Acked(epoch) => self.acked(epoch),
                Action::Reset => self.for_member(|fleet, process| {
                    fleet.said.reset(process);
                    fleet.contacts.reset(process);
                }),
                Action::Health(health) => {
                    self.for_member(|fleet, process| fleet.health.reported(process, health));
                }
                Action::Reported(report) => {
                    self.for_member(|fleet, process| fleet.said.reported(process, report));
                }
                Action::Left => self.leave().await,
                said @ (Action::Send(_) | Action::End(_)) => self.queue_messages(vec![said]),
            }
        }
    }

    fn queue_messages(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(message) => self.outbox.push(message),
                Action::End(end) => self.ended = Some(end),
                _ => {}
            }
        }
    }

    /// The head that an answer tells. Whoever holds a lease because of that answer is noted; who is being taken out of the
    /// roster gets none.
    fn head_for(&self, message: &FromEdge) -> Result<Epoch, Unanswered> {
        let word = self.fleet.word();
        let state = || self.state.borrow().clone();
        match (&message.message, &self.member) {
            (Some(From::Heartbeat(_)), Some(member)) => {
                self.fleet.contacts.answer(member.process, &word, state)
            }
            _ => Ok(state().position.epoch),
        }
    }

    fn for_member(&self, act: impl FnOnce(&Fleet, ProcessId)) {
        if let Some(member) = &self.member {
            act(&self.fleet, member.process);
        }
    }

    fn acked(&self, epoch: Epoch) {
        self.for_member(|fleet, process| {
            fleet.said.acked(process, epoch);
            if let Some(accepted) = fleet.tail.accepted_at(epoch) {
                fleet.metrics.acked(accepted.elapsed());
            }
        });
    }

    /// Sees that a peer is in the roster and welcomes it. Nothing of what it says is believed before that.
    async fn admit(&mut self, peer: Peer) {
        if peer.edge != self.caller.edge {
            let reason = format!(
                "the certificate is for {}, and the edge says that it is {}: an edge is called what its certificate says",
                self.caller.edge, peer.edge
            );
            tracing::warn!(said = peer.edge, "an edge is turned away: {reason}");
            let actions = self.machine.end(End::OtherName, reason, true);
            return self.queue_messages(actions);
        }
        self.know_certificate().await;
        let door = Door {
            fleet: &self.fleet,
            state: &mut self.state,
        };
        let admission = match door.admit(&peer).await {
            Ok(admission) => admission,
            Err(error) => return self.give_up(&error),
        };
        self.fleet.said.greeted(peer.process, &peer.version);
        let connection = self.fleet.connections.open(peer.process);
        tracing::info!(edge = peer.edge, process = %peer.process, version = peer.version, "an edge is connected");
        self.member = Some(Member {
            edge: peer.edge.clone(),
            process: peer.process,
            connection,
        });
        self.target = admission.target.as_ref().map(|target| target.revision);
        let forked = Lead::forked(&peer, admission.known, &admission.head);
        let target = admission.target.map(|target| self.fleet.signed(target));
        let actions = self.machine.admit(Admission {
            target,
            ..admission
        });
        Box::pin(self.carry_out(actions)).await;
        self.tell_if_ahead(&peer, forked);
        if let Some(Lead::Forked(epoch)) = forked {
            self.fleet.keep_fork(&peer.edge, epoch).await;
        }
    }

    /// What is not known can't be taken back: after an older copy of the store was put back, it lacks certificates.
    async fn know_certificate(&self) {
        let Presented {
            edge,
            serial,
            until,
        } = &self.caller;
        let now_ms = millis(OffsetDateTime::now_utc());
        let store = &self.fleet.store;
        let known = store.know_certificate(edge, serial, millis(*until), now_ms);
        if let Err(error) = known.await {
            tracing::warn!(edge, serial, %error, "it is not known whether this certificate will be found when its edge is revoked");
        }
    }

    /// The operator has to know of an edge that knows of more than there is.
    fn tell_if_ahead(&self, peer: &Peer, forked: Option<Lead>) {
        let (state, edge) = (self.state.borrow(), peer.edge.clone());
        let was_turned_away = self.ended == Some(End::ReplicaBehind);
        match forked.or_else(|| Lead::of(peer, was_turned_away, &state.position)) {
            Some(lead) => {
                let edge = EdgeAhead { edge, lead };
                self.fleet.ahead.found(peer.process, edge, &state);
            }
            None => self.fleet.ahead.none(peer.process),
        }
    }

    /// Tells a live edge of a new head policy, and ends the stream of one that was taken out of the roster.
    fn state_changed(&mut self) {
        let state = self.state.borrow_and_update().clone();
        if self.fleet.has_revoked(&self.caller) {
            let actions = self
                .machine
                .end(End::CertificateRevoked, revoked(&self.caller), true);
            return self.queue_messages(actions);
        }
        let Some(member) = &self.member else { return };
        if !state.roster.contains_key(&member.process) {
            // Only the dead are taken out, and this one lives: it came back meanwhile. Until it has joined again no
            // receipt counts on it, so it shall come at once.
            let actions = self.machine.end(End::Removed, TAKEN_OUT.to_owned(), false);
            return self.queue_messages(actions);
        }
        let is_news = |target: &Target| Some(target.revision) != self.target;
        if let Some(target) = admission::target(&state, member.process).filter(is_news) {
            self.target = Some(target.revision);
            let actions = self.machine.target(&self.fleet.signed(target));
            self.queue_messages(actions);
        }
    }

    async fn leave(&mut self) {
        let Some(member) = &self.member else { return };
        let (edge, process) = (member.edge.clone(), member.process);
        let change = Change::EdgeLeft {
            process,
            why: LeaveReason::Stopped,
            // It uses nothing that it has stored any more, whenever this is folded.
            replica: None,
        };
        if let Err(error) = self
            .fleet
            .writer
            .write(&format!("edge:{edge}"), None, change)
            .await
        {
            tracing::warn!(edge, %process, %error, "an edge stopped, but could not be taken out of the roster: `latencify edge remove` does it");
        }
    }

    fn give_up(&mut self, error: &dyn std::fmt::Display) {
        tracing::warn!(%error, "an edge's stream can't go on");
        let actions = self.machine.end(
            End::ReplicaFailed,
            format!("this replica can't serve the stream: {error}"),
            false,
        );
        self.queue_messages(actions);
    }
}
