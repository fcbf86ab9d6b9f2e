use super::*;

fn cluster() -> Cluster {
    Cluster {
        brokers: "k:9092".to_owned(),
        prefix: "p".to_owned(),
    }
}

fn kept(brokers: &[i32], replicas: &[i32], settings: &[(&str, &str)]) -> Kept {
    Kept {
        look: Look {
            brokers: brokers.to_vec(),
            partitions: 1,
            replicas: replicas.to_vec(),
            in_sync: replicas.to_vec(),
            first: 0,
            next: 7,
        },
        settings: settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())))
            .collect(),
    }
}

#[track_caller]
fn check(kept: &Kept, said: &[String], says: &[&str]) {
    assert_eq!(said.len(), says.len(), "{kept:?}: {said:?}");
    for (said, says) in said.iter().zip(says) {
        assert!(said.contains(says), "{said}: {says}");
    }
}

const ALTER: &str = "kafka-configs.sh --bootstrap-server k:9092 --alter --entity-type topics --entity-name t --add-config";

#[test]
fn each_risk_is_told_with_its_remedy() {
    let in_sync = format!("run {ALTER} min.insync.replicas=2");
    let unclean = format!("run {ALTER} unclean.leader.election.enable=false");
    let stamp = format!("run {ALTER} message.timestamp.type=LogAppendTime");
    let spread = r#"{"partitions":[{"partition":0,"replicas":[2,1,3],"topic":"t"}],"version":1}"#;
    let min = |of: &'static str| ("min.insync.replicas", of);
    let elect = |how: &'static str| ("unclean.leader.election.enable", how);
    let ahead = |ms: &'static str| ("message.timestamp.after.max.ms", ms);
    let (create, append) = (
        ("message.timestamp.type", "CreateTime"),
        ("message.timestamp.type", "LogAppendTime"),
    );
    let three = [1, 2, 3];
    let cases: [(Kept, &[&str]); 11] = [
        (kept(&three, &three, &[min("2"), elect("false")]), &[]),
        (kept(&three, &three, &[min("1")]), &[&in_sync]),
        (
            kept(&three, &three, &[min("2"), elect("true")]),
            &[&unclean],
        ),
        (kept(&[1, 2, 3, 4], &[2], &[]), &[spread]),
        (
            kept(&[1], &[1], &[min("1"), elect("true")]),
            &["run 3 brokers", "once it has more replicas, run", &unclean],
        ),
        (
            kept(&three, &[1, 2], &[min("3")]),
            &["nothing can be written"],
        ),
        (kept(&three, &three, &[ahead("3600000"), create]), &[&stamp]),
        (kept(&three, &three, &[ahead("3600000"), append]), &[]),
        (
            kept(&three, &three, &[ahead("9223372036854775807"), create]),
            &[],
        ),
        (kept(&[], &[], &[min("many")]), &[]),
        (Kept::default(), &[]),
    ];
    for (kept, says) in cases {
        check(&kept, &kept.risks("t", &cluster()), says);
    }
}

#[test]
fn what_loses_entries_is_refused_all_at_once() {
    let keep = format!("run {ALTER} cleanup.policy=delete,retention.ms=-1");
    let bytes = format!("run {ALTER} retention.bytes=-1");
    let size = format!("run {ALTER} max.message.bytes=1048588");
    let mut parted = kept(&[1], &[1], &[]);
    parted.look.partitions = 2;
    let cases: [(Kept, &[&str]); 6] = [
        (
            kept(
                &[1],
                &[1],
                &[("retention.ms", "-1"), ("cleanup.policy", "delete")],
            ),
            &[],
        ),
        (
            kept(
                &[1],
                &[1],
                &[
                    ("retention.ms", "604800000"),
                    ("cleanup.policy", "compact,delete"),
                ],
            ),
            &[&keep],
        ),
        (
            kept(
                &[1],
                &[1],
                &[("retention.bytes", "1"), ("max.message.bytes", "524288")],
            ),
            &[&bytes, &size],
        ),
        (kept(&[1], &[1], &[("max.message.bytes", "1048588")]), &[]),
        (parted, &["--delete --topic t"]),
        (Kept::default(), &[]),
    ];
    for (kept, says) in cases {
        check(&kept, &kept.wrong("t", &cluster()), says);
        assert_eq!(kept.refuse("t", &cluster()).is_err(), !says.is_empty());
    }
    let mut cut = kept(&[1], &[1], &[]);
    cut.look.first = 5;
    let told = cut.refuse("t", &cluster()).unwrap_err().to_string();
    assert!(
        told.contains("starts at 6") && told.contains("migrate-log"),
        "{told}"
    );
    check(&cut, &cut.all("t", &cluster())[..1], &["begins at 6"]);
}
