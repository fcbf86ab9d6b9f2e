//! What an edge of a fleet writes down of a request: enough to tell later what decided.

use super::{SOON, version_at, versioned};
use latencify_conf::{
    api::PurgeTarget,
    record::{AccessRecord, CacheOutcome},
};
use latencify_tests::{Control, Edge, policy::one_route, wait_until};

/// The last record, once so many are there.
async fn record(edge: &Edge, count: usize) -> AccessRecord<'static> {
    let record = wait_until(&format!("record {count}"), SOON, async || {
        let mut records = edge.access_log();
        match records.len() {
            len if len == count => Ok(records.pop().unwrap()),
            len => Err(len),
        }
    })
    .await;
    serde_json::from_value(record).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_tells_revision_digest_epochs_and_the_path_of_the_decision() {
    let (origin, _) = versioned().await;
    let control = Control::embedded().start().await;
    let policy = control
        .apply(&one_route(&origin.url(), "cache: true, name: all"))
        .await;
    let [edge] = control.edges(["paris"]).await;
    version_at(&edge, "/a").await;
    let miss = record(&edge, 1).await;
    // A purge of something else: the marks move on, the stored object's stamp stays.
    let purge = control
        .purge(vec![PurgeTarget::Url("http://shop.example/b".to_owned())])
        .await;
    control.receipt(&purge.id).await;
    version_at(&edge, "/a").await;
    let hit = record(&edge, 2).await;

    let decided = ["site:main", "route:all", "admit:granted"];
    let cases: [(_, _, &[&str]); 2] = [
        (&miss, CacheOutcome::Miss, &["origin:app"]),
        (&hit, CacheOutcome::Hit, &[]),
    ];
    for (record, cache, steered) in cases {
        assert_eq!(record.cache, cache, "{record:?}");
        assert_eq!(record.revision, Some(policy.revision), "{record:?}");
        let digest = record.policy.map(|digest| digest.to_string());
        assert_eq!(digest.as_ref(), Some(&policy.digest), "{record:?}");
        assert_eq!(record.decisions, [&decided, steered].concat(), "{record:?}");
    }
    let fetched = miss.mark_epoch.unwrap();
    assert!(fetched < purge.epoch, "{miss:?}");
    assert_eq!(hit.mark_epoch, Some(purge.epoch), "{hit:?}");
    assert_eq!(hit.epoch, Some(fetched), "{hit:?}");
}
