//! The log as a topic of one partition: epoch = offset + 1. The producer is idempotent and waits for all replicas in
//! sync; readers assign themselves the partition from an offset, never a group.

mod ask;
mod reader;
mod sending;
mod settling;
mod topic;
mod watch;

use super::{AppendError, ChangeLog, LogError, Opening, Origin, Reader, Record, origin_of};
use crate::{
    fault::Condition,
    kafka::{ASK_MAX, Cluster, topic as new_topic},
};
use ask::{Look, Questions};
use async_trait::async_trait;
use bytes::Bytes;
use latencify_conf::change::{Epoch, LogId};
use parking_lot::{Mutex, RwLock};
use rdkafka::{
    Message as _,
    error::{KafkaError, RDKafkaErrorCode},
    producer::FutureProducer,
};
use reader::{KafkaReader, Records};
use sending::{Taken, begin, producer, record, send};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::JoinHandle};
use topic::Kept;
use watch::LOOK_MAX;

/// The topic, after the prefix.
pub const TOPIC: &str = "changes";
const PARTITION: i32 = 0;
/// How long the first entry of a log may take to be read, and a topic that was just made to be there.
const FIRST_WAIT: Duration = Duration::from_secs(20);
/// Between two looks for a topic that was just made.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A log in Kafka.
pub struct KafkaLog {
    shared: Arc<Shared>,
    producer: RwLock<FutureProducer>,
    watching: JoinHandle<()>,
}

/// What the log, its readers and its watch know.
struct Shared {
    cluster: Cluster,
    topic: String,
    origin: Origin,
    ask: Questions,
    condition: Condition,
    /// Something was odd: look at once.
    doubted: Notify,
    newest: AtomicU64,
    /// The end of the log, if it is records that were written for another one: the last entry before them, and the last
    /// of them.
    passed_over: Mutex<Option<(Epoch, Epoch)>>,
    /// The record that a reader here was given last.
    given: Mutex<Option<Record>>,
    kept: Mutex<(Kept, Vec<String>)>,
}

impl Shared {
    fn newest(&self) -> Epoch {
        Epoch(self.newest.load(Ordering::SeqCst))
    }

    async fn look(&self, wait: Duration) -> Result<Look, LogError> {
        let look = self.ask.look(wait).await?;
        look.ok_or_else(|| LogError::Lost(self.missing()))
    }

    async fn look_at_new(&self) -> Result<Look, LogError> {
        let look = self.ask.look_at_new(ASK_MAX).await?;
        look.ok_or_else(|| LogError::Lost(self.missing()))
    }

    /// The newest entry in the topic as it was looked at.
    fn head(&self, look: &Look) -> Epoch {
        let head = Epoch(look.next as u64);
        let passed_over = *self.passed_over.lock();
        passed_over
            .filter(|(_, last)| *last == head)
            .map_or(head, |(before, _)| before)
    }

    fn saw(&self, epoch: Epoch) {
        self.newest.fetch_max(epoch.0, Ordering::SeqCst);
    }

    fn passed_over(&self, last: Epoch, epoch: Epoch) {
        *self.passed_over.lock() = Some((last, epoch));
    }

    fn kept(&self) -> Kept {
        self.kept.lock().0.clone()
    }

    fn risks(&self) -> Vec<String> {
        self.kept.lock().1.clone()
    }

    fn keep(&self, kept: Kept, risks: Vec<String>) {
        *self.kept.lock() = (kept, risks);
    }
}

impl KafkaLog {
    /// Opens the log of a cluster, or begins one.
    pub async fn open(cluster: Cluster, opening: Opening) -> Result<Self, LogError> {
        let topic = cluster.topic(TOPIC);
        let ask = Questions::new(&cluster, &topic)?;
        let look = match (ask.look_at_new(ASK_MAX).await?, opening) {
            (None, Opening::Follow(Some(bound))) => {
                return Err(lost(&cluster, &topic, "does not exist", bound));
            }
            (None, Opening::Leave(bound)) => {
                return Err(not_here(&cluster, &topic, "does not exist", bound));
            }
            (None, _) => make(&cluster, &topic, &ask).await?,
            (Some(look), _) => look,
        };
        let kept = Kept::of(&cluster, &topic, look.clone()).await;
        kept.refuse(&topic, &cluster)?;
        let risks = kept.risks(&topic, &cluster);
        let producer = producer(&cluster, opening)?;
        if look.next == 0 {
            let from = match opening {
                Opening::Follow(None) => None,
                Opening::Move(from) => Some(from),
                Opening::Follow(Some(bound)) => {
                    return Err(lost(&cluster, &topic, "is empty", bound));
                }
                Opening::Leave(bound) => {
                    return Err(not_here(&cluster, &topic, "is empty", bound));
                }
            };
            begin(&producer, &topic, from).await?;
        }
        let records = Records::once(&cluster, &topic, Epoch(0), FIRST_WAIT).await?;
        let first = records
            .first()
            .ok_or_else(|| LogError::Unreachable("its first entry did not come".to_owned()))?;
        let origin = origin_of(first.payload().unwrap_or_default())?;
        let newest = ask.look_at_new(ASK_MAX).await?;
        let next = newest.map_or(look.next, |look| look.next);
        if !matches!(opening, Opening::Move(_)) && !origin.is_complete(Epoch(next as u64)) {
            return Err(LogError::Unfit(format!(
                "the move of another log into the topic {topic} is not finished ({} of {} entries are there): run \
                 latencify-control migrate-log again",
                next - 1,
                origin.from.map_or(0, |from| from.entries)
            )));
        }
        let shared = Arc::new(Shared {
            cluster,
            topic,
            origin,
            ask,
            condition: Condition::new("change log"),
            doubted: Notify::new(),
            newest: AtomicU64::new(next as u64),
            passed_over: Mutex::default(),
            given: Mutex::default(),
            kept: Mutex::new((kept, risks)),
        });
        Ok(Self {
            watching: tokio::spawn(watch::keep_watching(shared.clone())),
            shared,
            producer: RwLock::new(producer),
        })
    }

    /// A producer that met a fatal error does nothing any more; the next one starts afresh.
    fn renew_producer(&self) {
        match self.shared.cluster.producer().create() {
            Ok(producer) => *self.producer.write() = producer,
            Err(error) => tracing::error!(%error, "no new Kafka producer could be made"),
        }
    }

    fn failed(&self, error: &KafkaError, was_taken: Taken) -> AppendError {
        self.shared.doubted.notify_one();
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            tracing::warn!(%error, "the Kafka producer is renewed");
            self.renew_producer();
        }
        match was_taken {
            Taken::No => AppendError::Refused(error.to_string()),
            Taken::NotKnown => AppendError::Unknown(error.to_string()),
        }
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

#[async_trait]
impl ChangeLog for KafkaLog {
    fn origin(&self) -> Origin {
        self.shared.origin
    }

    fn condition(&self) -> &Condition {
        &self.shared.condition
    }

    fn risks(&self) -> Vec<String> {
        self.shared.risks()
    }

    async fn append(&self, entry: Bytes) -> Result<Epoch, AppendError> {
        if let Some(fault) = self.shared.condition.fault() {
            return Err(AppendError::Refused(fault.to_string()));
        }
        let producer = self.producer.read().clone();
        let before = self.shared.newest();
        let log = self.shared.origin.log;
        let sent = tokio::select! {
            sent = send(&producer, &self.shared.topic, log, &entry) => sent,
            // It may still be taken, but nobody should wait for that.
            fault = self.shared.condition.fails() => return Err(AppendError::Unknown(fault.to_string())),
        };
        let epoch = match sent {
            Ok(offset) => epoch_of(offset),
            Err((error, was_taken)) => return Err(self.failed(&error, was_taken)),
        };
        if epoch <= before {
            // No log gives an epoch twice.
            let holds = format!("gave epoch {epoch} to an entry after {before}");
            let fault = self.shared.replaced(&holds);
            self.shared.condition.raise(fault.clone());
            return Err(AppendError::Unknown(fault.to_string()));
        }
        self.shared.saw(epoch);
        Ok(epoch)
    }

    async fn append_in_order(&self, entries: Vec<Bytes>) -> Result<(), AppendError> {
        let producer = self.producer.read().clone();
        let mut deliveries = Vec::with_capacity(entries.len());
        for entry in &entries {
            let record = record(&self.shared.topic, self.shared.origin.log, entry);
            let enqueued = producer.send_result(record);
            deliveries
                .push(enqueued.map_err(|(error, _)| AppendError::Refused(error.to_string()))?);
        }
        for delivery in deliveries {
            let failed = match delivery.await {
                Ok(Ok(_)) => continue,
                Ok(Err((error, _))) => error.to_string(),
                Err(_) => "its producer stopped meanwhile".to_owned(),
            };
            return Err(AppendError::Unknown(failed));
        }
        Ok(())
    }

    async fn reader(&self, after: Epoch) -> Result<Box<dyn Reader>, LogError> {
        let shared = &self.shared;
        let look = shared.look_at_new().await?;
        if look.first > after.0 as i64 {
            return Err(LogError::Gone {
                wanted: Epoch(after.0 + 1),
                first: epoch_of(look.first),
                remedy: topic::restore(&shared.topic, &shared.cluster),
            });
        }
        if shared.condition.fault().is_some() || look.next < after.0 as i64 {
            shared.look_at_first(&look).await?;
        }
        Ok(Box::new(KafkaReader::open(shared.clone(), after)?))
    }

    async fn head(&self) -> Result<Epoch, LogError> {
        let look = self.shared.look_at_new().await?;
        Ok(self.shared.head(&look))
    }

    async fn end(&self) -> Result<Epoch, LogError> {
        let look = self.shared.look(LOOK_MAX).await?;
        let head = self.shared.head(&look);
        // Read again after that: were the topic another by then, its end would be another's.
        self.shared.has_what_was_given(&look).await?;
        Ok(head)
    }
}

/// What the first entry of a cluster's log says; none when there is no topic, or nothing in it. Nothing is made.
pub async fn peek(cluster: &Cluster) -> Result<Option<Origin>, LogError> {
    let topic = cluster.topic(TOPIC);
    let ask = Questions::new(cluster, &topic)?;
    match ask.look_at_new(ASK_MAX).await? {
        Some(look) if look.next > 0 => {}
        _ => return Ok(None),
    }
    let records = Records::once(cluster, &topic, Epoch(0), FIRST_WAIT).await?;
    let first = records
        .first()
        .ok_or_else(|| LogError::Unreachable("its first entry did not come".to_owned()))?;
    origin_of(first.payload().unwrap_or_default()).map(Some)
}

/// Makes the topic, and waits until the cluster tells of it.
async fn make(cluster: &Cluster, topic: &str, ask: &Questions) -> Result<Look, LogError> {
    let new = topic::MADE_WITH
        .iter()
        .fold(new_topic(topic, 1), |new, (key, value)| new.set(key, value));
    cluster
        .ensure_topic(&new)
        .await
        .map_err(|error| unreachable(&error))?;
    let deadline = tokio::time::Instant::now() + FIRST_WAIT;
    loop {
        match ask.look(ASK_MAX).await {
            Ok(Some(look)) => return Ok(look),
            Ok(None) | Err(_) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Ok(None) => {
                let why = format!("the topic {topic} was made and is not there");
                return Err(LogError::Unreachable(why));
            }
            Err(error) => return Err(error),
        }
    }
}

fn lost(cluster: &Cluster, topic: &str, how: &str, bound: LogId) -> LogError {
    let Cluster { brokers, prefix } = cluster;
    LogError::Unfit(format!(
        "the topic {topic} on {brokers} {how}, but the store has followed log {bound}: to move that log there, or to begin \
         another one from the store because the topic was lost, run latencify-control migrate-log --data DIR --kafka {brokers} \
         --kafka-prefix {prefix} (with --log-is-lost if it was lost)"
    ))
}

fn not_here(cluster: &Cluster, topic: &str, how: &str, bound: LogId) -> LogError {
    LogError::Unfit(format!(
        "the topic {topic} on {} {how}, but log {bound}, which the store follows, is to be moved from there: give the \
         --from-kafka and --from-kafka-prefix that say where it is, or, if it is lost, --log-is-lost instead of both",
        cluster.brokers
    ))
}

fn epoch_of(offset: i64) -> Epoch {
    Epoch(offset as u64 + 1)
}

fn unreachable(error: &KafkaError) -> LogError {
    LogError::Unreachable(error.to_string())
}
