//! An edge, and somebody who is to notice nothing of what others do to it.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;
use latencify_tests::{
    Authority, Client, Edge, EdgeOptions, Origin, body, frames::Raw, reply, wait_until,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;

pub const SOON: Duration = Duration::from_mins(1);
pub const HOST: &str = "shop.example";
/// Octets of `/large`: more than all buffers on the way together.
pub const LARGE: usize = 32 << 20;

/// An edge whose limits are attacked.
pub struct Attacked {
    pub edge: Edge,
    pub authority: Authority,
    pub origin: Origin,
    bystander: Bystander,
}

/// Asks again and again, over connections of its own from an address of its own.
struct Bystander {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<usize>,
}

/// An edge with these limits, in YAML's flow style, and its origin: `/` and `/large` can be stored, `/fresh` is as
/// large and can't, `/echo` answers with how much it was sent.
pub async fn options(limits: &str) -> (EdgeOptions, Authority, Origin) {
    let origin = Origin::serve(|call| async move {
        match call.path() {
            "/large" => reply::of(body::full(vec![b'x'; LARGE])).max_age(600).done(),
            // Too much to lie anywhere, of a length that nobody knows.
            "/fresh" => {
                let body = body::repeated(b'x', LARGE as u64);
                reply::of(body).header("cache-control", "no-store").done()
            }
            "/echo" => {
                let mut body = call.request.into_body();
                let mut length = 0;
                while let Some(Ok(frame)) = body.frame().await {
                    length += frame.data_ref().map_or(0, Bytes::len);
                }
                reply::text(length.to_string()).done()
            }
            _ => reply::text("hello").max_age(600).done(),
        }
    })
    .await;
    let authority = Authority::new();
    let policy = format!(
        "version: 1\nedge: {{limits: {{{limits}}}}}\n\
         certificates: {{main: {{chain: main.pem, key: main.key}}}}\n\
         origins: {{app: {{url: '{}'}}}}\n\
         sites: {{main: {{hosts: ['*'], certificate: main, routes: [{{origins: [app], cache: true}}]}}}}\n",
        origin.url()
    );
    let options = Edge::alone(&policy)
        .flag("--cache-memory", "128MiB")
        .certificate(&authority, "main", &[HOST]);
    (options, authority, origin)
}

/// Waits until a metric of the edge has at least that value.
pub async fn counted(edge: &Edge, metric: &str, least: f64) {
    wait_until(&format!("{metric} is {least}"), SOON, async || {
        match edge.metric(metric).await {
            value if value >= least => Ok(()),
            value => Err(format!("{value}")),
        }
    })
    .await;
}

impl Attacked {
    /// Starts an edge with these limits, and the bystander.
    pub async fn with(limits: &str) -> Self {
        let (options, authority, origin) = options(limits).await;
        let edge = options.start().await;
        assert_eq!(edge.get(HOST, "/").await.status, 200);
        let bystander = Bystander::at(&edge);
        Self {
            edge,
            authority,
            origin,
            bystander,
        }
    }

    /// A connection over HTTP/2 that says what it likes.
    pub async fn raw(&self, source: &str, settings: &[u8]) -> Raw {
        Raw::connect(
            self.edge.https(),
            self.authority.client(&[b"h2"]),
            HOST,
            source,
            settings,
        )
        .await
        .unwrap()
    }

    /// How many connections that limit has ended.
    pub async fn ended(&self, reason: &str) -> f64 {
        let name = format!("latencify_gateway_connections_ended_total{{reason=\"{reason}\"}}");
        self.edge.metric(&name).await
    }

    /// Waits until a metric has at least that value.
    pub async fn counted(&self, metric: &str, least: f64) {
        counted(&self.edge, metric, least).await;
    }

    /// The same of connections that a limit has ended.
    pub async fn counted_ended(&self, reason: &str, least: f64) {
        let name = format!("latencify_gateway_connections_ended_total{{reason=\"{reason}\"}}");
        self.counted(&name, least).await;
    }

    /// The attack is over: the bystander was served all the while, and an attacker's address is served again.
    pub async fn over(self) -> Edge {
        self.bystander.stop.store(true, Ordering::Relaxed);
        let served = self
            .bystander
            .asking
            .await
            .expect("the bystander was served");
        assert!(served > 0);
        self.edge
    }
}

impl Bystander {
    fn at(edge: &Edge) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, http) = (stop.clone(), edge.http());
        let asking = tokio::spawn(async move {
            let client = Client::at("127.20.0.1");
            let mut served = 0;
            loop {
                let reply = client.get(http, HOST, "/").await;
                assert_eq!(reply.status, StatusCode::OK, "after {served}");
                served += 1;
                if told.load(Ordering::Relaxed) {
                    return served;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Self { stop, asking }
    }
}
