//! The consumer group on `PREFIX.events`.

use super::{
    dead_letters::{self, DeadLetters},
    read::read,
};
use crate::{
    backoff::Backoff,
    kafka::{ASK_MAX, Cluster, topic},
    verbs::{Control, Refused},
};
use futures::{StreamExt as _, stream::FuturesOrdered};
use rdkafka::{
    Message as _,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    error::KafkaError,
    message::OwnedMessage,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The topic, after the prefix.
pub const TOPIC: &str = "events";
/// The group, after the prefix.
const GROUP: &str = "control";
/// Events that are handled side by side; their offsets move in order all the same.
const UNDER_WAY_MAX: usize = 32;
/// Between two attempts, at first and at the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How long the broker may be silent before it is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(5);

/// How the consumer fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Not connected yet.
    Starting,
    /// It follows its topic.
    Following,
    /// The broker is out of reach; it tries again for ever.
    Retrying(String),
}

/// The consumer. A clone is the same.
#[derive(Clone)]
pub struct Consumer {
    cluster: Cluster,
    health: Arc<watch::Sender<Health>>,
}

/// A message that is done with: its offset may move.
struct Done {
    message: OwnedMessage,
}

impl Consumer {
    /// A consumer of this cluster that has not been started.
    pub fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            health: Arc::new(watch::Sender::new(Health::Starting)),
        }
    }

    /// How it fares.
    pub fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    /// Consumes until `stop`.
    pub async fn run(self, control: Control, stop: CancellationToken) {
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
        loop {
            let error = tokio::select! {
                () = stop.cancelled() => return,
                error = self.consume(&control, &stop, &mut backoff) => error,
            };
            let Err(error) = error else { return };
            control.fleet.metrics.consumer_error();
            tracing::warn!(%error, retry_in_ms = backoff.due().as_millis() as u64, "the event consumer lost its broker");
            self.health
                .send_replace(Health::Retrying(error.to_string()));
            tokio::select! {
                () = stop.cancelled() => return,
                () = backoff.pause() => {}
            }
        }
    }

    async fn consume(
        &self,
        control: &Control,
        stop: &CancellationToken,
        backoff: &mut Backoff,
    ) -> Result<(), KafkaError> {
        let (events, letters) = (
            self.cluster.topic(TOPIC),
            self.cluster.topic(dead_letters::TOPIC),
        );
        for name in [&events, &letters] {
            self.cluster.ensure_topic(&topic(name, -1)).await?;
        }
        let letters = DeadLetters::new(&self.cluster)?;
        let consumer: Arc<StreamConsumer> = Arc::new(
            self.cluster
                .consumer()
                .set("group.id", self.cluster.topic(GROUP))
                .set("auto.offset.reset", "earliest")
                .set("enable.auto.commit", "true")
                .set("auto.commit.interval.ms", "1000")
                .create()?,
        );
        consumer.subscribe(&[&events])?;
        self.health.send_replace(Health::Following);
        backoff.reset();
        let mut under_way = FuturesOrdered::new();
        loop {
            tokio::select! {
                // Before what is done: after a stop, an event may be given up, and no offset may move past it.
                biased;
                () = stop.cancelled() => break,
                Some(done) = under_way.next(), if !under_way.is_empty() => {
                    let done: Option<Done> = done;
                    settle(&consumer, done.as_ref());
                }
                message = tokio::time::timeout(SILENCE, consumer.recv()), if under_way.len() < UNDER_WAY_MAX => {
                    match message {
                        Err(_) => self.ask(consumer.clone()).await?,
                        Ok(message) => {
                            self.health.send_replace(Health::Following);
                            under_way.push_back(handle(control, &letters, stop, message?.detach()));
                        }
                    }
                }
            }
        }
        // What is done is committed; what is not comes again.
        let _ = consumer.commit_consumer_state(CommitMode::Sync);
        Ok(())
    }

    /// A broker that is gone is no error of a consumer that waits, so it is asked for now and then.
    async fn ask(&self, consumer: Arc<StreamConsumer>) -> Result<(), KafkaError> {
        let topic = self.cluster.topic(TOPIC);
        let ask = move || consumer.fetch_metadata(Some(&topic), ASK_MAX).map(|_| ());
        tokio::task::spawn_blocking(ask)
            .await
            .unwrap_or(Err(KafkaError::Canceled))?;
        self.health.send_replace(Health::Following);
        Ok(())
    }
}

fn settle(consumer: &StreamConsumer, done: Option<&Done>) {
    let Some(Done { message }) = done else { return };
    let stored = consumer.store_offset(message.topic(), message.partition(), message.offset());
    if let Err(error) = stored {
        // The partition went to another member of the group, which reads the event again; the fold tells.
        tracing::debug!(%error, "an offset was not stored");
    }
}

/// Brings one message to its end: into the log, or among the dead letters. None when the program stops before that.
async fn handle(
    control: &Control,
    letters: &DeadLetters,
    stop: &CancellationToken,
    message: OwnedMessage,
) -> Option<Done> {
    let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
    let place = (message.partition(), message.offset());
    loop {
        match attempt(control, letters, &message).await {
            Ok(outcome) => {
                control.fleet.metrics.event(outcome);
                return Some(Done { message });
            }
            Err(error) => {
                tracing::warn!(
                    partition = place.0,
                    offset = place.1,
                    error,
                    "an event waits for the log or the broker"
                );
            }
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = backoff.pause() => {}
        }
    }
}

/// One attempt; its error says that another may do.
async fn attempt(
    control: &Control,
    letters: &DeadLetters,
    message: &OwnedMessage,
) -> Result<&'static str, String> {
    let (reason, detail) = match read(message) {
        Err(error) => (error.as_str(), error.to_string()),
        Ok(event) => match control.take_event(event, None).await {
            Ok(taken) => return Ok(if taken.repeat { "repeat" } else { "accepted" }),
            Err(refused) => match reason_of(&refused) {
                Some(reason) => (reason, refused.to_string()),
                None => return Err(refused.to_string()),
            },
        },
    };
    tracing::warn!(
        partition = message.partition(),
        offset = message.offset(),
        reason,
        detail,
        "an event is a dead letter"
    );
    letters
        .write(message, reason, &detail)
        .await
        .map_err(|error| error.to_string())?;
    Ok(reason)
}

/// Why an event can't be taken however often it is tried; none: it may be taken later.
fn reason_of(refused: &Refused) -> Option<&'static str> {
    match refused {
        Refused::Store(_) | Refused::PolicyUnreadable { .. } | Refused::HeadMoves => None,
        Refused::Write(crate::writer::WriteError::Entry(_)) => Some("too_large"),
        Refused::Write(_) => None,
        Refused::Unresolved(unresolved) => Some(unresolved.why.as_str()),
        _ => Some("refused"),
    }
}
