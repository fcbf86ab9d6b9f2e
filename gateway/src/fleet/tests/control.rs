//! A control for tests: conf's replica state machine over a log in memory, behind a real gRPC server on loopback.

use super::authority::Authority;
use crate::fleet::client::stub::fleet_server::{Fleet, FleetServer};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use bytes::Bytes;
use latencify_conf::{
    bundle::Bundle,
    change::{Change, Entry, Epoch, LogId, Mode, Octets, Position, Target as PurgeTarget},
    digest::Digest,
    link::{
        chain, message,
        replica::{Accepted, Action, Admission, End, Replica, Report, Target, Terms},
        snapshot::{Signed, signed_bytes},
    },
};
use parking_lot::Mutex;
use std::{collections::HashMap, net::SocketAddr, pin::Pin, sync::Arc};
use time::OffsetDateTime;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_stream::{Stream, StreamExt as _, wrappers::TcpListenerStream};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Certificate, Server, ServerTlsConfig},
};
use uuid::Uuid;

pub const TOKEN: &str = "join-me";

/// The control and what it has heard.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

/// A target with the signature of this key, which is called `policies`.
pub fn sign(log: LogId, pair: &Ed25519KeyPair, target: Target) -> Target {
    let signature = pair.sign(&signed_bytes(log, &target));
    let signed = Signed {
        kid: "policies".into(),
        public_key: Octets(pair.public_key().as_ref().try_into().unwrap()),
        signature: Octets(signature.as_ref().try_into().unwrap()),
    };
    Target {
        signed: Some(signed),
        ..target
    }
}

struct Inner {
    authority: Authority,
    /// What policies are signed with.
    pair: Ed25519KeyPair,
    state: Mutex<State>,
    /// Bumped when the log, the target or the streams' fate changes.
    changed: watch::Sender<u64>,
}

struct State {
    positions: Vec<Position>,
    entries: Vec<Bytes>,
    target: Option<Target>,
    bundles: HashMap<Digest, Bundle>,
    /// So many deliveries more are altered on their way.
    forgeries: usize,
    /// Streams of a smaller number are ended.
    kicked: u64,
    /// Heartbeats are answered with a head so far beyond the log's: what is lost by now, or has not come.
    beyond: u64,
    heard: Heard,
}

/// What control has heard of the edge.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    pub streams: u64,
    pub hellos: Vec<Option<Position>>,
    pub acked: Epoch,
    pub report: Report,
    pub left: bool,
    pub purges: Vec<message::EdgePurge>,
    pub renewals: u64,
}

impl Control {
    /// Starts one with an empty log.
    pub async fn start() -> (Self, SocketAddr) {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let control = Self(Arc::new(Inner {
            authority: Authority::new(),
            pair: Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap(),
            state: Mutex::new(State {
                positions: vec![chain::genesis(LogId(Uuid::from_u128(1)))],
                entries: Vec::new(),
                target: None,
                bundles: HashMap::new(),
                forgeries: 0,
                kicked: 0,
                beyond: 0,
                heard: Heard::default(),
            }),
            changed: watch::Sender::new(0),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = ServerTlsConfig::new()
            .identity(control.0.authority.server())
            .client_ca_root(Certificate::from_pem(control.0.authority.pem()))
            .client_auth_optional(true);
        let server = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(FleetServer::new(control.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (control, address)
    }

    /// Appends a purge.
    pub fn purge(&self, target: PurgeTarget) -> Epoch {
        let mut state = self.0.state.lock();
        let entry = Entry {
            id: Uuid::new_v4(),
            key: None,
            request: None,
            by: "test".into(),
            at: OffsetDateTime::UNIX_EPOCH,
            change: Change::Purge {
                mode: Mode::Hard,
                targets: vec![target],
                event: None,
                seen: None,
            },
        };
        let bytes = Bytes::from(entry.encode().unwrap());
        let last = state.positions[state.positions.len() - 1];
        let position = chain::extend(&last, Epoch(last.epoch.0 + 1), &bytes);
        state.positions.push(position);
        state.entries.push(bytes);
        drop(state);
        self.bump();
        position.epoch
    }

    /// A target with the signature of this control's key, unless it has one already.
    pub fn signed(&self, target: Target) -> Target {
        if target.signed.is_some() {
            return target;
        }
        let log = self.0.state.lock().positions[0].log;
        sign(log, &self.0.pair, target)
    }

    /// The key that policies are signed with.
    pub fn pair(&self) -> &Ed25519KeyPair {
        &self.0.pair
    }

    /// Makes a policy the target without any signature.
    pub fn unsigned(&self, target: Target, bundle: Bundle) {
        let mut state = self.0.state.lock();
        state.bundles.insert(target.digest, bundle);
        state.target = Some(target);
        drop(state);
        self.bump();
    }

    /// Makes a policy the target; what `FetchPolicy` gives for it may be another bundle.
    pub fn target(&self, target: Target, bundle: Bundle) {
        let target = self.signed(target);
        let mut state = self.0.state.lock();
        state.bundles.insert(target.digest, bundle);
        state.target = Some(target);
        drop(state);
        self.bump();
    }

    /// Makes a policy the target whose files are lost, as by an emptied store.
    pub fn target_without_files(&self, target: Target) {
        let target = self.signed(target);
        self.0.state.lock().target = Some(target);
        self.bump();
    }

    /// Alters the next deliveries on their way.
    pub fn forge(&self, deliveries: usize) {
        self.0.state.lock().forgeries = deliveries;
    }

    /// Ends all streams.
    pub fn kick(&self) {
        let mut state = self.0.state.lock();
        state.kicked = state.heard.streams + 1;
        drop(state);
        self.bump();
    }

    /// Tells from now on of so many entries more than there are.
    pub fn tells_of_more(&self, beyond: u64) {
        self.0.state.lock().beyond = beyond;
    }

    pub fn heard(&self) -> Heard {
        self.0.state.lock().heard.clone()
    }

    fn bump(&self) {
        self.0.changed.send_modify(|changes| *changes += 1);
    }

    /// Brings a stream up to date; None when it is over.
    fn catch_up(&self, replica: &mut Replica, told: &mut Option<Target>) -> Vec<Action> {
        let mut state = self.0.state.lock();
        let mut actions = Vec::new();
        while let Some(sent) = replica.sent()
            && let Some(at) = state
                .positions
                .iter()
                .position(|position| *position == sent)
            && let Some(position) = state.positions.get(at + 1)
        {
            let accepted = Accepted {
                previous: sent,
                position: *position,
                entry: state.entries[at].clone(),
            };
            let mut delivery = replica.deliver(&accepted);
            if state.forgeries > 0 {
                state.forgeries -= 1;
                forge(&mut delivery);
            }
            actions.extend(delivery);
        }
        if replica.sent().is_some() && *told != state.target {
            told.clone_from(&state.target);
            actions.extend(
                told.as_ref()
                    .map(|target| replica.target(target))
                    .unwrap_or_default(),
            );
        }
        actions
    }

    fn answer(&self, replica: &mut Replica, message: message::FromEdge) -> Vec<Action> {
        let mut state = self.0.state.lock();
        let head = state.positions[state.positions.len() - 1];
        let told = Epoch(head.epoch.0 + state.beyond);
        let actions = replica.receive(message, told);
        if let [Action::Admit(peer)] = &actions[..] {
            state.heard.hellos.push(peer.position);
            let known = peer
                .position
                .filter(|position| state.positions.contains(position));
            return replica.admit(Admission {
                head,
                known,
                target: None,
            });
        }
        actions
    }

    /// Whether the stream goes on.
    async fn perform(
        &self,
        actions: Vec<Action>,
        edge: &mpsc::Sender<Result<message::ToEdge, Status>>,
    ) -> bool {
        for action in actions {
            match action {
                Action::Send(message) => {
                    if edge.send(Ok(message)).await.is_err() {
                        return false;
                    }
                }
                Action::Acked(epoch) => self.0.state.lock().heard.acked = epoch,
                Action::Health(_) => {}
                Action::Reported(report) => self.0.state.lock().heard.report = report,
                Action::Left => self.0.state.lock().heard.left = true,
                Action::End(end) => {
                    assert!(matches!(end, End::Left), "{end:?}");
                    return false;
                }
                Action::Admit(_) | Action::Reset => {}
            }
        }
        true
    }

    async fn serve(
        self,
        mut from: Streaming<message::FromEdge>,
        edge: mpsc::Sender<Result<message::ToEdge, Status>>,
    ) {
        let number = {
            let mut state = self.0.state.lock();
            state.heard.streams += 1;
            state.heard.streams
        };
        let mut replica = Replica::new(Terms {
            lease_ms: 10_000,
            heartbeat_ms: 50,
            replica: "test".into(),
        });
        let mut changed = self.0.changed.subscribe();
        let mut told = None;
        loop {
            let actions = tokio::select! {
                message = from.next() => match message {
                    Some(Ok(message)) => self.answer(&mut replica, message),
                    _ => return,
                },
                _ = changed.changed() => Vec::new(),
            };
            if self.0.state.lock().kicked > number || !self.perform(actions, &edge).await {
                return;
            }
            let actions = self.catch_up(&mut replica, &mut told);
            if !self.perform(actions, &edge).await {
                return;
            }
        }
    }
}

fn forge(actions: &mut [Action]) {
    for action in actions {
        if let Action::Send(message::ToEdge {
            message: Some(message::to_edge::Message::Delivery(delivery)),
        }) = action
        {
            let altered = String::from_utf8_lossy(&delivery.entry).replace("hard", "soft");
            delivery.entry = altered.into_bytes().into();
        }
    }
}

/// Who shows a certificate is an edge of this fleet: TLS has verified it.
fn authorised<T>(request: &Request<T>) -> Result<(), Status> {
    match request.peer_certs() {
        Some(_) => Ok(()),
        None => Err(Status::unauthenticated("no certificate")),
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Fleet for Control {
    type AttachStream = Answers<message::ToEdge>;
    type FetchPolicyStream = Answers<message::PolicyChunk>;
    type FetchSecretsStream = Answers<message::Secret>;

    async fn attach(
        &self,
        request: Request<Streaming<message::FromEdge>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        authorised(&request)?;
        let (edge, answers) = mpsc::channel(16);
        tokio::spawn(self.clone().serve(request.into_inner(), edge));
        Ok(Response::new(Box::pin(
            tokio_stream::wrappers::ReceiverStream::new(answers),
        )))
    }

    async fn fetch_secrets(
        &self,
        request: Request<message::SecretsRequest>,
    ) -> Result<Response<Self::FetchSecretsStream>, Status> {
        authorised(&request)?;
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }

    async fn enroll(
        &self,
        request: Request<message::EnrollRequest>,
    ) -> Result<Response<message::Enrolled>, Status> {
        let expected = format!("Bearer {TOKEN}");
        match request.metadata().get("authorization") {
            Some(value) if value.as_bytes() == expected.as_bytes() => {}
            _ => return Err(Status::unauthenticated("wrong token")),
        }
        let message::EnrollRequest { edge, request } = request.into_inner();
        Ok(Response::new(self.0.authority.enrol(edge, &request)))
    }

    async fn renew(
        &self,
        request: Request<message::RenewRequest>,
    ) -> Result<Response<message::Enrolled>, Status> {
        authorised(&request)?;
        let request = request.into_inner().request;
        self.0.state.lock().heard.renewals += 1;
        Ok(Response::new(
            self.0.authority.enrol("paris".into(), &request),
        ))
    }

    async fn fetch_policy(
        &self,
        request: Request<message::PolicyRequest>,
    ) -> Result<Response<Self::FetchPolicyStream>, Status> {
        authorised(&request)?;
        let digest = Digest(request.into_inner().digest[..].try_into().unwrap());
        let bundle = self
            .0
            .state
            .lock()
            .bundles
            .get(&digest)
            .cloned()
            .ok_or_else(|| Status::not_found("no policy"))?;
        let json = serde_json::to_vec(&bundle).unwrap();
        let chunks: Vec<_> = json
            .chunks(7)
            .map(|chunk| {
                Ok(message::PolicyChunk {
                    bytes: Bytes::copy_from_slice(chunk),
                })
            })
            .collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(chunks))))
    }

    async fn purge(
        &self,
        request: Request<message::EdgePurge>,
    ) -> Result<Response<message::EdgePurgeAnswer>, Status> {
        authorised(&request)?;
        let purge = request.into_inner();
        if purge.path.is_empty() {
            return Err(Status::invalid_argument("an empty path"));
        }
        self.0.state.lock().heard.purges.push(purge);
        Ok(Response::new(message::EdgePurgeAnswer {
            id: "p1".into(),
            epoch: 9,
        }))
    }
}
