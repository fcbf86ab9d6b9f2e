//! Questions about the topic, asked by one client.

use super::{PARTITION, settling::Settling, unreachable};
use crate::{kafka::Cluster, log::LogError};
use rdkafka::{
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    metadata::MetadataBroker,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Questions at a time.
const ASKED_MAX: usize = 8;
/// For what is not waiting.
const SLACK: Duration = Duration::from_millis(500);

/// A topic as the cluster tells of it now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// The cluster's brokers.
    pub brokers: Vec<i32>,
    /// How many partitions the topic has.
    pub partitions: usize,
    /// The brokers that keep the first one.
    pub replicas: Vec<i32>,
    /// Those of them that have all of it.
    pub in_sync: Vec<i32>,
    /// The oldest offset that is kept.
    pub first: i64,
    /// The offset that the next record gets.
    pub next: i64,
}

/// Asks about one topic.
#[derive(Clone)]
pub struct Questions {
    client: Arc<BaseConsumer>,
    topic: String,
    /// Questions under way, each of which holds a thread: librdkafka waits by the wall clock, so one may take an hour more
    /// when that is set back.
    room: Arc<Semaphore>,
}

impl Questions {
    /// About a topic of a cluster. It need not be there.
    pub fn new(cluster: &Cluster, topic: &str) -> Result<Self, LogError> {
        let client = cluster.client().create();
        Ok(Self {
            client: Arc::new(client.map_err(|error| unreachable(&error))?),
            topic: topic.to_owned(),
            room: Arc::new(Semaphore::new(ASKED_MAX)),
        })
    }

    /// How the topic is now; none: there is none.
    pub async fn look(&self, wait: Duration) -> Result<Option<Look>, LogError> {
        self.ask(wait).await?.map_err(|error| unreachable(&error))
    }

    /// The same of a topic that may just have been made: not every broker may know of it.
    pub async fn look_at_new(&self, wait: Duration) -> Result<Option<Look>, LogError> {
        let mut settling = Settling::begin();
        loop {
            let error = match self.ask(wait).await? {
                Ok(look) => return Ok(look),
                Err(error) => error,
            };
            if !settling.is_worth_another(&error).await {
                return Err(unreachable(&error));
            }
        }
    }

    async fn ask(&self, wait: Duration) -> Result<Result<Option<Look>, KafkaError>, LogError> {
        let Ok(place) = self.room.clone().try_acquire_owned() else {
            return Err(LogError::Unreachable(
                "earlier questions are not answered yet".to_owned(),
            ));
        };
        let asked = self.clone();
        let told = tokio::task::spawn_blocking(move || {
            let told = asked.look_now(wait);
            drop(place);
            told
        });
        // Metadata and watermarks, one after the other.
        let told = tokio::time::timeout(2 * wait + SLACK, told).await;
        let told = told.map_err(|_| LogError::Unreachable("no answer in time".to_owned()))?;
        Ok(told.unwrap_or(Err(KafkaError::Canceled)))
    }

    fn look_now(&self, wait: Duration) -> Result<Option<Look>, KafkaError> {
        let told = self.client.fetch_metadata(Some(&self.topic), wait)?;
        let brokers = told.brokers().iter().map(MetadataBroker::id).collect();
        let Some(topic) = told.topics().first() else {
            return Ok(None);
        };
        if let Some(error) = topic.error() {
            return match RDKafkaErrorCode::from(error) {
                RDKafkaErrorCode::UnknownTopicOrPartition => Ok(None),
                code => Err(KafkaError::MetadataFetch(code)),
            };
        }
        let Some(partition) = topic
            .partitions()
            .iter()
            .find(|part| part.id() == PARTITION)
        else {
            return Ok(None);
        };
        let (first, next) = self.client.fetch_watermarks(&self.topic, PARTITION, wait)?;
        Ok(Some(Look {
            brokers,
            partitions: topic.partitions().len(),
            replicas: partition.replicas().to_vec(),
            in_sync: partition.isr().to_vec(),
            first,
            next,
        }))
    }
}
