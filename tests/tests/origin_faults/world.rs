//! An edge between clients of both protocols and an origin that misbehaves.

use super::origin::Origin;
use http_body_util::BodyExt as _;
use latencify_tests::{
    Authority, Client, Connection, Edge, EdgeOptions, Protocol, Reply, body, wait_until,
};
use serde_json::Value;
use std::time::Duration;

/// The longest that anything may take that has no limit of its own.
pub const PATIENCE: Duration = Duration::from_mins(1);
pub const HOST: &str = "shop.example";
/// Nothing here takes as long: the limits on silence are not met.
pub const PATIENT: &str = "first_byte: 10m, between_bytes: 10m";

/// Both. Under `/kept/` responses are stored, elsewhere they pass.
pub struct World {
    pub edge: Edge,
    pub origin: Origin,
    authority: Authority,
}

/// What came of a request.
#[derive(Debug)]
pub enum Seen {
    /// A whole answer.
    Whole(Reply),
    /// A head, and a body that was cut off behind these octets.
    Cut { id: String, body: Vec<u8> },
}

impl World {
    /// With these limits on the origin's silence.
    pub async fn new(timeouts: &str) -> Self {
        Self::with(timeouts, "10m", |options| options).await
    }

    /// Where a request waits so long for another's fetch, and with further flags.
    pub async fn with(
        timeouts: &str,
        lock_wait: &str,
        flags: impl FnOnce(EdgeOptions) -> EdgeOptions,
    ) -> Self {
        let origin = Origin::serve().await;
        let authority = Authority::new();
        let policy = format!(
            "version: 1\n\
             certificates: {{site: {{chain: site.pem, key: site.key}}}}\n\
             origins: {{app: {{url: '{}'}}}}\n\
             sites: {{main: {{hosts: ['*'], certificate: site, routes: [\n\
             {{match: {{path: '/kept/**'}}, origins: [app], timeouts: {{{timeouts}}}, cache: {{object_max: 1MiB, lock_wait: {lock_wait}}}}},\n\
             {{origins: [app], timeouts: {{{timeouts}}}}}]}}}}\n",
            origin.url()
        );
        let options = Edge::alone(&policy).certificate(&authority, "site", &[HOST]);
        let edge = flags(options).start().await;
        Self {
            edge,
            origin,
            authority,
        }
    }

    /// Asks over a connection of its own. When the head is there, the origin is told to go on.
    pub async fn ask(&self, protocol: Protocol, path: &str) -> Seen {
        let asking = self.ask_at_leisure(protocol, path);
        let asked = tokio::time::timeout(PATIENCE, asking).await;
        asked.unwrap_or_else(|_| panic!("{protocol:?} {path}: nothing comes"))
    }

    async fn ask_at_leisure(&self, protocol: Protocol, path: &str) -> Seen {
        let mut connection = self.connect(protocol).await;
        let request = Client::request("GET", HOST, path).body(body::empty());
        let answer = connection.stream(request.unwrap()).await;
        // Every request is answered by a head, whatever the origin does.
        let answer = answer.unwrap_or_else(|error| panic!("{protocol:?} {path}: {error:#}"));
        self.origin.go_on(path);
        let (head, mut rest) = answer.into_parts();
        let mut came = Vec::new();
        while let Some(frame) = rest.frame().await {
            let Ok(frame) = frame else {
                let id = head.headers.get("x-request-id");
                let id = id.map_or("", |id| id.to_str().unwrap()).to_owned();
                return Seen::Cut { id, body: came };
            };
            came.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        }
        Seen::Whole(Reply {
            status: head.status,
            version: head.version,
            headers: head.headers,
            body: came.into(),
            trailers: http::HeaderMap::new(),
            informational: Vec::new(),
        })
    }

    /// A connection of its own.
    pub async fn connect(&self, protocol: Protocol) -> Connection {
        let client = Client::new();
        let connection = match protocol {
            Protocol::Http1 => client.connect(self.edge.http()).await,
            Protocol::Http2 => {
                let (address, authority) = (self.edge.https(), &self.authority);
                client.connect_tls(address, HOST, authority, protocol).await
            }
        };
        connection.unwrap()
    }

    /// The record of a request.
    pub async fn record(&self, id: &str) -> Value {
        wait_until("the record is written", PATIENCE, async || {
            let log = self.edge.access_log();
            let found = log.iter().find(|record| record["request_id"] == id);
            found
                .cloned()
                .ok_or_else(|| format!("{} records, none of {id}", log.len()))
        })
        .await
    }
}

impl Seen {
    /// The whole answer.
    ///
    /// # Panics
    /// When it is none.
    pub fn whole(self, what: &str) -> Reply {
        match self {
            Self::Whole(reply) => reply,
            Self::Cut { .. } => panic!("{what}: cut off: {self:?}"),
        }
    }
}
