//! The log as a topic of one partition: epoch = offset + 1. The producer is idempotent and waits for all replicas in
//! sync; readers assign themselves the partition from an offset, never a group.

mod topic;

use super::{AppendError, ChangeLog, LogError, READ_MAX, Reader, Record, first_entry, identity_of};
use crate::kafka::{ASK_MAX, Cluster, DELIVERY_MAX, topic as new_topic};
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use latencify_conf::change::{Epoch, LogId};
use parking_lot::RwLock;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, StreamConsumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};
use std::time::Duration;
use uuid::Uuid;

/// The topic, after the prefix.
pub const TOPIC: &str = "changes";
const PARTITION: i32 = 0;
/// How long the first entry of a log may take to be read.
const FIRST_WAIT: Duration = Duration::from_secs(20);
/// A log in Kafka.
pub struct KafkaLog {
    cluster: Cluster,
    topic: String,
    identity: LogId,
    risks: Vec<String>,
    producer: RwLock<FutureProducer>,
}

impl KafkaLog {
    /// Opens the log of a cluster, or begins one.
    pub async fn open(cluster: Cluster) -> Result<Self, LogError> {
        let name = cluster.topic(TOPIC);
        let new = topic::MUST_BE
            .iter()
            .fold(new_topic(&name, 1), |topic, (key, value)| {
                topic.set(key, value)
            });
        cluster
            .ensure_topic(&new)
            .await
            .map_err(|error| unreachable(&error))?;
        let risks = topic::check(&cluster, &name).await?;
        let producer: FutureProducer = cluster
            .producer()
            .create()
            .map_err(|error| unreachable(&error))?;
        let (first, next) = watermarks(&cluster, &name).await?;
        if first > 0 {
            return Err(LogError::Gone {
                wanted: Epoch(1),
                first: epoch_of(first),
            });
        }
        if next == 0 {
            let entry = first_entry(LogId(Uuid::new_v4()), None)
                .map_err(|error| LogError::NotALog(error.to_string()))?;
            // Another replica may begin the log at the same time: whichever entry stands first counts, for both.
            send(&producer, &name, &entry)
                .await
                .map_err(|(error, _)| unreachable(&error))?;
        }
        let mut reader = KafkaReader::open(&cluster, &name, Epoch(0))?;
        let records = reader.next(FIRST_WAIT).await?;
        let first = records
            .first()
            .ok_or_else(|| LogError::Unreachable("its first entry did not come".to_owned()))?;
        let identity = identity_of(&first.bytes)?;
        Ok(Self {
            cluster,
            topic: name,
            identity,
            risks,
            producer: RwLock::new(producer),
        })
    }

    /// A producer that met a fatal error does nothing any more; the next one starts afresh.
    fn renew_producer(&self) {
        match self.cluster.producer().create() {
            Ok(producer) => *self.producer.write() = producer,
            Err(error) => tracing::error!(%error, "no new Kafka producer could be made"),
        }
    }
}

#[async_trait]
impl ChangeLog for KafkaLog {
    fn identity(&self) -> LogId {
        self.identity
    }

    fn risks(&self) -> &[String] {
        &self.risks
    }

    async fn append(&self, entry: Bytes) -> Result<Epoch, AppendError> {
        let producer = self.producer.read().clone();
        match send(&producer, &self.topic, &entry).await {
            Ok(offset) => Ok(epoch_of(offset)),
            Err((error, was_taken)) => {
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
                    tracing::warn!(%error, "the Kafka producer is renewed");
                    self.renew_producer();
                }
                Err(match was_taken {
                    Taken::No => AppendError::Refused(error.to_string()),
                    Taken::NotKnown => AppendError::Unknown(error.to_string()),
                })
            }
        }
    }

    async fn reader(&self, after: Epoch) -> Result<Box<dyn Reader>, LogError> {
        let (first, _) = watermarks(&self.cluster, &self.topic).await?;
        if first > after.0 as i64 {
            return Err(LogError::Gone {
                wanted: Epoch(after.0 + 1),
                first: epoch_of(first),
            });
        }
        Ok(Box::new(KafkaReader::open(
            &self.cluster,
            &self.topic,
            after,
        )?))
    }

    async fn head(&self) -> Result<Epoch, LogError> {
        let (_, next) = watermarks(&self.cluster, &self.topic).await?;
        Ok(Epoch(next as u64))
    }
}

/// Whether a record that failed may be in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    No,
    NotKnown,
}

async fn send(
    producer: &FutureProducer,
    topic: &str,
    entry: &[u8],
) -> Result<i64, (KafkaError, Taken)> {
    let record = FutureRecord::<(), [u8]>::to(topic)
        .partition(PARTITION)
        .payload(entry);
    match producer.send(record, Timeout::After(DELIVERY_MAX)).await {
        Ok(delivery) => Ok(delivery.offset),
        Err((error, _)) => {
            let never_sent = matches!(
                error.rdkafka_error_code(),
                Some(RDKafkaErrorCode::QueueFull | RDKafkaErrorCode::MessageSizeTooLarge)
            );
            Err((
                error,
                if never_sent {
                    Taken::No
                } else {
                    Taken::NotKnown
                },
            ))
        }
    }
}

struct KafkaReader {
    consumer: StreamConsumer,
    next: Epoch,
}

impl KafkaReader {
    fn open(cluster: &Cluster, topic: &str, after: Epoch) -> Result<Self, LogError> {
        let consumer: StreamConsumer = cluster
            .consumer()
            // librdkafka wants a name; nothing is ever committed under it.
            .set("group.id", format!("{}.log-reader", cluster.prefix))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .create()
            .map_err(|error| unreachable(&error))?;
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, PARTITION, Offset::Offset(after.0 as i64))
            .map_err(|error| unreachable(&error))?;
        consumer
            .assign(&from)
            .map_err(|error| unreachable(&error))?;
        Ok(Self {
            consumer,
            next: Epoch(after.0 + 1),
        })
    }

    fn take(&mut self, message: &impl Message) -> Result<Record, LogError> {
        let epoch = epoch_of(message.offset());
        if epoch < self.next {
            return Err(LogError::Unfit(format!(
                "the topic gave epoch {epoch} after {}",
                self.next
            )));
        }
        self.next = Epoch(epoch.0 + 1);
        Ok(Record {
            epoch,
            bytes: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
        })
    }
}

#[async_trait]
impl Reader for KafkaReader {
    async fn next(&mut self, wait: Duration) -> Result<Vec<Record>, LogError> {
        let first = match tokio::time::timeout(wait, self.consumer.recv()).await {
            Err(_) => return Ok(Vec::new()),
            Ok(Ok(message)) => message.detach(),
            Ok(Err(error)) => return Err(unreachable(&error)),
        };
        let mut records = vec![self.take(&first)?];
        while records.len() < READ_MAX {
            // What is here already; nothing is waited for.
            let message = match self.consumer.recv().now_or_never() {
                Some(Ok(message)) => message.detach(),
                // It comes again, or stays away, with the next call.
                Some(Err(_)) | None => break,
            };
            records.push(self.take(&message)?);
        }
        Ok(records)
    }
}

/// The first offset that is kept and the next one that will be given.
async fn watermarks(cluster: &Cluster, topic: &str) -> Result<(i64, i64), LogError> {
    let (config, name) = (cluster.client(), topic.to_owned());
    let asked = tokio::task::spawn_blocking(move || {
        let client: BaseConsumer = config.create()?;
        let partitions = client.fetch_metadata(Some(&name), ASK_MAX)?;
        let partitions = partitions
            .topics()
            .first()
            .map_or(0, |topic| topic.partitions().len());
        client
            .fetch_watermarks(&name, PARTITION, ASK_MAX)
            .map(|marks| (marks, partitions))
    });
    let (marks, partitions) = asked
        .await
        .map_err(|error| LogError::Unreachable(error.to_string()))?
        .map_err(|error| unreachable(&error))?;
    if partitions > 1 {
        return Err(LogError::Unfit(format!(
            "the topic {topic} has {partitions} partitions, so it has no one order: the change log needs exactly one"
        )));
    }
    Ok(marks)
}

fn epoch_of(offset: i64) -> Epoch {
    Epoch(offset as u64 + 1)
}

fn unreachable(error: &KafkaError) -> LogError {
    LogError::Unreachable(error.to_string())
}
