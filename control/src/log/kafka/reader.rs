//! Reading the topic: the partition is assigned from an offset, never by a group.

use super::{
    Look, PARTITION, Shared, epoch_of,
    settling::Settling,
    topic, unreachable,
    watch::{LOOK_EVERY, LOOK_MAX},
};
use crate::{
    fault::Kind,
    kafka::Cluster,
    log::{LogError, READ_MAX, Reader, Record},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use latencify_conf::change::{Epoch, LogId};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    message::{Header, Headers as _, OwnedHeaders, OwnedMessage},
};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use uuid::Uuid;

/// The header that says for which log a record was written: a topic that was deleted and made again may hold another log,
/// and a writer or reader that has not noticed must not mix the two.
const LOG_HEADER: &str = "latencify-log";

/// The headers of a record for a log.
pub(super) fn headers(log: LogId) -> OwnedHeaders {
    OwnedHeaders::new_with_capacity(1).insert(Header {
        key: LOG_HEADER,
        value: Some(log.0.to_string().as_str()),
    })
}

/// For which log a record was written; none: it does not say so.
fn written_for(message: &OwnedMessage) -> Option<LogId> {
    let headers = message.headers()?;
    let value = headers
        .iter()
        .find(|header| header.key == LOG_HEADER)?
        .value?;
    let log = Uuid::parse_str(std::str::from_utf8(value).ok()?).ok()?;
    Some(LogId(log))
}

/// Reads records as they stand, whatever they are.
pub(super) struct Records {
    consumer: Option<StreamConsumer>,
    /// How to begin anew; none: something was read, so the topic is not new.
    unread: Option<Beginning>,
}

/// Where records are read from.
struct Beginning {
    cluster: Cluster,
    topic: String,
    after: Epoch,
    settling: Settling,
}

/// librdkafka waits for its own threads, and for brokers, for as long as they take. So a client ends on a thread that nobody
/// has to wait for, a process that stops least of all.
impl Drop for Records {
    fn drop(&mut self) {
        drop(self.end());
    }
}

impl Records {
    pub(super) fn after(cluster: &Cluster, topic: &str, after: Epoch) -> Result<Self, LogError> {
        let beginning = Beginning {
            cluster: cluster.clone(),
            topic: topic.to_owned(),
            after,
            settling: Settling::begin(),
        };
        Ok(Self {
            consumer: Some(beginning.consumer()?),
            unread: Some(beginning),
        })
    }

    /// Ends the client; what comes back is told when it is gone.
    fn end(&mut self) -> oneshot::Receiver<()> {
        let (gone, is_gone) = oneshot::channel();
        let consumer = self.consumer.take();
        let ending = thread::Builder::new().name("log-reader-end".into());
        // Without a thread it ends here: what was not begun is dropped.
        let _ = ending.spawn(move || {
            drop(consumer);
            let _ = gone.send(());
        });
        is_gone
    }

    /// The records behind an epoch, as they stand now. When this returns, its client is gone.
    pub(super) async fn once(
        cluster: &Cluster,
        topic: &str,
        after: Epoch,
        wait: Duration,
    ) -> Result<Vec<OwnedMessage>, LogError> {
        let mut records = Self::after(cluster, topic, after)?;
        let next = records.next(wait).await;
        // Were that not waited for here, clients could pile up.
        let _ = records.end().await;
        next
    }

    pub(super) async fn next(&mut self, wait: Duration) -> Result<Vec<OwnedMessage>, LogError> {
        let first = loop {
            let Some(consumer) = &self.consumer else {
                return Ok(Vec::new()); // It has ended.
            };
            let error = match tokio::time::timeout(wait, consumer.recv()).await {
                Err(_) => return Ok(Vec::new()),
                Ok(Ok(message)) => break message.detach(),
                Ok(Err(error)) => error,
            };
            let Some(beginning) = &mut self.unread else {
                return Err(unreachable(&error));
            };
            if !beginning.settling.is_worth_another(&error).await {
                return Err(unreachable(&error));
            }
            // This client would go by what it was told for a while.
            let consumer = self.consumer.replace(beginning.consumer()?);
            drop(Self {
                consumer,
                unread: None,
            });
        };
        self.unread = None;
        let Some(consumer) = &self.consumer else {
            return Ok(vec![first]);
        };
        let mut records = vec![first];
        while records.len() < READ_MAX {
            // What is here already; nothing is waited for.
            match consumer.recv().now_or_never() {
                Some(Ok(message)) => records.push(message.detach()),
                // It comes again, or stays away, with the next call.
                Some(Err(_)) | None => break,
            }
        }
        Ok(records)
    }
}

impl Beginning {
    fn consumer(&self) -> Result<StreamConsumer, LogError> {
        let consumer: StreamConsumer = self
            .cluster
            .consumer()
            // librdkafka wants a name; nothing is ever committed under it.
            .set("group.id", format!("{}.log-reader", self.cluster.prefix))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .create()
            .map_err(|error| unreachable(&error))?;
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(&self.topic, PARTITION, Offset::Offset(self.after.0 as i64))
            .map_err(|error| unreachable(&error))?;
        consumer
            .assign(&from)
            .map_err(|error| unreachable(&error))?;
        Ok(consumer)
    }
}

/// Reads the entries of one log.
pub(super) struct KafkaReader {
    shared: Arc<Shared>,
    records: Records,
    /// The newest that was given out, or where it began.
    last: Epoch,
    next: Epoch,
    /// When the first record was read again, because of one that was written for another log.
    looked: Option<Instant>,
}

impl KafkaReader {
    pub(super) fn open(shared: Arc<Shared>, after: Epoch) -> Result<Self, LogError> {
        Ok(Self {
            records: Records::after(&shared.cluster, &shared.topic, after)?,
            shared,
            last: after,
            next: Epoch(after.0 + 1),
            looked: None,
        })
    }

    /// The entry in a record; none when it was written for another log.
    async fn take(&mut self, message: &OwnedMessage) -> Result<Option<Record>, LogError> {
        let epoch = epoch_of(message.offset());
        if epoch < self.next {
            return Err(LogError::Unfit(format!(
                "the topic gave epoch {epoch} after {}",
                self.next
            )));
        }
        let log = self.shared.origin.log;
        if let Some(other) = written_for(message).filter(|other| *other != log) {
            // Either the topic is no longer this log's, or a writer was late to notice that it is no longer its own. It is
            // passed over anyway, so many of them need not be asked about one by one.
            if self.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
                let look = self.shared.look(LOOK_MAX).await?;
                self.shared.look_at_first(&look).await?;
                tracing::warn!(%epoch, %other, "a record in the topic was written for another log: it is passed over");
                self.looked = Some(Instant::now());
            }
            self.next = Epoch(epoch.0 + 1);
            self.shared.passed_over(self.last, epoch);
            return Ok(None);
        }
        self.next = Epoch(epoch.0 + 1);
        self.last = epoch;
        self.shared.saw(epoch);
        let record = Record {
            epoch,
            bytes: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
        };
        self.shared.given(record.clone());
        Ok(Some(record))
    }
}

impl Shared {
    fn given(&self, record: Record) {
        *self.given.lock() = Some(record);
    }

    /// Reads the record again that a reader was given last. If it stands there still, so does everything before it: what is put
    /// back to an older copy, or made anew, and grows as long again, has another one there.
    ///
    /// Where records are deleted that must be kept, that one may be gone. Then nothing shows what topic this is, so it is
    /// refused, though most likely nothing else is amiss: any entry that is written behind shows it again.
    pub(super) async fn has_what_was_given(&self, look: &Look) -> Result<(), LogError> {
        let given = self.given.lock().clone();
        let Some(Record { epoch, bytes }) = given else {
            let nothing = "nothing of it was read yet".to_owned();
            return Err(LogError::Unreachable(nothing));
        };
        let before = Epoch(epoch.0.saturating_sub(1));
        if look.first > before.0 as i64 {
            return Err(LogError::Gone {
                wanted: epoch,
                first: epoch_of(look.first),
                remedy: topic::write_behind(&self.topic, &self.cluster),
            });
        }
        let there = Records::once(&self.cluster, &self.topic, before, LOOK_MAX).await?;
        let Some(there) = there.first() else {
            let absent = "the record that was read last did not come again".to_owned();
            return Err(LogError::Unreachable(absent));
        };
        let is_ours = written_for(there).is_none_or(|log| log == self.origin.log);
        let is_it =
            epoch_of(there.offset()) == epoch && there.payload().unwrap_or_default() == &bytes[..];
        if is_ours && is_it {
            return Ok(());
        }
        self.doubted.notify_one();
        let holds = format!("has another record at epoch {epoch} than was read there");
        Err(LogError::Lost(self.replaced(&holds)))
    }
}

#[async_trait]
impl Reader for KafkaReader {
    async fn next(&mut self, wait: Duration) -> Result<Vec<Record>, LogError> {
        // What stands in a topic that is not this log's any more is none of its entries.
        if let Some(fault) = self.shared.condition.fault()
            && matches!(fault.kind, Kind::Missing | Kind::Replaced | Kind::Rewound)
        {
            return Err(LogError::Lost(fault));
        }
        let messages = self.records.next(wait).await?;
        let mut records = Vec::with_capacity(messages.len());
        for message in &messages {
            records.extend(self.take(message).await?);
        }
        Ok(records)
    }
}
