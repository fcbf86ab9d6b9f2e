//! Clients that ask without a pause, and patient ones that wait for an edge to come back.

use latencify_tests::{Client, Reply, body, wait_until};
use parking_lot::Mutex;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

/// The paths that are asked for: stored for long, filled slowly, validated each time.
pub const PATHS: [&str; 3] = ["/stored", "/slow", "/validated"];
/// Clients of one edge.
const CLIENTS: u64 = 3;
/// How long an edge may take to store something.
const WARM_MAX: Duration = Duration::from_millis(500);
/// Between two attempts to reach an edge that is not there.
const PAUSE: Duration = Duration::from_millis(10);

/// Where a client asks, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub client: Client,
    pub edge: SocketAddr,
    /// It refuses while it is isolated.
    pub refuses: bool,
}

/// What clients know and have seen.
#[derive(Default)]
pub struct Seen {
    /// The newest version whose purge has a complete receipt.
    acknowledged: AtomicU64,
    answers: AtomicU64,
    refusals: AtomicU64,
    failures: AtomicU64,
    /// The first answer that breaks a promise.
    broken: Mutex<Option<String>>,
}

/// Clients that ask until they are told to end.
pub struct Hammer {
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Seen {
    /// A purge has its receipt: no request that is sent from now on may get an older version.
    pub fn acknowledge(&self, version: u64) {
        self.acknowledged.fetch_max(version, Ordering::SeqCst);
    }

    /// What was promised before a request is sent.
    fn promised(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    fn judge(&self, promised: u64, to: Target, reply: &Reply) {
        match reply.status.as_u16() {
            200 => {
                self.answers.fetch_add(1, Ordering::Relaxed);
                let got = reply.text().parse::<u64>().ok();
                if got.is_none_or(|got| got < promised) {
                    self.break_with(format!(
                        "{to:?}: sent after the receipt of version {promised}: {reply:?}"
                    ));
                }
            }
            // Isolated.
            503 if to.refuses => {
                self.refusals.fetch_add(1, Ordering::Relaxed);
            }
            _ => self.break_with(format!("{to:?}: {reply:?}")),
        }
    }

    /// Waits until each of the edges answers from its store: none refuses for ever.
    pub async fn all_serve(&self, targets: &[Target], seed: u64) {
        for target in targets {
            let what = format!("seed {seed}: {target:?} answers from its store");
            wait_until(&what, super::SOON, async || {
                let promised = self.promised();
                let request = Client::request("GET", "shop.example", PATHS[0]);
                let request = request.body(body::empty()).unwrap();
                let reply = target.client.send(target.edge, request).await;
                let reply = reply.map_err(|error| format!("{error:#}"))?;
                self.judge(promised, *target, &reply);
                if reply.status == 200 && reply.is_hit() {
                    Ok(())
                } else {
                    Err(format!("{reply:?}"))
                }
            })
            .await;
        }
        self.check();
    }

    fn break_with(&self, what: String) {
        self.broken.lock().get_or_insert(what);
    }

    /// # Panics
    /// When an answer has broken a promise.
    pub fn check(&self) {
        if let Some(broken) = &*self.broken.lock() {
            panic!("{broken}");
        }
    }
}

impl Hammer {
    /// Starts the clients of these edges.
    pub fn start(seen: &Arc<Seen>, targets: &[Target]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let each = targets
            .iter()
            .flat_map(|target| (0..CLIENTS).map(move |number| (*target, number)));
        let clients = each.map(|(target, number)| {
            tokio::spawn(ask_on(Arc::clone(seen), Arc::clone(&stop), target, number))
        });
        Self {
            clients: clients.collect(),
            seen: Arc::clone(seen),
            stop,
        }
    }

    /// Ends the clients; how many answers there were.
    ///
    /// # Panics
    /// When one of them has broken a promise.
    pub async fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.await.unwrap();
        }
        self.seen.check();
        self.seen.answers.load(Ordering::SeqCst)
    }
}

async fn ask_on(seen: Arc<Seen>, stop: Arc<AtomicBool>, target: Target, number: u64) {
    // Some give up soon and ask anew, others wait for long.
    let patience = Duration::from_millis(200 + 900 * number);
    let mut connection = None;
    for turn in number.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let path = PATHS[turn as usize % PATHS.len()];
        let promised = seen.promised();
        let asked = timeout(patience, async {
            let mut open = match connection.take() {
                Some(open) => open,
                None => target.client.connect(target.edge).await?,
            };
            let request = Client::request("GET", "shop.example", path).body(body::empty())?;
            let reply = open.send(request).await?;
            anyhow::Ok((open, reply))
        });
        if let Ok(Ok((open, reply))) = asked.await {
            seen.judge(promised, target, &reply);
            if reply.header("connection") != "close" {
                connection = Some(open);
            }
        } else {
            // It is dead, stopped, or closed the connection under the request.
            seen.failures.fetch_add(1, Ordering::Relaxed);
            sleep(PAUSE).await;
        }
    }
}

/// Lets every edge store what there is now, so that there is something old when a fault comes. One that is away stores
/// nothing.
pub async fn warm(seen: &Arc<Seen>, targets: &[Target]) {
    let each = targets
        .iter()
        .flat_map(|target| PATHS.map(|path| (*target, path)));
    let asked = each.map(|(target, path)| async move {
        let promised = seen.promised();
        let request = Client::request("GET", "shop.example", path).body(body::empty());
        let reply = target.client.send(target.edge, request.unwrap());
        if let Ok(Ok(reply)) = timeout(WARM_MAX, reply).await {
            seen.judge(promised, target, &reply);
        }
    });
    futures::future::join_all(asked).await;
}

/// Requests that wait for their answers, each over a connection of its own.
#[derive(Default)]
pub struct Burst(JoinSet<()>);

/// Sends so many requests at once, and waits for each as long as it takes.
pub fn burst(seen: &Arc<Seen>, target: Target, requests: usize) -> Burst {
    let mut waiting = JoinSet::new();
    for number in 0..requests {
        let seen = Arc::clone(seen);
        let promised = seen.promised();
        waiting.spawn(async move {
            let path = PATHS[number % PATHS.len()];
            let request = Client::request("GET", "shop.example", path).body(body::empty());
            let reply = target.client.send(target.edge, request.unwrap()).await;
            match reply {
                Ok(reply) => seen.judge(promised, target, &reply),
                Err(error) => seen.break_with(format!("{target:?}: {error:#}")),
            }
        });
    }
    Burst(waiting)
}

impl Burst {
    /// And these.
    pub fn join(&mut self, other: Self) {
        let mut other = other.0;
        self.0
            .spawn(async move { while other.join_next().await.is_some() {} });
    }

    /// Waits until all are answered.
    pub async fn all_answered(mut self, seed: u64) {
        let all = async {
            while let Some(ended) = self.0.join_next().await {
                ended.unwrap();
            }
        };
        let answered = timeout(super::SOON, all).await;
        assert!(
            answered.is_ok(),
            "seed {seed}: requests that nobody answered"
        );
    }
}
