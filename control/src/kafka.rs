//! What the log and the event consumer share of Kafka: settings of clients, and topics that must be there.

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
};
use std::time::Duration;

/// How long one question to the cluster may take.
pub const ASK_MAX: Duration = Duration::from_secs(10);
/// How long a record may take to be confirmed; after that, whether it was written is not known.
pub const DELIVERY_MAX: Duration = Duration::from_secs(10);
/// How long a group waits for a member that is gone without a word: after a crash, of a broker or of this program, events
/// are taken up that much later. A broker takes no less than 6 s.
const SESSION_MAX: Duration = Duration::from_secs(8);
/// Between two signs of life to the group: several must be lost before a member counts as gone.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// Which cluster, and under which names.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// `host:port,host:port`.
    pub brokers: String,
    /// What every topic's and group's name begins with.
    pub prefix: String,
}

impl Cluster {
    /// The name of a topic.
    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// Settings that every client has.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "latencify-control")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true");
        config
    }

    /// Settings of a producer whose records are written once and in order, and confirmed by all replicas in sync.
    pub fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("request.timeout.ms", "5000")
            .set("delivery.timeout.ms", DELIVERY_MAX.as_millis().to_string());
        config
    }

    /// Settings of a consumer that says itself how far it has come.
    pub fn consumer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "false")
            .set("session.timeout.ms", SESSION_MAX.as_millis().to_string())
            .set("heartbeat.interval.ms", HEARTBEAT.as_millis().to_string())
            .set("fetch.error.backoff.ms", "100")
            .set("topic.metadata.refresh.interval.ms", "30000");
        config
    }

    /// Makes a topic unless it is there.
    pub async fn ensure_topic(&self, topic: &NewTopic<'_>) -> Result<(), KafkaError> {
        let options = AdminOptions::new()
            .operation_timeout(Some(ASK_MAX))
            .request_timeout(Some(ASK_MAX));
        for result in self.admin()?.create_topics([topic], &options).await? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(KafkaError::AdminOp(code)),
            }
        }
        Ok(())
    }

    /// A topic's settings, by name.
    pub async fn topic_settings(
        &self,
        topic: &str,
    ) -> Result<Vec<(String, Option<String>)>, KafkaError> {
        let options = AdminOptions::new().request_timeout(Some(ASK_MAX));
        let resource = ResourceSpecifier::Topic(topic);
        let mut settings = Vec::new();
        for described in self
            .admin()?
            .describe_configs([&resource], &options)
            .await?
        {
            let entries = described.map_err(KafkaError::AdminOp)?.entries;
            settings.extend(entries.into_iter().map(|entry| (entry.name, entry.value)));
        }
        Ok(settings)
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, KafkaError> {
        self.client().create()
    }
}

/// A topic with as many replicas as the cluster gives by default; production sets 3, with 2 in sync.
pub fn topic(name: &str, partitions: i32) -> NewTopic<'_> {
    NewTopic::new(name, partitions, TopicReplication::Fixed(-1))
}
