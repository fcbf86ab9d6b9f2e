//! Clients that purge without a pause, each write with an idempotency key and repeated until it is acknowledged.

use http::Method;
use latencify_conf::{
    api::{LogEntry, LogOutcome, Problem, PurgeAccepted, PurgeRequest, PurgeTarget},
    change::{Epoch, Mode},
};
use latencify_tests::{
    Client, Connection, Control, ControlOptions, Kafka, Reply, body, wait_until,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;

/// How long a fault may take to be noticed, or to be over for everybody, on a machine where others build.
pub const SOON: Duration = Duration::from_mins(1);
/// For so long the log may be unread in tests that wait for it: longer than brokers need on a machine that is busy.
pub const UNREAD: &str = "15s";
/// Between two attempts of one write.
const PAUSE: Duration = Duration::from_millis(30);

/// Control with its log in SQLite, which says only what is amiss.
pub fn embedded() -> ControlOptions {
    Control::embedded().environment("RUST_LOG", "warn,librdkafka=error")
}

/// Control with its log in Kafka, likewise.
pub fn on_kafka(kafka: &Kafka, prefix: &str) -> ControlOptions {
    Control::on_kafka(kafka, prefix).environment("RUST_LOG", "warn,librdkafka=error")
}

/// Writers at work.
pub struct Writers {
    stop: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
    acknowledged: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<Vec<(String, PurgeAccepted)>>>,
}

fn request(api: SocketAddr, token: &str, key: &str) -> http::Request<body::Body> {
    let request = PurgeRequest {
        targets: vec![PurgeTarget::All(true)],
        mode: Mode::Hard,
    };
    Client::request(Method::POST.as_str(), &api.to_string(), "/v1/purges")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(body::full(serde_json::to_vec(&request).unwrap()))
        .unwrap()
}

/// A purge of everything, with a key.
pub async fn purge(api: SocketAddr, token: &str, key: &str) -> anyhow::Result<Reply> {
    Client::new()
        .connect(api)
        .await?
        .send(request(api, token, key))
        .await
}

/// Who writes: on one connection for as long as it lasts, because the ports of many would be somebody's to listen on.
struct Writer {
    api: SocketAddr,
    token: &'static str,
    connection: Option<Connection>,
}

impl Writer {
    /// No answer at all: control is dead, or was killed meanwhile.
    async fn purge(&mut self, key: &str) -> Option<Reply> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Client::new().connect(self.api).await.ok()?,
        };
        let reply = connection
            .send(request(self.api, self.token, key))
            .await
            .ok()?;
        self.connection = Some(connection);
        Some(reply)
    }
}

impl Writers {
    /// So many writers, whose keys begin with a name.
    pub fn start(control: &Control, name: &str, count: usize) -> Self {
        let (stop, refused) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let count_acknowledged = Arc::new(AtomicUsize::new(0));
        let (api, token) = (control.api(), control.api_token());
        let tasks = (0..count).map(|writer| {
            let (stop, refused, name) = (Arc::clone(&stop), Arc::clone(&refused), name.to_owned());
            let counted = Arc::clone(&count_acknowledged);
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                let mut writer_at = Writer {
                    api,
                    token,
                    connection: None,
                };
                for number in 0.. {
                    let key = format!("{name}-{writer}-{number}");
                    let Some(accepted) = write(&mut writer_at, &key, &stop, &refused).await else {
                        break;
                    };
                    acknowledged.push((key, accepted));
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                acknowledged
            })
        });
        Self {
            tasks: tasks.collect(),
            stop,
            refused,
            acknowledged: count_acknowledged,
        }
    }

    /// Waits until a write was acknowledged: they are at work.
    pub async fn see_acknowledged(&self) {
        wait_until("a write is acknowledged", SOON, async || {
            match self.acknowledged.load(Ordering::SeqCst) {
                0 => Err("none is"),
                _ => Ok(()),
            }
        })
        .await;
    }

    /// How many answers were 503 so far.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Waits until more writes were refused.
    pub async fn see_refusals(&self) {
        let before = self.refused();
        wait_until("writes are refused", SOON, async || {
            if self.refused() > before {
                Ok(())
            } else {
                Err("none is")
            }
        })
        .await;
    }

    /// Ends it: every acknowledged write, by its key.
    pub async fn end(self) -> BTreeMap<String, PurgeAccepted> {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = BTreeMap::new();
        for task in self.tasks {
            all.extend(task.await.unwrap());
        }
        all
    }
}

/// One write, until it is acknowledged, or given up because the test ends.
async fn write(
    writer: &mut Writer,
    key: &str,
    stop: &AtomicBool,
    refused: &AtomicUsize,
) -> Option<PurgeAccepted> {
    while !stop.load(Ordering::SeqCst) {
        if let Some(reply) = writer.purge(key).await {
            if reply.status == 202 {
                return Some(reply.json());
            }
            is_a_refusal_to_repeat(&reply);
            refused.fetch_add(1, Ordering::SeqCst);
        }
        tokio::time::sleep(PAUSE).await;
    }
    None
}

/// What every client may rely on while control can't write.
pub fn is_a_refusal_to_repeat(reply: &Reply) {
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert_eq!(
        reply.headers.get("content-type").unwrap(),
        "application/problem+json",
        "{}",
        reply.text()
    );
    assert!(reply.headers.contains_key("retry-after"), "{reply:?}");
    let problem: Problem = reply.json();
    assert!(problem.retryable, "{problem:?}");
}

/// Every acknowledged write is in the log once, where its writer was told, and nobody was told a place twice.
pub async fn all_are_there_once(control: &Control, acknowledged: &BTreeMap<String, PurgeAccepted>) {
    let log = control.log().await;
    assert!(log.entries.is_sorted_by_key(|entry| entry.epoch));
    let mut accepted: BTreeMap<&str, Vec<&LogEntry>> = BTreeMap::new();
    for entry in log
        .entries
        .iter()
        .filter(|entry| entry.outcome == LogOutcome::Accepted)
    {
        if let Some(key) = entry.entry["key"].as_str() {
            accepted.entry(key).or_default().push(entry);
        }
    }
    for (key, entries) in &accepted {
        assert_eq!(
            entries.len(),
            1,
            "{key} is applied more than once: {entries:#?}"
        );
    }
    let mut places: BTreeMap<Epoch, &str> = BTreeMap::new();
    for (key, answer) in acknowledged {
        let found = accepted
            .iter()
            .find(|(name, _)| name.rsplit('/').next() == Some(key));
        let Some((_, entries)) = found else {
            panic!(
                "{key} was acknowledged at {} and is not in the log",
                answer.epoch
            )
        };
        assert_eq!(entries[0].epoch, answer.epoch, "{key}");
        assert_eq!(
            entries[0].entry["id"].as_str(),
            Some(answer.id.as_str()),
            "{key}"
        );
        assert_eq!(places.insert(answer.epoch, key), None, "{key}");
    }
}

/// What `/readyz` says.
pub async fn readyz(control: &Control) -> Reply {
    Client::new().get(control.admin(), "admin", "/readyz").await
}

/// Waits until `/readyz` says 503 with a fault of one of these kinds, and the metric says so too.
pub async fn until_fault(control: &Control, kinds: &[&str]) -> String {
    let what = format!("control tells of a fault: {kinds:?}");
    wait_until(&what, SOON, async || {
        let reply = readyz(control).await;
        let said: serde_json::Value = reply.json();
        let told = said["faults"].as_array().cloned().unwrap_or_default();
        let is_told = told
            .iter()
            .any(|kind| kinds.contains(&kind.as_str().unwrap_or_default()));
        if reply.status != 503 || !is_told {
            return Err(format!("{} {said}", reply.status));
        }
        let counted = faults_counted(control).await?;
        if counted.iter().any(|kind| kinds.contains(&kind.as_str())) {
            Ok(said["log"].as_str().unwrap().to_owned())
        } else {
            Err(format!("{said}, and the metric says {counted:?}"))
        }
    })
    .await
}

/// Waits until `/readyz` says 200, and the metric tells of no fault.
pub async fn until_ready(control: &Control) {
    wait_until("control is ready again", SOON, async || {
        let reply = readyz(control).await;
        if reply.status != 200 {
            return Err(format!("{} {}", reply.status, reply.text()));
        }
        let counted = faults_counted(control).await?;
        if counted.is_empty() {
            Ok(())
        } else {
            Err(format!("ready, and the metric says {counted:?}"))
        }
    })
    .await;
}

/// The kinds of the faults that the metric tells, which has a line for every kind of every part.
async fn faults_counted(control: &Control) -> Result<Vec<String>, String> {
    const NAME: &str = "latencify_control_fault{kind=\"";
    let metrics = Client::new()
        .get(control.admin(), "admin", "/metrics")
        .await;
    let lines: Vec<_> = metrics
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix(NAME))
        .collect();
    if lines.is_empty() {
        return Err(format!("no {NAME}: {}", metrics.text()));
    }
    let there = lines.iter().filter(|line| !line.ends_with("} 0"));
    let kinds = there.filter_map(|line| line.split('"').next());
    Ok(kinds.map(str::to_owned).collect())
}
