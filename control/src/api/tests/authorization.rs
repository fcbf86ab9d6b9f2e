//! Every operation of the description, asked by every role: who may is let in, and nobody else.

use super::problem;
use crate::{
    api::PERMISSION_EXTENSION,
    identity::{Builtin, Permission},
    testing::{API_TOKEN, Replica, answer},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What needs no token, and why.
const PUBLIC: &[(&str, &str)] = &[
    (
        "GET /v1/openapi.json",
        "it describes, and says nothing of this installation",
    ),
    ("GET /.well-known/jwks.json", "public keys"),
    ("POST /v1/login", "there is no token before"),
    ("POST /v1/login/refresh", "the refresh token is in the body"),
    ("POST /v1/enrol", "the join token is in the body"),
];

/// Operation → the permission that the description says it needs; none: it is public.
fn operations(description: &Value) -> BTreeMap<String, Option<Permission>> {
    let mut found = BTreeMap::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let permission = operation[PERMISSION_EXTENSION].as_str();
            let name = format!("{} {path}", method.to_uppercase());
            found.insert(name, permission.map(|name| name.parse().unwrap()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_lets_in_whose_role_may_and_nobody_else() {
    let replica = Replica::start().await;
    let description = answer(replica.request(Method::GET, "/v1/openapi.json")).await;
    let operations = operations(&description.body);
    let public: BTreeSet<_> = PUBLIC.iter().map(|(operation, _)| *operation).collect();
    let mut tokens = BTreeMap::new();
    for role in Builtin::ALL {
        let name = role.as_str();
        let body = json!({"name": name, "roles": [name], "expires_in_seconds": 3600});
        let made = replica.post("/v1/tokens", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        tokens.insert(role, made.body["token"].as_str().unwrap().to_owned());
    }
    let mut asked = 0;
    for (operation, permission) in &operations {
        let (method, path) = operation.split_once(' ').unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let concrete = path.replace(['{', '}'], "");
        let Some(permission) = permission else {
            assert!(
                public.contains(operation.as_str()),
                "{operation} names no permission and is not among what is public: register it with `needs`"
            );
            continue;
        };
        assert!(
            !public.contains(operation.as_str()),
            "{operation} is public and names a permission"
        );
        let stranger = answer(replica.request(method.clone(), &concrete)).await;
        assert_eq!(
            stranger.status,
            StatusCode::UNAUTHORIZED,
            "{operation} without a token"
        );
        for role in Builtin::ALL {
            // With a body that nothing can be made of: whoever is let in is told so, and nothing changes.
            let request = replica
                .request(method.clone(), &concrete)
                .bearer_auth(&tokens[&role]);
            let told = answer(request.header("content-type", "text/plain").body("?")).await;
            let may = role.permissions().contains(permission);
            let is_let_in = !matches!(
                told.status,
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
            );
            assert_eq!(
                is_let_in, may,
                "{operation} ({permission}) by {role:?}: {told:?}"
            );
            if !may {
                assert_eq!(problem(&told), "forbidden");
                assert!(
                    told.body["detail"]
                        .as_str()
                        .unwrap()
                        .contains(permission.as_str())
                );
            }
            asked += 1;
        }
    }
    let guarded = operations.values().flatten().count();
    assert_eq!(asked, guarded * Builtin::ALL.len());
    assert!(guarded >= 30, "the description lacks operations: {guarded}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_limited_to_sites_reaches_nothing_that_all_share_whatever_the_role() {
    let replica = Replica::start().await;
    let body = json!({"name": "limited", "roles": ["admin"], "sites": ["shop"], "expires_in_seconds": 3600});
    let made = replica.post("/v1/tokens", body).await;
    let token = made.body["token"].as_str().unwrap();
    let description = answer(
        replica
            .request(Method::GET, "/v1/openapi.json")
            .bearer_auth(API_TOKEN),
    )
    .await;
    for (operation, permission) in operations(&description.body) {
        let Some(permission) =
            permission.filter(|permission| permission.reach() == crate::identity::Reach::Fleet)
        else {
            continue;
        };
        let (method, path) = operation.split_once(' ').unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let concrete = path.replace(['{', '}'], "");
        let told = answer(replica.request(method, &concrete).bearer_auth(token)).await;
        assert_eq!(
            told.status,
            StatusCode::FORBIDDEN,
            "{operation} ({permission})"
        );
    }
}
