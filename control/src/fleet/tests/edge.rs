//! An edge process, played by the tests over a real stream.

use crate::{
    fleet::server::stub::fleet_client::FleetClient,
    testing::{JOIN_TOKEN, Replica, WAIT_MAX},
};
use latencify_conf::{
    change::{Change, Entry, Epoch, Position},
    link::{
        PROTOCOL, chain,
        message::{
            Ack, FromEdge, Heartbeat, Hello, Refusal, ToEdge, Welcome, WhenIsolated,
            from_edge::Message as From, to_edge::Message as To,
        },
        replica::{read_position, write_position},
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming, transport::Channel};
use uuid::Uuid;

pub(super) type Client = FleetClient<Channel>;

pub(super) async fn client(replica: &Replica) -> Client {
    FleetClient::connect(format!("http://{}", replica.running.fleet))
        .await
        .unwrap()
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
        let request = with_token(ReceiverStream::new(said), JOIN_TOKEN);
        say.send(FromEdge {
            message: Some(From::Hello(hello)),
        })
        .await
        .unwrap();
        let hear = client(replica)
            .await
            .attach(request)
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
