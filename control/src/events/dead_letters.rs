//! Where events go that can't be taken: with the reason, and where they came from.

use crate::kafka::{Cluster, DELIVERY_MAX};
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, Headers as _, Message, OwnedHeaders, OwnedMessage},
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};

/// The topic, after the prefix.
pub const TOPIC: &str = "events.dlq";
/// The most bytes of a detail in a header.
const DETAIL_BYTES_MAX: usize = 4 * 1024;

/// Writes dead letters.
pub struct DeadLetters {
    topic: String,
    producer: FutureProducer,
}

impl DeadLetters {
    /// To the cluster's topic of dead letters.
    pub fn new(cluster: &Cluster) -> Result<Self, KafkaError> {
        Ok(Self {
            topic: cluster.topic(TOPIC),
            producer: cluster.producer().create()?,
        })
    }

    /// Writes one, as it came, and waits for the broker's confirmation. One that is too large with its reason beside it
    /// goes without its payload: the headers say where that is.
    pub async fn write(
        &self,
        message: &OwnedMessage,
        reason: &str,
        detail: &str,
    ) -> Result<(), KafkaError> {
        match self.send(message, reason, detail, message.payload()).await {
            Err(error)
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) =>
            {
                self.send(message, reason, detail, None).await
            }
            sent => sent,
        }
    }

    async fn send(
        &self,
        message: &OwnedMessage,
        reason: &str,
        detail: &str,
        payload: Option<&[u8]>,
    ) -> Result<(), KafkaError> {
        let (partition, offset) = (
            message.partition().to_string(),
            message.offset().to_string(),
        );
        let end = (0..=DETAIL_BYTES_MAX.min(detail.len()))
            .rev()
            .find(|&at| detail.is_char_boundary(at))
            .unwrap_or(0);
        let why = [
            ("latencify-reason", reason),
            ("latencify-detail", detail.get(..end).unwrap_or_default()),
            ("latencify-topic", message.topic()),
            ("latencify-partition", &partition),
            ("latencify-offset", &offset),
        ];
        let mut headers = OwnedHeaders::new();
        for header in message
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter())
        {
            headers = headers.insert(Header {
                key: header.key,
                value: header.value,
            });
        }
        for (key, value) in why {
            headers = headers.insert(Header {
                key,
                value: Some(value),
            });
        }
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.topic).headers(headers);
        record.payload = payload;
        record.key = message.key();
        self.producer
            .send(record, Timeout::After(DELIVERY_MAX))
            .await
            .map(|_| ())
            .map_err(|(error, _)| error)
    }
}
