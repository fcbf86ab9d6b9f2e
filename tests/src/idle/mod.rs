//! What connections cost that wait for their next request. Edges hold one end of them, processes of their own the other:
//! so many edges, each with a process of clients, that none needs more descriptors than this machine gives a process.

mod clients;

pub use clients::{Spoken, hold_until_told};

use crate::{Authority, Edge, Origin, reply, wait_until};
use clients::Clients;
use futures::future::join_all;
use rustix::process::{Resource, getrlimit};
use std::time::Duration;

/// Descriptors that an edge, or a process of clients, needs besides its connections.
const BESIDES: usize = 400;
/// Of an edge's descriptors, one in so many is kept from clients …
const RESERVE_SHARE: usize = 32;
/// … but at most so many.
const RESERVE_MAX: usize = 1_024;
/// What the first connections bring about once is not theirs.
const FIRST: usize = 200;
const OPEN: &str = "latencify_gateway_connections_open";
const HOST: &str = "shop.example";
const PATIENCE: Duration = Duration::from_mins(3);

/// What one edge held.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// So many connections, at a time with those of the other edges.
    pub connections: usize,
    /// Octets of memory for each of them, in the edge.
    pub octets_each: usize,
}

/// Holds that many connections at a time, each of which has had one request answered; what they cost each edge.
pub async fn cost(spoken: Spoken, connections: usize) -> Vec<Cost> {
    let origin = Origin::serve(|_| async { reply::text("hello").max_age(600).done() }).await;
    let policy = format!(
        "version: 1\nedge: {{limits: {{idle: 1h, handshakes: 1000000, handshakes_per_address: 1000000}}}}\n\
         certificates: {{main: {{chain: main.pem, key: main.key}}}}\n\
         origins: {{app: {{url: '{}'}}}}\n\
         sites: {{main: {{hosts: ['*'], certificate: main, routes: [{{origins: [app], cache: true}}]}}}}\n",
        origin.url()
    );
    let authority = Authority::new();
    let edges = connections.div_ceil(connections_max());
    let mut stands = Vec::new();
    for number in 0..edges {
        let share = connections / edges + usize::from(number < connections % edges);
        stands.push(Stand::start(&policy, &authority, spoken, share).await);
    }
    // All of them are open before one is closed.
    let costs = join_all(stands.iter_mut().map(Stand::fill)).await;
    for stand in &stands {
        stand.is_full().await;
    }
    join_all(stands.into_iter().map(Stand::end)).await;
    costs
}

/// Connections that one edge and one process of clients can hold here.
fn connections_max() -> usize {
    let may_have = getrlimit(Resource::Nofile)
        .maximum
        .map_or(usize::MAX, |most| usize::try_from(most).unwrap());
    let reserve = (may_have / RESERVE_SHARE).min(RESERVE_MAX);
    let most = may_have.saturating_sub(reserve + FIRST + BESIDES);
    assert!(
        most > 0,
        "a process may have {may_have} file descriptors here: raise the hard limit (`ulimit -Hn`) to 4096 or more"
    );
    most
}

/// An edge and those who connect to it.
struct Stand {
    edge: Edge,
    clients: Clients,
    connections: usize,
}

impl Stand {
    async fn start(
        policy: &str,
        authority: &Authority,
        spoken: Spoken,
        connections: usize,
    ) -> Self {
        let edge = Edge::alone(policy)
            .certificate(authority, "main", &[HOST])
            .start()
            .await;
        assert_eq!(edge.get(HOST, "/").await.status, 200);
        let clients = Clients::start(&edge, authority, spoken);
        Self {
            edge,
            clients,
            connections,
        }
    }

    async fn fill(&mut self) -> Cost {
        self.clients.open(FIRST).await;
        let before = self.edge.resident_bytes();
        self.clients.open(self.connections).await;
        let after = self.edge.resident_bytes();
        Cost {
            connections: self.connections,
            octets_each: after.saturating_sub(before) / self.connections,
        }
    }

    async fn is_full(&self) {
        let open = self.open().await;
        let connections = self.connections;
        assert!(
            open >= connections as f64,
            "{open} of {connections} are open"
        );
        let other = self.edge.get(HOST, "/").await;
        assert_eq!(other.status, 200, "another client is served");
    }

    async fn end(self) {
        let Self { edge, clients, .. } = self;
        drop(clients);
        wait_until("they are forgotten", PATIENCE, async || {
            match edge.metric(OPEN).await {
                open if open < 10.0 => Ok(()),
                open => Err(format!("{open} are open")),
            }
        })
        .await;
    }

    async fn open(&self) -> f64 {
        self.edge.metric(OPEN).await
    }
}
