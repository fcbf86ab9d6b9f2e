//! How the topic of the log is kept: what must be, and what should be.

use super::{Look, Questions, epoch_of};
use crate::{
    kafka::{ASK_MAX, Cluster},
    log::LogError,
};
use latencify_conf::change::{ENTRY_BYTES_MAX, Epoch};

/// What the topic must say, because an entry that is deleted or compacted away is a truth that a new replica lacks.
const MUST_BE: [(&str, &str); 3] = [
    ("cleanup.policy", "delete"),
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
];
/// What it is made with. The broker's own clock stamps the records: by a replica's clock that runs ahead they would be
/// refused. The size is Kafka's default, whatever this cluster's is.
pub(super) const MADE_WITH: [(&str, &str); 5] = [
    MUST_BE[0],
    MUST_BE[1],
    MUST_BE[2],
    ("message.timestamp.type", "LogAppendTime"),
    ("max.message.bytes", "1048588"),
];
/// The largest entry, and what a record and its batch add to it.
const MESSAGE_BYTES_MIN: u64 = ENTRY_BYTES_MAX as u64 + 4096;
/// So far ahead may a replica's clock be before records that it stamps are refused.
const CLOCK_AHEAD_MIN_MS: u64 = 24 * 60 * 60 * 1000;
/// So many brokers should keep each entry, so that one may die and another be in service meanwhile.
const REPLICAS: usize = 3;
/// So many of them should have an entry before its writer is answered.
const IN_SYNC: usize = 2;

/// How a cluster keeps a topic. What it does not tell is not judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kept {
    look: Look,
    /// The topic's settings, its defaults included.
    settings: Vec<(String, Option<String>)>,
}

impl Kept {
    /// Asks for it all.
    pub(super) async fn ask(
        cluster: &Cluster,
        topic: &str,
        ask: &Questions,
    ) -> Result<Self, LogError> {
        let look = ask.look(ASK_MAX).await?.unwrap_or_default();
        Ok(Self::of(cluster, topic, look).await)
    }

    /// Asks for the settings of a topic that was looked at.
    pub(super) async fn of(cluster: &Cluster, topic: &str, look: Look) -> Self {
        let settings = match cluster.topic_settings(topic).await {
            Ok(settings) => settings,
            Err(error) => {
                tracing::warn!(topic, %error, "the broker does not tell the topic's settings, so they are not checked");
                Vec::new()
            }
        };
        Self { look, settings }
    }

    /// So many brokers must be in sync for anything to be written.
    pub(super) fn in_sync_min(&self) -> Option<usize> {
        self.setting("min.insync.replicas")?.parse().ok()
    }

    /// Refuses a topic that loses entries, or can't take them: all that is wrong with it, each with the command that mends
    /// it.
    pub(super) fn refuse(&self, topic: &str, cluster: &Cluster) -> Result<(), LogError> {
        if self.look.first > 0 {
            return Err(LogError::Gone {
                wanted: Epoch(1),
                first: epoch_of(self.look.first),
                remedy: restore(topic, cluster),
            });
        }
        let wrong = self.wrong(topic, cluster);
        if wrong.is_empty() {
            return Ok(());
        }
        Err(LogError::Unfit(wrong.join("; and ")))
    }

    /// All that there is to say, of a topic that is in use.
    pub(super) fn all(&self, topic: &str, cluster: &Cluster) -> Vec<String> {
        let mut all = self.wrong(topic, cluster);
        if self.look.first > 0 {
            all.push(format!(
                "the topic {topic} begins at {}: entries before it were deleted, so no new replica can be started on it; {}",
                epoch_of(self.look.first),
                restore(topic, cluster)
            ));
        }
        all.extend(self.risks(topic, cluster));
        all
    }

    fn wrong(&self, topic: &str, cluster: &Cluster) -> Vec<String> {
        let mut wrong = Vec::new();
        let forgets: Vec<_> = MUST_BE
            .into_iter()
            .filter(|(name, wanted)| self.setting(name).is_some_and(|value| value != *wanted))
            .collect();
        if !forgets.is_empty() {
            let said: Vec<_> = forgets
                .iter()
                .map(|(name, _)| format!("{name}={}", self.setting(name).unwrap_or_default()))
                .collect();
            let wanted: Vec<_> = forgets
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            wrong.push(format!(
                "the topic {topic} has {}, but the change log must keep every entry: run {}",
                said.join(" and "),
                set(topic, cluster, &wanted.join(","))
            ));
        }
        if let Some(most) = self.setting("max.message.bytes")
            && most.parse().is_ok_and(|most: u64| most < MESSAGE_BYTES_MIN)
        {
            wrong.push(format!(
                "the topic {topic} has max.message.bytes={most}, but entries may have {ENTRY_BYTES_MAX} bytes: run {}",
                set(topic, cluster, "max.message.bytes=1048588")
            ));
        }
        if self.look.partitions > 1 {
            wrong.push(format!(
                "the topic {topic} has {} partitions, so it has no one order: the change log needs exactly one. If nothing in \
                 it is needed, run kafka-topics.sh --bootstrap-server {} --delete --topic {topic}, and it is made as it must \
                 be; else choose another --kafka-prefix",
                self.look.partitions, cluster.brokers
            ));
        }
        wrong
    }

    /// What may be lost, and the command that mends it.
    pub(super) fn risks(&self, topic: &str, cluster: &Cluster) -> Vec<String> {
        let mut risks = Vec::new();
        let replicas = self.look.replicas.len();
        let is_single = replicas == 1;
        if is_single {
            risks.push(format!(
                "the topic {topic} has 1 replica, so the log is lost with one disk: {}",
                self.spread(topic, &cluster.brokers)
            ));
        }
        if let Some(in_sync) = self.in_sync_min() {
            let should_be = set(topic, cluster, &format!("min.insync.replicas={IN_SYNC}"));
            if in_sync < IN_SYNC {
                // With one replica, nothing could be written any more.
                let first = if is_single {
                    "once it has more replicas, run "
                } else {
                    "run "
                };
                risks.push(format!(
                    "the topic {topic} has min.insync.replicas={in_sync}, so an entry may be confirmed that one broker alone \
                     has: {first}{should_be}"
                ));
            } else if replicas > 0 && in_sync > replicas {
                risks.push(format!(
                    "the topic {topic} has min.insync.replicas={in_sync} and {replicas} replicas, so nothing can be written \
                     to it: give it more replicas, or run {}",
                    set(topic, cluster, &format!("min.insync.replicas={}", IN_SYNC.min(replicas)))
                ));
            }
        }
        if self.setting("unclean.leader.election.enable") == Some("true") {
            risks.push(format!(
                "the topic {topic} has unclean.leader.election.enable=true, so a broker that lacks confirmed entries may \
                 lead it: run {}",
                set(topic, cluster, "unclean.leader.election.enable=false")
            ));
        }
        if let Some(ahead) = self.setting("message.timestamp.after.max.ms")
            && ahead
                .parse()
                .is_ok_and(|ahead: u64| ahead < CLOCK_AHEAD_MIN_MS)
            && self.setting("message.timestamp.type") == Some("CreateTime")
        {
            risks.push(format!(
                "the topic {topic} refuses records of a replica whose clock is {ahead} ms ahead of the broker's: run {}",
                set(topic, cluster, "message.timestamp.type=LogAppendTime")
            ));
        }
        risks
    }

    /// How the partition comes to more brokers: the one that has it first, because it leads.
    fn spread(&self, topic: &str, servers: &str) -> String {
        let Look {
            brokers, replicas, ..
        } = &self.look;
        let others = brokers.iter().filter(|broker| !replicas.contains(broker));
        let brokers: Vec<_> = replicas.iter().chain(others).take(REPLICAS).collect();
        if brokers.len() < REPLICAS {
            return format!(
                "good enough for development; for production run {REPLICAS} brokers with default.replication.factor={REPLICAS}, \
                 and start latencify-control again: it says how the topic comes to them"
            );
        }
        let plan = serde_json::json!({
            "version": 1,
            "partitions": [{"topic": topic, "partition": 0, "replicas": brokers}],
        });
        format!(
            "write {plan} to spread.json and run kafka-reassign-partitions.sh --bootstrap-server {servers} \
             --reassignment-json-file spread.json --execute"
        )
    }

    fn setting(&self, name: &str) -> Option<&str> {
        let (_, value) = self.settings.iter().find(|(key, _)| key == name)?;
        value.as_deref()
    }
}

fn set(topic: &str, cluster: &Cluster, settings: &str) -> String {
    format!(
        "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {topic} --add-config {settings}",
        cluster.brokers
    )
}

/// What to do about entries that were deleted, all that a replica has read, while it follows the topic.
pub(super) fn write_behind(topic: &str, cluster: &Cluster) -> String {
    let must_be = MUST_BE.map(|(name, value)| format!("{name}={value}"));
    format!(
        "so that no more are, run {}; then write one (purge a URL, or apply the policy again), which shows that the log is the \
         same still; no new replica can be started on it: {}",
        set(topic, cluster, &must_be.join(",")),
        restore(topic, cluster)
    )
}

/// What to do about entries that were deleted.
pub(super) fn restore(topic: &str, cluster: &Cluster) -> String {
    let Cluster { brokers, prefix } = cluster;
    format!(
        "to go on with all that a replica's store has folded: stop every control, delete the topic (kafka-topics.sh \
         --bootstrap-server {brokers} --delete --topic {topic}), and run latencify-control migrate-log --data DIR --kafka \
         {brokers} --kafka-prefix {prefix} --log-is-lost with that replica's data folder"
    )
}

#[cfg(test)]
mod tests;
