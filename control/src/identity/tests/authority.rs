//! What tokens and roles may, whose keys are believed, and what is told of it.

use super::{PASSWORD, Stand, Tokens, detail};
use crate::{
    identity::keys,
    testing::{API_TOKEN, answer},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_token_may_what_it_was_given_and_never_more_than_its_maker() {
    let stand = Stand::new().await;
    stand.0.apply(&["shop", "blog"]).await;
    stand
        .add("alice", "operator", Some(&["shop", "blog"]))
        .await;
    let alice = stand.login("alice").await;
    let wanted = |roles: &[&str], sites: Value| json!({"name": "ci", "roles": roles, "sites": sites, "expires_in_seconds": 3600});
    for (body, status) in [
        (wanted(&["admin"], json!(["shop"])), StatusCode::FORBIDDEN),
        (wanted(&["purger"], json!(["news"])), StatusCode::FORBIDDEN),
        (
            wanted(&["nothing"], json!(["shop"])),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            json!({"name": "ci", "roles": ["purger"], "expires_in_seconds": 0}),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            json!({"name": "default", "roles": ["purger"], "expires_in_seconds": 9}),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let refused = stand.post("/v1/tokens", &alice.access, body.clone()).await;
        assert_eq!(refused.status, status, "{body}");
    }
    let made = stand
        .post(
            "/v1/tokens",
            &alice.access,
            wanted(&["purger"], json!(["shop"])),
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let token = made.body["token"].as_str().unwrap();
    let who = stand.get("/v1/whoami", token).await;
    assert_eq!(
        (&who.body["name"], &who.body["sites"]),
        (&json!("token:alice/ci"), &json!(["shop"]))
    );
    let purge = async |site: &str| {
        stand
            .post("/v1/purges", token, json!({"targets": [{"site": site}]}))
            .await
            .status
    };
    assert_eq!(purge("shop").await, StatusCode::ACCEPTED);
    assert_eq!(purge("blog").await, StatusCode::FORBIDDEN);
    let more = stand
        .post("/v1/tokens", token, wanted(&["viewer"], json!(["shop"])))
        .await;
    assert_eq!(
        more.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "a token makes no token"
    );
    // Its maker is less now.
    stand
        .patch("/v1/users/alice", json!({"roles": ["viewer"]}))
        .await;
    assert_eq!(purge("shop").await, StatusCode::FORBIDDEN);
    stand
        .patch(
            "/v1/users/alice",
            json!({"roles": ["operator"], "sites": ["blog"]}),
        )
        .await;
    assert_eq!(purge("shop").await, StatusCode::FORBIDDEN);
    stand
        .patch(
            "/v1/users/alice",
            json!({"all_sites": true, "disabled": true}),
        )
        .await;
    assert_eq!(purge("shop").await, StatusCode::UNAUTHORIZED);
    stand
        .patch("/v1/users/alice", json!({"disabled": false}))
        .await;
    assert_eq!(purge("shop").await, StatusCode::ACCEPTED);
    let id = made.body["about"]["id"].as_str().unwrap();
    stand.add("mallory", "viewer", None).await;
    let mallory = stand.login("mallory").await.access;
    assert_eq!(
        stand
            .delete(&format!("/v1/tokens/{id}"), &mallory)
            .await
            .status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        stand.get("/v1/tokens", &mallory).await.body["tokens"],
        json!([])
    );
    assert_eq!(
        stand
            .delete(&format!("/v1/tokens/{id}"), API_TOKEN)
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(purge("shop").await, StatusCode::UNAUTHORIZED);
    let listed = stand.get("/v1/tokens", API_TOKEN).await;
    assert_eq!(listed.body["tokens"][0]["state"], "revoked");
    assert!(
        !listed.body.to_string().contains(token),
        "its text is nowhere"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_limited_to_sites_changes_only_these() {
    let stand = Stand::new().await;
    stand.0.apply(&["shop", "blog"]).await;
    stand.add("shopkeeper", "operator", Some(&["shop"])).await;
    let token = stand.login("shopkeeper").await.access;
    for (target, status) in [
        (json!({"site": "shop"}), StatusCode::ACCEPTED),
        (
            json!({"url": "https://shop.example/a"}),
            StatusCode::ACCEPTED,
        ),
        (
            json!({"tag": {"tag": "x", "site": "shop"}}),
            StatusCode::ACCEPTED,
        ),
        (json!({"tag": "x"}), StatusCode::FORBIDDEN),
        (
            json!({"url": "https://blog.example/a"}),
            StatusCode::FORBIDDEN,
        ),
        (json!("all"), StatusCode::FORBIDDEN),
    ] {
        let purged = stand
            .post("/v1/purges", &token, json!({"targets": [target]}))
            .await;
        assert_eq!(purged.status, status, "{target}: {purged:?}");
    }
    let event = json!({"specversion": "1.0", "id": "1", "source": "cms", "type": "com.latencify.content.updated",
        "datacontenttype": "application/json", "data": {"urls": ["https://blog.example/"]}});
    let request = stand
        .0
        .request(Method::POST, "/v1/events")
        .bearer_auth(&token);
    let sent = answer(
        request
            .header("content-type", "application/cloudevents+json")
            .body(event.to_string()),
    )
    .await;
    assert_eq!(sent.status, StatusCode::FORBIDDEN, "{sent:?}");
    let policy = crate::testing::policy(&["shop", "blog"]);
    let submit = async |text: String| {
        let files = json!([{"name": "policy.yaml", "text": text}]);
        stand
            .post("/v1/policies", &token, json!({"files": files}))
            .await
    };
    let theirs = policy.replace(
        "shop: { hosts: [shop.example], routes: [{ origins: [app], cache: true }] }",
        "shop: { hosts: [shop.example], routes: [{ origins: [app] }] }",
    );
    assert_ne!(theirs, policy);
    let submitted = submit(theirs.clone()).await;
    assert_eq!(submitted.status, StatusCode::CREATED, "{submitted:?}");
    let both = theirs.replace(
        "routes: [{ origins: [app], cache: true }]",
        "routes: [{ origins: [app] }]",
    );
    assert_ne!(both, theirs);
    let refused = submit(both).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    assert!(detail(&refused).contains("blog"), "{refused:?}");
    let reverted = stand.post("/v1/policies/1/revert", &token, json!({})).await;
    assert_eq!(reverted.status, StatusCode::FORBIDDEN);
    assert_eq!(
        stand.delete("/v1/edges/paris", &token).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_custom_role_may_what_it_says_and_nobody_gives_more_than_they_have() {
    let stand = Stand::new().await;
    let put = async |token: &str, name: &str, permissions: &[&str]| {
        let body = json!({"description": "x", "permissions": permissions});
        stand
            .ask(Method::PUT, &format!("/v1/roles/{name}"), token, Some(body))
            .await
            .status
    };
    assert_eq!(
        put(
            API_TOKEN,
            "people",
            &["users.read", "users.write", "roles.write", "own"]
        )
        .await,
        StatusCode::OK
    );
    assert_eq!(
        put(API_TOKEN, "odd", &["users.fly"]).await,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        put(API_TOKEN, "admin", &["own"]).await,
        StatusCode::CONFLICT
    );
    stand.add("carol", "people", None).await;
    stand.add("root", "admin", None).await;
    let carol = stand.login("carol").await.access;
    assert_eq!(stand.get("/v1/users", &carol).await.status, StatusCode::OK);
    assert_eq!(
        stand.get("/v1/edges", &carol).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        put(&carol, "mine", &["secrets.write"]).await,
        StatusCode::FORBIDDEN
    );
    let new = json!({"name": "dave", "password": PASSWORD, "roles": ["admin"]});
    assert_eq!(
        stand.post("/v1/users", &carol, new).await.status,
        StatusCode::FORBIDDEN
    );
    for (path, body) in [
        ("/v1/users/carol", json!({"roles": ["admin"]})),
        ("/v1/users/root", json!({"password": "mine from now on"})),
    ] {
        let raised = stand.ask(Method::PATCH, path, &carol, Some(body)).await;
        assert_eq!(raised.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(
        stand.delete("/v1/users/root", &carol).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        stand.delete("/v1/roles/people", API_TOKEN).await.status,
        StatusCode::CONFLICT,
        "carol has it"
    );
    // What a role may is asked with each request.
    assert_eq!(put(API_TOKEN, "people", &["own"]).await, StatusCode::OK);
    assert_eq!(
        stand.get("/v1/users", &carol).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_by_command_and_by_time_and_survive_a_restart() {
    let stand = Stand::new().await;
    stand.add("alice", "viewer", None).await;
    let alice = stand.login("alice").await;
    let rotated = stand.post("/v1/keys/rotate", API_TOKEN, json!({})).await;
    assert_eq!(rotated.status, StatusCode::OK, "{rotated:?}");
    assert!(
        stand.is_in(&alice.access).await,
        "the earlier key is believed meanwhile"
    );
    let stand = Stand(stand.0.restart().await);
    assert!(stand.is_in(&alice.access).await, "keys lie in the log");
    let newer = Tokens::of(&stand.refresh(&alice.refresh).await);
    assert!(stand.is_in(&newer.access).await, "and in the store");
    let rotated = stand
        .post(
            "/v1/keys/rotate",
            API_TOKEN,
            json!({"retire_earlier": true}),
        )
        .await;
    assert_eq!(rotated.body["retired"].as_array().unwrap().len(), 2);
    for token in [&alice.access, &newer.access] {
        assert!(!stand.is_in(token).await);
    }
    let newest = Tokens::of(&stand.refresh(&newer.refresh).await);
    assert!(stand.is_in(&newest.access).await, "sessions go on");
    // By time: a look so long after that the key is due, then one when what it signed has expired.
    let identity = crate::identity::Identity::new(
        stand.0.running.control.clone(),
        crate::auth::Token::of("x"),
    )
    .unwrap();
    let count = async || {
        let jwks = answer(stand.0.request(Method::GET, "/.well-known/jwks.json")).await;
        jwks.body["keys"].as_array().unwrap().len()
    };
    let due = crate::identity::now_ms() + keys::SIGNS_FOR.as_millis() as i64;
    identity.look_at_keys(due).await.unwrap();
    assert_eq!(count().await, 2);
    identity
        .look_at_keys(crate::identity::now_ms())
        .await
        .unwrap();
    assert_eq!(count().await, 2, "not before its tokens have expired");
    let later = crate::identity::now_ms() + keys::OVERLAP.as_millis() as i64;
    identity.look_at_keys(later).await.unwrap();
    assert_eq!(count().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_log_tells_changes_and_refusals_and_no_secret() {
    let stand = Stand::new().await;
    stand.add("alice", "viewer", None).await;
    let alice = stand.login("alice").await;
    stand
        .try_login("alice", "a wrong one that must not be told")
        .await;
    stand
        .patch("/v1/users/alice", json!({"roles": ["purger"]}))
        .await;
    let refused = stand
        .get("/v1/users", &stand.login("alice").await.access)
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    stand.get("/v1/users", "no-token-at-all").await;
    stand.get("/v1/users", &alice.access).await;
    let made = stand
        .post(
            "/v1/tokens",
            API_TOKEN,
            json!({"name": "ci", "roles": ["viewer"], "expires_in_seconds": 60}),
        )
        .await;
    let answer = stand.get("/v1/audit?limit=1000", API_TOKEN).await;
    let records = answer.body["records"].as_array().unwrap();
    let told: Vec<_> = records
        .iter()
        .rev()
        .map(|record| {
            let text = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", text("by"), text("action"), text("outcome"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "token:default users.write done",
            "user:alice login done",
            "stranger login refused",
            "token:default users.write done",
            "user:alice login done",
            "user:alice users.read refused",
            "stranger authenticate refused",
            "stranger authenticate refused",
            "token:default own done",
        ]
    );
    assert!(
        records
            .iter()
            .all(|record| record["from"] == "127.0.0.1" && record["request_id"].is_string())
    );
    let change = records
        .iter()
        .find(|record| record["target"] == "PATCH /v1/users/alice")
        .unwrap();
    assert_eq!(change["before"]["roles"], json!(["viewer"]));
    assert_eq!(change["after"]["user"]["roles"], json!(["purger"]));
    let text = answer.body.to_string();
    for secret in [
        PASSWORD,
        "a wrong one that must not be told",
        &alice.access,
        &alice.refresh,
        made.body["token"].as_str().unwrap(),
        API_TOKEN,
        "argon2",
        "no-token-at-all",
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
    let verified = stand.get("/v1/audit/verify", API_TOKEN).await;
    assert_eq!(verified.body["records"], 9, "{verified:?}");
    assert!(verified.body["broken_at"].is_null());
}
