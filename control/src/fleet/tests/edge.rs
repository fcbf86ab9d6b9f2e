//! An edge process, played by the tests over a real stream.

use crate::{
    fleet::server::stub::fleet_client::FleetClient,
    pki::{CA_FILE, certificate::pem},
    testing::{JOIN_TOKEN, Replica, WAIT_MAX},
};
use latencify_conf::{
    change::{Change, Entry, Epoch, Position},
    link::{
        PROTOCOL, chain,
        message::{
            Ack, EnrollRequest, Enrolled, FromEdge, Heartbeat, Hello, Refusal, ToEdge, Welcome,
            WhenIsolated, from_edge::Message as From, to_edge::Message as To,
        },
        replica::{read_position, write_position},
        trust::CONTROL_NAME,
    },
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, path::PathBuf};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Streaming,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use uuid::Uuid;

pub(super) type Client = FleetClient<Channel>;

/// What edges have got, by their replica's folder and their name: an edge keeps its certificate.
static GOT: Mutex<BTreeMap<(PathBuf, String), Identity>> = Mutex::new(BTreeMap::new());

/// Who calls as the edge of that name, with the certificate that it got at its first call.
pub(super) async fn client(replica: &Replica, name: &str) -> Client {
    let mine = (replica.data().to_owned(), name.to_owned());
    let known = GOT.lock().get(&mine).cloned();
    let identity = if let Some(known) = known {
        known
    } else {
        let key = rcgen::KeyPair::generate().unwrap();
        let enrolled = enrol(replica, JOIN_TOKEN, name, &key).await.unwrap();
        let got = Identity::from_pem(pem(&enrolled.chain[0]), key.serialize_pem());
        GOT.lock().insert(mine, got.clone());
        got
    };
    connect(replica, trusting(replica).identity(identity)).await
}

/// Who calls with that certificate.
pub(super) async fn shows(replica: &Replica, certificate: &[u8], key: &rcgen::KeyPair) -> Client {
    let identity = Identity::from_pem(pem(certificate), key.serialize_pem());
    connect(replica, trusting(replica).identity(identity)).await
}

/// Who calls with no certificate.
pub(super) async fn stranger(replica: &Replica) -> Client {
    connect(replica, trusting(replica)).await
}

/// Gets a certificate.
pub(super) async fn enrol(
    replica: &Replica,
    token: &str,
    name: &str,
    key: &rcgen::KeyPair,
) -> Result<Enrolled, tonic::Status> {
    let request = EnrollRequest {
        edge: name.to_owned(),
        request: request(key),
    };
    let mut client = stranger(replica).await;
    let answer = client.enroll(with_token(request, token)).await;
    answer.map(tonic::Response::into_inner)
}

/// A request for a certificate.
pub(super) fn request(key: &rcgen::KeyPair) -> bytes::Bytes {
    let params = rcgen::CertificateParams::default();
    let request = params.serialize_request(key).unwrap();
    request.der().to_vec().into()
}

async fn connect(replica: &Replica, tls: ClientTlsConfig) -> Client {
    let endpoint = Endpoint::from_shared(format!("https://{}", replica.running.fleet)).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    FleetClient::new(channel)
}

fn trusting(replica: &Replica) -> ClientTlsConfig {
    let ca = std::fs::read(replica.data().join(CA_FILE)).unwrap();
    ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(ca))
        .domain_name(CONTROL_NAME)
}

pub(super) fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn hello(
    name: &str,
    process: Uuid,
    position: Option<Position>,
    when_isolated: WhenIsolated,
) -> Hello {
    Hello {
        protocol: PROTOCOL,
        edge: name.into(),
        process: bytes::Bytes::copy_from_slice(process.as_bytes()),
        position: position.as_ref().map(write_position),
        version: "test".into(),
        when_isolated: when_isolated.into(),
        ..Hello::default()
    }
}

/// An edge process, played by the test.
pub(super) struct Edge {
    pub(super) process: Uuid,
    say: mpsc::Sender<FromEdge>,
    hear: Streaming<ToEdge>,
    pub(super) position: Option<Position>,
}

impl Edge {
    /// Opens a stream, and says hello as one that was told of this head.
    pub(super) async fn attach_told(
        replica: &Replica,
        name: &str,
        process: Uuid,
        position: Option<Position>,
        told: Epoch,
    ) -> Self {
        let hello = Hello {
            told: told.0,
            ..hello(name, process, position, WhenIsolated::Revalidate)
        };
        Self::say_hello(replica, process, position, hello).await
    }

    /// Opens a stream and says hello.
    pub(super) async fn attach(
        replica: &Replica,
        name: &str,
        process: Uuid,
        position: Option<Position>,
    ) -> Self {
        Self::attach_as(replica, name, process, position, WhenIsolated::Revalidate).await
    }

    /// And says what it does when it is cut off.
    pub(super) async fn attach_as(
        replica: &Replica,
        name: &str,
        process: Uuid,
        position: Option<Position>,
        when_isolated: WhenIsolated,
    ) -> Self {
        let hello = hello(name, process, position, when_isolated);
        Self::say_hello(replica, process, position, hello).await
    }

    async fn say_hello(
        replica: &Replica,
        process: Uuid,
        position: Option<Position>,
        hello: Hello,
    ) -> Self {
        let (say, said) = mpsc::channel(16);
        let name = hello.edge.clone();
        say.send(FromEdge {
            message: Some(From::Hello(hello)),
        })
        .await
        .unwrap();
        let hear = client(replica, &name)
            .await
            .attach(ReceiverStream::new(said))
            .await
            .unwrap()
            .into_inner();
        Self {
            process,
            say,
            hear,
            position,
        }
    }

    /// Attaches and is welcomed.
    pub(super) async fn join(replica: &Replica, name: &str) -> Self {
        let mut edge = Self::attach(replica, name, Uuid::new_v4(), None).await;
        edge.welcomed().await;
        edge
    }

    pub(super) async fn say(&self, message: From) {
        self.say
            .send(FromEdge {
                message: Some(message),
            })
            .await
            .unwrap();
    }

    pub(super) async fn ack(&self) {
        self.say(From::Ack(Ack {
            epoch: self.position.unwrap().epoch.0,
        }))
        .await;
    }

    /// Sends a heartbeat, and tells the head that its answer tells; what else comes is let by.
    pub(super) async fn beat(&mut self, sequence: u64) -> Epoch {
        self.say(From::Heartbeat(Heartbeat { sequence })).await;
        loop {
            match self.hear().await.expect("the stream ended") {
                To::Heartbeat(answer) if answer.sequence == sequence => return Epoch(answer.head),
                _ => {}
            }
        }
    }

    pub(super) async fn hear(&mut self) -> Option<To> {
        let message = tokio::time::timeout(WAIT_MAX, self.hear.message())
            .await
            .expect("nothing was heard in time");
        message.ok().flatten().and_then(|message| message.message)
    }

    pub(super) async fn welcomed(&mut self) -> Welcome {
        let Some(To::Welcome(welcome)) = self.hear().await else {
            panic!("no welcome")
        };
        self.position = Some(read_position(welcome.start.as_ref().unwrap()).unwrap());
        welcome
    }

    /// The next delivery that is for edges, verified against the chain as all before it; what else comes is let by.
    pub(super) async fn delivered(&mut self) -> Entry {
        loop {
            let message = self.hear().await.expect("the stream ended");
            let To::Delivery(delivery) = message else {
                continue;
            };
            let before = self.position.unwrap();
            assert_eq!(
                (delivery.previous_epoch, &delivery.previous_hash[..]),
                (before.epoch.0, &before.hash.0[..])
            );
            let after = chain::extend(&before, Epoch(delivery.epoch), &delivery.entry);
            assert_eq!(delivery.hash[..], after.hash.0);
            self.position = Some(after);
            let entry = Entry::decode(&delivery.entry).unwrap();
            if !matches!(
                entry.change,
                Change::ReplicaJoined { .. }
                    | Change::ReplicaAlone { .. }
                    | Change::ReplicaLeft { .. }
            ) {
                return entry;
            }
        }
    }

    /// Hears until the stream ends, and what the refusal was, if there was one.
    pub(super) async fn ends(&mut self) -> Option<Refusal> {
        let mut refusal = None;
        while let Some(message) = self.hear().await {
            if let To::Refusal(said) = message {
                refusal = Some(said);
            }
        }
        refusal
    }
}
