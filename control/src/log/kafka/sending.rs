//! Writing to the topic.

use super::{PARTITION, reader, settling::Settling, unreachable};
use crate::{
    kafka::{Cluster, DELIVERY_MAX},
    log::{LogError, Opening, first_entry},
};
use latencify_conf::change::{LogId, Moved};
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};
use uuid::Uuid;

/// An entry on its way into a log.
pub(super) fn record<'r>(
    topic: &'r str,
    log: LogId,
    entry: &'r [u8],
) -> FutureRecord<'r, (), [u8]> {
    FutureRecord::to(topic)
        .partition(PARTITION)
        .headers(reader::headers(log))
        .payload(entry)
}

pub(super) fn producer(cluster: &Cluster, opening: Opening) -> Result<FutureProducer, LogError> {
    let mut config = cluster.producer();
    if matches!(opening, Opening::Move(_)) {
        // One that failed must stop those behind it, or the entries would stand in another order.
        config.set("enable.gapless.guarantee", "true");
    }
    config.create().map_err(|error| unreachable(&error))
}

/// Another replica may begin the log at the same time: whichever entry stands first counts, for both. So it does not say for
/// which log it was written: the second is an entry of the first one's log, which the fold refuses.
pub(super) async fn begin(
    producer: &FutureProducer,
    topic: &str,
    from: Option<Moved>,
) -> Result<(), LogError> {
    let log = LogId(Uuid::new_v4());
    let entry = first_entry(log, from).map_err(|error| LogError::NotALog(error.to_string()))?;
    let mut settling = Settling::begin();
    loop {
        let record = FutureRecord::<(), [u8]>::to(topic)
            .partition(PARTITION)
            .payload(&entry);
        let Err((error, _)) = producer.send(record, Timeout::After(DELIVERY_MAX)).await else {
            return Ok(());
        };
        if !settling.is_worth_another(&error).await {
            return Err(unreachable(&error));
        }
    }
}

/// Whether a record that failed may be in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    No,
    NotKnown,
}

pub(super) async fn send(
    producer: &FutureProducer,
    topic: &str,
    log: LogId,
    entry: &[u8],
) -> Result<i64, (KafkaError, Taken)> {
    let record = record(topic, log, entry);
    match producer.send(record, Timeout::After(DELIVERY_MAX)).await {
        Ok(delivery) => Ok(delivery.offset),
        Err((error, _)) => {
            // What was never sent, and what the broker has looked at and refused.
            let is_refused = matches!(
                error.rdkafka_error_code(),
                Some(
                    RDKafkaErrorCode::QueueFull
                        | RDKafkaErrorCode::MessageSizeTooLarge
                        | RDKafkaErrorCode::InvalidTimestamp
                        | RDKafkaErrorCode::InvalidRecord
                        | RDKafkaErrorCode::TopicAuthorizationFailed
                        | RDKafkaErrorCode::PolicyViolation
                )
            );
            let taken = if is_refused {
                Taken::No
            } else {
                Taken::NotKnown
            };
            Err((error, taken))
        }
    }
}
