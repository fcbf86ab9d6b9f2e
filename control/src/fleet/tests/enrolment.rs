//! Who gets a certificate, and what one is good for.

use super::{
    Edge, client,
    edge::{Client, enrol, request, shows},
};
use crate::testing::{JOIN_TOKEN, Replica, until};
use latencify_conf::link::message::{
    EdgePurge, FromEdge, Hello, PolicyRequest, RenewRequest, from_edge::Message as From,
};
use rcgen::KeyPair;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;

async fn invite(replica: &Replica, name: &str, expires: &str) -> String {
    let path = format!("/v1/edges/{name}/invitations");
    let answer = replica.post(&path, json!({"expires": expires})).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    answer.body["token"].as_str().unwrap().to_owned()
}

async fn revoke(replica: &Replica, name: &str) -> Value {
    let path = format!("/v1/edges/{name}/revocation");
    let answer = replica.post(&path, json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.body
}

/// What control says to a call that needs a certificate that counts.
async fn answered(client: &mut Client) -> Code {
    let unknown = PolicyRequest {
        digest: bytes::Bytes::from_static(&[7; 32]),
    };
    client.fetch_policy(unknown).await.err().unwrap().code()
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_lets_one_edge_in_once_and_its_answer_may_be_lost() {
    let replica = Replica::start().await;
    let token = invite(&replica, "paris", "1h").await;
    assert!(token.contains(".ca-"), "{token}");
    let refused = async |token: &str, name: &str, code, word: &str| {
        let status = enrol(&replica, token, name, &key()).await.err().unwrap();
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.message().contains(word), "{status:?}");
    };
    refused(&token, "tokyo", Code::PermissionDenied, "is for paris").await;
    refused(
        "lat_edge_00",
        "paris",
        Code::Unauthenticated,
        "not this fleet's",
    )
    .await;
    let mine = key();
    let first = enrol(&replica, &token, "", &mine).await.unwrap();
    assert_eq!((first.edge.as_str(), first.authorities.len()), ("paris", 1));
    let again = enrol(&replica, &token, "paris", &mine).await.unwrap();
    assert_ne!(first.chain, again.chain);
    refused(&token, "paris", Code::Unauthenticated, "used already").await;
    let mut paris = shows(&replica, &again.chain[0], &mine).await;
    assert_eq!(answered(&mut paris).await, Code::NotFound);
    // It survives a restart that it was used.
    let replica = replica.restart().await;
    let status = enrol(&replica, &token, "paris", &key())
        .await
        .err()
        .unwrap();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    let mut paris = shows(&replica, &again.chain[0], &mine).await;
    assert_eq!(answered(&mut paris).await, Code::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_expires_and_a_request_must_prove_its_key() {
    let replica = Replica::start().await;
    let token = invite(&replica, "paris", "1ms").await;
    until("it has expired", async || {
        let status = enrol(&replica, &token, "paris", &key()).await.err()?;
        (status.code() == Code::Unauthenticated && status.message().contains("expired"))
            .then_some(())
    })
    .await;
    for expires in ["0s", "8d", "soon"] {
        let answer = replica
            .post("/v1/edges/paris/invitations", json!({"expires": expires}))
            .await;
        assert!(answer.status.is_client_error(), "{expires}: {answer:?}");
    }
    let answer = replica.post("/v1/edges/a%20b/invitations", json!({})).await;
    assert!(answer.status.is_client_error(), "{answer:?}");
    // A signature that is not that key's.
    let mut client = client(&replica, "paris").await;
    let mut forged = request(&key()).to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let refused = client.renew(RenewRequest {
        request: forged.into(),
    });
    assert_eq!(refused.await.err().unwrap().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_sent_away_comes_back_by_invitation_alone() {
    let replica = Replica::start().await;
    let mut edge = Edge::join(&replica, "paris").await;
    let mut caller = client(&replica, "paris").await;
    let mut tokyo = client(&replica, "tokyo").await;
    let unused = invite(&replica, "paris", "1h").await;
    let revoked = revoke(&replica, "paris").await;
    assert_eq!(revoked["certificates"], 1, "{revoked}");
    let refusal = edge.ends().await.unwrap();
    assert!(
        refusal.r#final && refusal.reason.contains("revoked"),
        "{refusal:?}"
    );
    assert_eq!(answered(&mut caller).await, Code::PermissionDenied);
    let renewal = caller.renew(RenewRequest {
        request: request(&key()),
    });
    assert_eq!(renewal.await.err().unwrap().code(), Code::PermissionDenied);
    assert_eq!(answered(&mut tokyo).await, Code::NotFound, "another edge");
    for token in [JOIN_TOKEN, &unused] {
        let status = enrol(&replica, token, "paris", &key()).await.err().unwrap();
        assert!(status.message().contains("edge invite"), "{status:?}");
    }
    // It stays so over a restart, and is in the log.
    let replica = replica.restart().await;
    let status = enrol(&replica, JOIN_TOKEN, "paris", &key()).await;
    assert_eq!(status.err().unwrap().code(), Code::PermissionDenied);
    let log = replica.get("/v1/log?after=0").await.body.to_string();
    assert!(log.contains("certificate_revoked"), "{log}");
    let token = invite(&replica, "paris", "1h").await;
    let mine = key();
    let enrolled = enrol(&replica, &token, "paris", &mine).await.unwrap();
    let mut caller = shows(&replica, &enrolled.chain[0], &mine).await;
    assert_eq!(answered(&mut caller).await, Code::NotFound);
    let nobody = replica.post("/v1/edges/lyon/revocation", json!({})).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND, "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_is_called_what_its_certificate_says() {
    let replica = Replica::start().await;
    let tokyo = Edge::join(&replica, "tokyo").await;
    let mut paris = client(&replica, "paris").await;
    let hello = Hello {
        protocol: latencify_conf::link::PROTOCOL,
        edge: "tokyo".into(),
        process: bytes::Bytes::copy_from_slice(Uuid::new_v4().as_bytes()),
        ..Hello::default()
    };
    let hello = FromEdge {
        message: Some(From::Hello(hello)),
    };
    let said = tokio_stream::StreamExt::chain(
        tokio_stream::once(hello),
        tokio_stream::pending::<FromEdge>(),
    );
    let mut heard = paris.attach(said).await.unwrap().into_inner();
    let message = heard.message().await.unwrap().unwrap().message.unwrap();
    let latencify_conf::link::message::to_edge::Message::Refusal(refusal) = message else {
        panic!("{message:?}")
    };
    assert!(
        refusal.r#final && refusal.reason.contains("paris"),
        "{refusal:?}"
    );
    assert_eq!(
        replica.get("/v1/edges").await.body["edges"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // Nor does it purge in another's name.
    let purge = EdgePurge {
        key: "k".into(),
        process: bytes::Bytes::copy_from_slice(tokyo.process.as_bytes()),
        site: 1,
        path: "/a".into(),
        ..EdgePurge::default()
    };
    let refused = paris.purge(purge).await.err().unwrap();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_certificate() {
    let replica = Replica::start_with(&["--certificate-lifetime", "2s"]).await;
    let mut edge = Edge::attach(&replica, "paris", Uuid::new_v4(), None).await;
    edge.welcomed().await;
    let refusal = edge.ends().await.unwrap();
    assert!(
        !refusal.r#final && refusal.reason.contains("expired"),
        "{refusal:?}"
    );
}
