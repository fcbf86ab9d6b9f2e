//! Which sites a purge names while policies change, and what an edge's clients purge.

use super::{
    edge::{Edge, client},
    purge,
};
use crate::{
    store::{entity::blobs, sqlite},
    testing::{Replica, policy},
};
use futures::future::join_all;
use latencify_conf::link::message::EdgePurge;
use reqwest::StatusCode;
use sea_orm::EntityTrait as _;
use serde_json::{Value, json};
use tonic::Code;

/// What the accepted entry of a purge says.
async fn logged(replica: &Replica, id: &str) -> Value {
    let log = replica.get("/v1/log?after=0").await.body;
    let mut entries = log["entries"].as_array().unwrap().iter();
    let found = entries.find(|entry| entry["entry"]["id"] == *id);
    found.unwrap()["entry"]["change"].clone()
}

async fn submit(replica: &Replica, text: String) {
    let files = json!([{"name": "policy.yaml", "text": text}]);
    let answer = replica.post("/v1/policies", json!({"files": files})).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_names_the_sites_of_the_head_that_it_follows() {
    const REVISIONS: u64 = 12;
    let replica = Replica::start().await;
    // Each revision gives the host to a new site, whose id is the revision's number.
    let revision = |number: u64| {
        policy(&["shop"])
            .replace("shop:", &format!("shop{number}:"))
            .replace("shop.example", "same.example")
    };
    submit(&replica, revision(1)).await;
    let policies = async {
        for number in 2..=REVISIONS {
            submit(&replica, revision(number)).await;
        }
    };
    let purges = join_all((0..4).map(|purger| {
        let replica = &replica;
        async move {
            for number in 0..12 {
                let body = json!({"targets": [{"url": format!("https://same.example/{purger}/{number}")}]});
                let answer = replica.post("/v1/purges", body).await;
                // One that is overtaken again and again may be told to come back, and nothing else.
                assert!(
                    answer.status == StatusCode::ACCEPTED || answer.body["retryable"] == true,
                    "{answer:?}"
                );
            }
        }
    }));
    tokio::join!(policies, purges);

    let log = replica.get("/v1/log?after=0&limit=1000").await.body;
    let (mut head, mut purged) = (0, 0);
    for entry in log["entries"].as_array().unwrap() {
        let change = &entry["entry"]["change"];
        match (change["kind"].as_str().unwrap(), &entry["outcome"]) {
            ("policy", _) => head += 1,
            ("purge", outcome) if *outcome == "accepted" => {
                let sites = change["targets"].as_array().unwrap().iter();
                assert!(
                    sites.clone().any(|target| target["site"] == head),
                    "head {head}: {entry}"
                );
                purged += 1;
            }
            _ => {}
        }
    }
    assert_eq!(head, REVISIONS);
    assert!(purged > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_has_not_said_what_it_runs_may_run_what_it_saved() {
    let replica = Replica::start().await;
    replica.apply(&["shop"]).await;
    replica.apply(&["other"]).await;
    let body = json!({"targets": [{"url": "https://shop.example/x"}]});
    let unknown = replica.post("/v1/purges", body).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    let _edge = Edge::join(&replica, "paris").await;
    let id = purge(&replica, json!({"url": "https://shop.example/x"})).await;
    assert_eq!(
        logged(&replica, &id).await["targets"],
        json!([{"on": "url", "site": 1, "path": "/x"}])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_revision_that_cannot_be_read_holds_no_purge_up() {
    let replica = Replica::start().await;
    replica.apply(&["shop"]).await;
    let digest = replica.get("/v1/policies/1").await.body["digest"].clone();
    replica.apply(&["other"]).await;
    let _edge = Edge::join(&replica, "paris").await;
    let replica = replica
        .restart_after(async |data| {
            let store = sqlite::writer(&data.join("store.db")).await.unwrap();
            let digest = digest.as_str().unwrap();
            let gone = blobs::Entity::delete_by_id(digest).exec(&store).await;
            assert_eq!(gone.unwrap().rows_affected, 1);
            store.close().await.unwrap();
        })
        .await;
    let id = purge(&replica, json!({"url": "https://other.example/x"})).await;
    assert_eq!(
        logged(&replica, &id).await["targets"],
        json!([{"on": "url", "site": 1, "path": "/x"}, {"on": "url", "site": 2, "path": "/x"}])
    );
    let (_, metrics) = replica.admin("/metrics").await;
    assert!(metrics.contains("latencify_control_policies_unread_total 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_appends_the_purges_of_its_clients() {
    let replica = Replica::start().await;
    replica.apply(&["shop"]).await;
    let mut edge = Edge::join(&replica, "paris").await;
    let mut client = client(&replica, "paris").await;
    let purge = EdgePurge {
        key: "k".into(),
        soft: true,
        process: bytes::Bytes::copy_from_slice(edge.process.as_bytes()),
        site: 1,
        path: "/a".into(),
        host: String::new(),
    };
    let first = client.purge(purge.clone()).await.unwrap().into_inner();
    let again = client.purge(purge.clone()).await.unwrap().into_inner();
    assert_eq!(first, again, "the key makes a repeat safe");
    let delivered = edge.delivered().await;
    assert_eq!(
        (delivered.id.to_string(), delivered.by.as_str()),
        (first.id, "edge:paris")
    );
    let refused = [
        EdgePurge {
            site: 9,
            ..purge.clone()
        },
        EdgePurge {
            process: bytes::Bytes::from_static(&[1; 3]),
            ..purge.clone()
        },
        EdgePurge {
            process: bytes::Bytes::from_static(&[1; 16]),
            ..purge
        },
    ];
    for (purge, code) in
        refused
            .into_iter()
            .zip([Code::InvalidArgument, Code::InvalidArgument, Code::NotFound])
    {
        assert_eq!(client.purge(purge).await.err().unwrap().code(), code);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_from_an_edge_names_what_its_host_means_to_others() {
    let replica = Replica::start().await;
    let renamed = |name: &str| {
        policy(&["shop"])
            .replace("shop:", name)
            .replace("shop.example", "same.example")
    };
    submit(&replica, renamed("before:")).await;
    let edge = Edge::join(&replica, "paris").await;
    submit(&replica, renamed("after:")).await;
    let mut client = client(&replica, "paris").await;
    let mut purge = EdgePurge {
        key: String::new(),
        soft: false,
        process: bytes::Bytes::copy_from_slice(edge.process.as_bytes()),
        site: 1,
        path: "/a".into(),
        host: "same.example".into(),
    };
    for (host, sites) in [("same.example", &[1, 2][..]), ("", &[1]), ("nobody", &[1])] {
        host.clone_into(&mut purge.host);
        let answer = client.purge(purge.clone()).await;
        let id = answer.unwrap().into_inner().id;
        let expected: Vec<_> = sites
            .iter()
            .map(|site| json!({"on": "url", "site": site, "path": "/a"}))
            .collect();
        assert_eq!(logged(&replica, &id).await["targets"], json!(expected));
    }
}
