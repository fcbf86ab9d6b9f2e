//! Who is to notice nothing: the second client.

use crate::kinds::HOST;
use http::Request;
use latencify_tests::{Client, Connection, Edge, body};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Far from the attackers' addresses.
const ADDRESS: &str = "127.20.0.1";
const PAUSE: Duration = Duration::from_millis(1);
/// Before somebody knocks again who was not let in.
const KNOCK_AGAIN: Duration = Duration::from_millis(50);

/// Asks one request after the other.
pub enum Visitor {
    /// Over a connection for each, as a new visitor.
    New(Client),
    /// Over one that was there before the attack: to a full edge nobody new comes.
    Kept(Box<Connection>),
}

impl Visitor {
    /// Comes anew for each request.
    pub fn new() -> Self {
        Self::New(Client::at(ADDRESS))
    }

    /// Comes in, and stays.
    pub async fn kept(edge: &Edge) -> Self {
        let client = Client::at(ADDRESS);
        // After the former attack there may be no place yet.
        loop {
            let mut connection = client.connect(edge.http()).await.unwrap();
            if connection.send(get()).await.is_ok() {
                return Self::Kept(Box::new(connection));
            }
            sleep(KNOCK_AGAIN).await;
        }
    }

    /// The 99th percentile of what its requests took in so long.
    pub async fn p99(&mut self, edge: &Edge, window: Duration) -> Duration {
        let mut times = Vec::new();
        let end = Instant::now() + window;
        while Instant::now() < end {
            let began = Instant::now();
            let reply = match self {
                Self::New(client) => client.send(edge.http(), get()).await,
                Self::Kept(connection) => connection.send(get()).await,
            };
            assert_eq!(reply.unwrap().status, 200);
            times.push(began.elapsed());
            sleep(PAUSE).await;
        }
        times.sort_unstable();
        times[(times.len() - 1) * 99 / 100]
    }
}

fn get() -> Request<body::Body> {
    Client::request("GET", HOST, "/")
        .body(body::empty())
        .unwrap()
}
