//! What every request goes through: the token, and problems that say why.

use super::problem;
use crate::testing::{API_TOKEN, JOIN_TOKEN, Replica, answer, policy};
use reqwest::{Method, StatusCode};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_described_operation_that_is_not_public_wants_the_token() {
    let replica = Replica::start().await;
    let description = answer(replica.request(Method::GET, "/v1/openapi.json")).await;
    assert_eq!(description.status, StatusCode::OK);
    let paths = description.body["paths"].as_object().unwrap();
    let mut operations = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let concrete = path.replace(['{', '}'], "");
            operations.push(format!("{} {path}", method.to_uppercase()));
            // Which these may be is said in `authorization`.
            if operation["security"] == json!([{}]) || operation["security"] == json!([]) {
                continue;
            }
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let request = || replica.request(method.clone(), &concrete);
            let wrong = [
                request(),
                request().bearer_auth("wrong"),
                request().bearer_auth(JOIN_TOKEN),
                request().header("authorization", format!("Basic {API_TOKEN}")),
                request().header("authorization", "Bearer"),
            ];
            for request in wrong {
                let refused = answer(request).await;
                assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{method} {path}");
                assert_eq!(problem(&refused), "unauthorised");
                assert_eq!(refused.headers["www-authenticate"], "Bearer");
            }
            let let_in = answer(request().bearer_auth(API_TOKEN)).await;
            assert_ne!(let_in.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        }
    }
    assert!(
        operations.len() >= 12,
        "the description is the API: {operations:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_meant_is_a_problem_that_says_why() {
    let replica = Replica::start().await;
    replica.apply(&["shop"]).await;
    let bodies = [
        (
            "/v1/purges",
            json!({"targets": []}),
            "unprocessable",
            "1 to 1000",
        ),
        (
            "/v1/purges",
            json!({"targets": vec![json!({"all": true}); 1001]}),
            "unprocessable",
            "1001",
        ),
        (
            "/v1/purges",
            json!({"targets": [{"all": false}]}),
            "unknown-name",
            "all must be true",
        ),
        (
            "/v1/purges",
            json!({"targets": [{"url": "/a"}]}),
            "unknown-name",
            "targets[0]",
        ),
        (
            "/v1/purges",
            json!({"targets": [{"site": "shop"}, {"site": "shpo"}]}),
            "unknown-name",
            "did you mean \"shop\"",
        ),
        (
            "/v1/purges",
            json!({"targets": [{"url": "https://shop.exampel/"}]}),
            "unknown-name",
            "\"shop.example\"",
        ),
        (
            "/v1/purges",
            json!({"targets": [{"tag": {"tag": ""}}]}),
            "unknown-name",
            "1 to",
        ),
        (
            "/v1/purges",
            json!({"target": []}),
            "bad-body",
            "unknown field `target`",
        ),
        (
            "/v1/purges",
            json!({"targets": [{"all": true}], "mode": "firm"}),
            "bad-body",
            "mode must be \"hard\" or \"soft\" at line 1 column",
        ),
        (
            "/v1/purges",
            json!({"targets": ["all", {"tag": 7}]}),
            "bad-body",
            "targets[1]: tag is neither text nor an object: write {\"tag\": \"article-7\"}",
        ),
        (
            "/v1/purges",
            json!({"targets": ["all", {"url": "http://user:pw@shop.example/"}]}),
            "unprocessable",
            "targets[1]: the URL has a user or a password",
        ),
        (
            "/v1/purges",
            json!({"targets": [{"tag": "a b"}]}),
            "unprocessable",
            "origins separate tags by white space",
        ),
        (
            "/v1/policies",
            json!({"files": []}),
            "unprocessable",
            "1 to 1000 files",
        ),
        (
            "/v1/policies",
            json!({"files": [{"name": "../a", "text": ""}]}),
            "unprocessable",
            "plain relative path",
        ),
        (
            "/v1/policies",
            json!({"files": [{"name": "a", "text": ""}, {"name": "a", "text": ""}]}),
            "unprocessable",
            "there twice",
        ),
        (
            "/v1/policies",
            json!({"files": [{"name": "a.yaml", "text": "sites: ["}]}),
            "policy-invalid",
            "error",
        ),
        (
            "/v1/policies",
            json!({"files": [{"name": "p", "text": policy(&["x"])}], "base": 7}),
            "head-moved",
            "revision 1",
        ),
    ];
    for (path, body, kind, words) in bodies {
        let refused = replica.post(path, body.clone()).await;
        assert_eq!(problem(&refused), kind, "{body}: {refused:?}");
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{body}: {detail}");
    }
    let gets = [
        ("/v1/policies/99", "not-found"),
        ("/v1/policies/first", "bad-request"),
        ("/v1/policies/99/status", "not-found"),
        ("/v1/policies?limit=x", "bad-request"),
        ("/v1/policies?page=2", "bad-request"),
        ("/v1/purges/7", "not-found"),
        (
            "/v1/purges/0a0a0a0a-0000-7000-8000-000000000000",
            "not-found",
        ),
        (
            "/v1/purges/0a0a0a0a-0000-7000-8000-000000000000?wait=long",
            "bad-request",
        ),
        ("/v1/log?after=-1", "bad-request"),
        ("/v2", "not-found"),
        ("/", "not-found"),
    ];
    for (path, kind) in gets {
        assert_eq!(problem(&replica.get(path).await), kind, "{path}");
    }
    let sent = |request: reqwest::RequestBuilder| answer(request.bearer_auth(API_TOKEN));
    let purges = || replica.request(Method::POST, "/v1/purges");
    let json_type =
        |request: reqwest::RequestBuilder| request.header("content-type", "application/json");
    let odd = [
        (purges().body("{}"), "media-type"),
        (
            purges().header("content-type", "text/plain").body("{}"),
            "media-type",
        ),
        (json_type(purges()).body("{"), "bad-body"),
        (
            json_type(purges()).body(vec![b'0'; crate::api::BODY_BYTES_MAX + 1]),
            "too-large",
        ),
        (
            json_type(purges())
                .header("idempotency-key", "x".repeat(201))
                .body(r#"{"targets":[{"all":true}]}"#),
            "bad-request",
        ),
        (
            replica.request(Method::PUT, "/v1/edges"),
            "method-not-allowed",
        ),
        (
            replica.request(Method::DELETE, "/v1/edges/nobody"),
            "not-found",
        ),
        (
            replica
                .request(Method::GET, "/v1/edges")
                .header("latencify-epoch", "soon"),
            "bad-request",
        ),
        (
            json_type(replica.request(Method::POST, "/v1/events")).body("{}"),
            "media-type",
        ),
        (
            replica
                .request(Method::POST, "/v1/events")
                .header("content-type", "application/cloudevents+json")
                .body("{}"),
            "event-invalid",
        ),
    ];
    let large = vec![b'0'; crate::api::BODY_BYTES_MAX + 1];
    let refused = sent(json_type(purges()).body(large)).await;
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("larger than 1048576 bytes"), "{detail}");
    for target in [json!("all"), json!({"tag": "x"})] {
        let purged = replica
            .post("/v1/purges", json!({"targets": [target]}))
            .await;
        assert_eq!(purged.status, StatusCode::ACCEPTED, "{purged:?}");
    }
    for (number, (request, kind)) in odd.into_iter().enumerate() {
        assert_eq!(problem(&sent(request).await), kind, "odd request {number}");
    }
}
