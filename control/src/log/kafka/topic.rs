//! How the topic of the log is kept: what must be, and what should be.

use crate::{
    kafka::{ASK_MAX, Cluster},
    log::LogError,
};
use rdkafka::{
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    metadata::MetadataBroker,
};

/// What the topic must say, because an entry that is deleted or compacted away is a truth that a new replica lacks.
pub(super) const MUST_BE: [(&str, &str); 3] = [
    ("cleanup.policy", "delete"),
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
];
/// So many brokers should keep each entry, so that one may die and another be in service meanwhile.
const REPLICAS: usize = 3;
/// So many of them should have an entry before its writer is answered.
const IN_SYNC: u32 = 2;

/// How a cluster keeps a topic. What it does not tell is not judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Kept {
    /// The cluster's brokers.
    brokers: Vec<i32>,
    /// Those that keep the one partition.
    replicas: Vec<i32>,
    /// The topic's settings, its defaults included.
    settings: Vec<(String, Option<String>)>,
}

/// Refuses a topic that forgets, and says what one may lose, each with its remedy: a cluster of one broker is good enough
/// for development.
pub(super) async fn check(cluster: &Cluster, topic: &str) -> Result<Vec<String>, LogError> {
    let settings = match cluster.topic_settings(topic).await {
        Ok(settings) => settings,
        Err(error) => {
            tracing::warn!(topic, %error, "the broker does not tell the topic's settings, so they are not checked");
            Vec::new()
        }
    };
    let (brokers, replicas) = match replicas(cluster, topic).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(topic, %error, "the broker does not tell the topic's replicas, so they are not checked");
            (Vec::new(), Vec::new())
        }
    };
    let kept = Kept {
        brokers,
        replicas,
        settings,
    };
    kept.refuse_to_forget(topic)?;
    Ok(kept.risks(topic, &cluster.brokers))
}

/// The cluster's brokers, and those of them that keep the topic's first partition.
async fn replicas(cluster: &Cluster, topic: &str) -> Result<(Vec<i32>, Vec<i32>), KafkaError> {
    let (config, name) = (cluster.client(), topic.to_owned());
    let asked = tokio::task::spawn_blocking(move || {
        let client: BaseConsumer = config.create()?;
        let told = client.fetch_metadata(Some(&name), ASK_MAX)?;
        let first = told
            .topics()
            .first()
            .and_then(|topic| topic.partitions().first());
        let replicas = first.map_or_else(Vec::new, |partition| partition.replicas().to_vec());
        let brokers = told.brokers().iter().map(MetadataBroker::id).collect();
        Ok((brokers, replicas))
    });
    asked.await.unwrap_or(Err(KafkaError::Canceled))
}

impl Kept {
    fn refuse_to_forget(&self, topic: &str) -> Result<(), LogError> {
        for (name, wanted) in MUST_BE {
            if let Some(value) = self.setting(name).filter(|value| *value != wanted) {
                return Err(LogError::Unfit(format!(
                    "the topic {topic} has {name}={value}, but the change log must keep every entry: set {name}={wanted}"
                )));
            }
        }
        Ok(())
    }

    /// What may be lost, and the command that mends it.
    fn risks(&self, topic: &str, servers: &str) -> Vec<String> {
        let set = |setting: String| {
            format!(
                "kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics --entity-name {topic} \
                 --add-config {setting}"
            )
        };
        let mut risks = Vec::new();
        let is_single = self.replicas.len() == 1;
        if is_single {
            risks.push(format!(
                "the topic {topic} has 1 replica, so the log is lost with one disk: {}",
                self.spread(topic, servers)
            ));
        }
        if let Some(in_sync) = self.setting("min.insync.replicas")
            && in_sync.parse().is_ok_and(|in_sync: u32| in_sync < IN_SYNC)
        {
            // With one replica, nothing could be written any more.
            let first = if is_single {
                "once it has more replicas, run "
            } else {
                "run "
            };
            risks.push(format!(
                "the topic {topic} has min.insync.replicas={in_sync}, so an entry may be confirmed that one broker alone \
                 has: {first}{}",
                set(format!("min.insync.replicas={IN_SYNC}"))
            ));
        }
        if self.setting("unclean.leader.election.enable") == Some("true") {
            risks.push(format!(
                "the topic {topic} has unclean.leader.election.enable=true, so a broker that lacks confirmed entries may \
                 lead it: run {}",
                set("unclean.leader.election.enable=false".to_owned())
            ));
        }
        risks
    }

    /// How the partition comes to more brokers: the one that has it first, because it leads.
    fn spread(&self, topic: &str, servers: &str) -> String {
        let others = self
            .brokers
            .iter()
            .filter(|broker| !self.replicas.contains(broker));
        let brokers: Vec<_> = self.replicas.iter().chain(others).take(REPLICAS).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(brokers: &[i32], replicas: &[i32], in_sync: &str, unclean: &str) -> Kept {
        let settings = [
            ("min.insync.replicas", in_sync),
            ("unclean.leader.election.enable", unclean),
        ];
        Kept {
            brokers: brokers.to_vec(),
            replicas: replicas.to_vec(),
            settings: settings
                .map(|(name, value)| (name.to_owned(), Some(value.to_owned())))
                .to_vec(),
        }
    }

    #[test]
    fn each_risk_is_told_with_its_remedy() {
        let alter = "kafka-configs.sh --bootstrap-server k:9092 --alter --entity-type topics --entity-name t --add-config";
        let in_sync = format!("run {alter} min.insync.replicas=2");
        let unclean = format!("run {alter} unclean.leader.election.enable=false");
        let spread =
            r#"{"partitions":[{"partition":0,"replicas":[2,1,3],"topic":"t"}],"version":1}"#;
        let cases: [(Kept, &[&str]); 7] = [
            (kept(&[1, 2, 3], &[1, 2, 3], "2", "false"), &[]),
            (kept(&[1, 2, 3], &[1, 2, 3], "1", "false"), &[&in_sync]),
            (kept(&[1, 2, 3], &[1, 2, 3], "2", "true"), &[&unclean]),
            (kept(&[1, 2, 3, 4], &[2], "2", "false"), &[spread]),
            (
                kept(&[1], &[1], "1", "true"),
                &["run 3 brokers", "once it has more replicas, run", &unclean],
            ),
            (kept(&[], &[], "many", ""), &[]),
            (Kept::default(), &[]),
        ];
        for (kept, says) in cases {
            let risks = kept.risks("t", "k:9092");
            assert_eq!(risks.len(), says.len(), "{kept:?}: {risks:?}");
            for (risk, says) in risks.iter().zip(says) {
                assert!(risk.contains(says), "{risk}: {says}");
            }
        }
    }
}
