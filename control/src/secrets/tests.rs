//! A whole replica: what is set is listed without its value, kept from harm, and told by nothing.

use crate::{
    settings::Settings,
    store::Store,
    testing::{API_TOKEN, Replica, answer},
};
use clap::Parser as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

const VALUE: &str = "hunter2-is-the-value-that-nothing-tells";
const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";

async fn set(replica: &Replica, name: &str, value: &str, key: &str) -> (StatusCode, Value) {
    let request = replica
        .request(Method::POST, "/v1/secrets")
        .bearer_auth(API_TOKEN)
        .header("idempotency-key", key)
        .json(&json!({"name": name, "value": value}));
    let answer = answer(request).await;
    (answer.status, answer.body)
}

async fn apply(replica: &Replica, secret: &str) -> crate::testing::Answer {
    let policy = format!(
        "version: 1\norigins:\n  app:\n    url: \"http://127.0.0.1:9\"\n    sign: {{header: {{name: x-key, value: {{ref: {secret}}}}}}}\n\
         sites:\n  shop: {{hosts: [shop.example], routes: [{{origins: [app]}}]}}\n"
    );
    let files = json!([{"name": "p.yaml", "text": policy}]);
    replica.post("/v1/policies", json!({"files": files})).await
}

async fn delete(replica: &Replica, name: &str) -> crate::testing::Answer {
    let path = format!("/v1/secrets/{name}");
    answer(
        replica
            .request(Method::DELETE, &path)
            .bearer_auth(API_TOKEN),
    )
    .await
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_set_listed_without_its_value_and_removed_when_nothing_names_it() {
    let replica = Replica::start().await;
    let (status, first) = set(&replica, "origin-key", VALUE, "k1").await;
    assert_eq!(
        (status, &first["version"]),
        (StatusCode::CREATED, &json!(1)),
        "{first}"
    );
    let (_, repeat) = set(&replica, "origin-key", VALUE, "k1").await;
    assert_eq!(repeat, first, "a repeat sets nothing");
    let (status, _) = set(&replica, "origin-key", "another", "k1").await;
    assert!(status.is_client_error(), "{status}");
    let (_, second) = set(&replica, "origin-key", VALUE, "k2").await;
    assert_eq!(second["version"], 2);
    let refused = apply(&replica, "orign-key").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let why = refused.body.to_string();
    assert!(
        why.contains("no secret `orign-key`") && why.contains("did you mean `origin-key`"),
        "{why}"
    );
    assert_eq!(
        apply(&replica, "origin-key").await.status,
        StatusCode::CREATED
    );
    let listed = replica.get("/v1/secrets").await.body;
    let secret = &listed["secrets"][0];
    assert_eq!(
        secret["used_by"],
        json!(["origins.app.sign.header.value"]),
        "{listed}"
    );
    assert_eq!(
        (&secret["version"], &secret["stored"]),
        (&json!(2), &json!(true))
    );
    assert!(!listed.to_string().contains(VALUE));
    let refused = delete(&replica, "origin-key").await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    assert!(
        refused
            .body
            .to_string()
            .contains("origins.app.sign.header.value")
    );
    replica.apply(&["shop"]).await;
    assert_eq!(delete(&replica, "origin-key").await.status, StatusCode::OK);
    assert_eq!(
        delete(&replica, "origin-key").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        replica.get("/v1/secrets").await.body,
        json!({"secrets": []})
    );
    let (_, again) = set(&replica, "origin-key", VALUE, "k3").await;
    let replica = replica.restart().await;
    let listed = replica.get("/v1/secrets").await.body;
    assert_eq!(
        listed["secrets"][0]["version"], again["version"],
        "{listed}"
    );
    replica.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_secret_is_refused_without_quoting_it() {
    let replica = Replica::start().await;
    let bodies = [
        json!(VALUE).to_string(),
        json!({"name": "a", "value": [VALUE]}).to_string(),
        json!({"name": "a", "value": "x", VALUE: 1}).to_string(),
        json!({"name": {"x": VALUE}, "value": "x"}).to_string(),
        format!("{{\"name\": \"a\", \"value\": \"{VALUE}"),
        VALUE.to_owned(),
    ];
    for body in bodies {
        let request = replica
            .request(Method::POST, "/v1/secrets")
            .bearer_auth(API_TOKEN)
            .header("content-type", "application/json")
            .body(body.clone());
        let refused = answer(request).await;
        assert!(refused.status.is_client_error(), "{body}: {refused:?}");
        assert!(!format!("{refused:?}").contains(VALUE), "{refused:?}");
    }
    for (name, value) in [("no name", VALUE), ("", VALUE), ("a", ""), ("a/b", VALUE)] {
        let (status, body) = set(&replica, name, value, "k").await;
        assert!(status.is_client_error(), "{name}: {body}");
        assert!(!body.to_string().contains(VALUE), "{body}");
    }
    let (status, _) = set(&replica, "a", &"x".repeat(64 * 1024 + 1), "k").await;
    assert!(status.is_client_error());
    replica.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_in_the_data_folder_or_the_log_holds_a_value() {
    let replica = Replica::start().await;
    set(&replica, "origin-key", VALUE, "k1").await;
    apply(&replica, "origin-key").await;
    for path in [
        "/v1/log",
        "/v1/policies",
        "/v1/policies/head",
        "/v1/edges",
        "/v1/audit",
    ] {
        let told = replica.get(path).await;
        assert!(!format!("{told:?}").contains(VALUE), "{path}: {told:?}");
    }
    let data = replica.data().to_owned();
    let replica = replica
        .restart_after(async |data: PathBuf| {
            for file in files(&data) {
                let octets = fs::read(&file).unwrap();
                let found = octets
                    .windows(VALUE.len())
                    .any(|part| part == VALUE.as_bytes());
                assert!(!found, "{}", file.display());
            }
        })
        .await;
    assert!(files(&data).iter().any(|file| file.ends_with("seal.key")));
    replica.running.stop().await;
}

fn keys(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_key_seals_everything_anew_and_a_missing_one_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let old = keys(folder.path(), "old", OLD);
    let both = keys(folder.path(), "both", &format!("{NEW}\n{OLD}\n"));
    let new = keys(folder.path(), "new", NEW);
    let replica = Replica::start_with(&["--seal-key-file", &old]).await;
    set(&replica, "origin-key", VALUE, "k1").await;
    set(&replica, "another", VALUE, "k2").await;
    let data = replica.data().display().to_string();
    let replica = Box::pin(replica.restart_with(&["--seal-key-file", &both])).await;
    let replica = Box::pin(replica.restart_with(&["--seal-key-file", &new])).await;
    let listed = replica.get("/v1/secrets").await.body;
    assert_eq!(listed["secrets"].as_array().unwrap().len(), 2, "{listed}");
    replica.running.stop().await;
    let wrong = Settings::try_parse_from([
        "c",
        "--data",
        &data,
        "--seal-key-file",
        &old,
        "--api",
        "127.0.0.1:0",
        "--fleet",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ])
    .unwrap();
    let refused = crate::run::start(&wrong).await.err().unwrap();
    let said = format!("{refused:#}");
    assert!(
        said.contains("was not") || said.contains("not among those"),
        "{said}"
    );
    assert!(!said.contains(VALUE), "{said}");
    // What was exchanged in the store is noticed.
    let store = Store::open(Path::new(&data)).await.unwrap();
    let values = store.all_secret_values().await.unwrap();
    let [one, other] = <[_; 2]>::try_from(values).ok().unwrap();
    store
        .replace_secret_value(crate::store::secrets::SealedValue {
            sealed: other.sealed,
            ..one
        })
        .await
        .unwrap();
    store.shut().await;
    let right = Settings::try_parse_from([
        "c",
        "--data",
        &data,
        "--seal-key-file",
        &new,
        "--api",
        "127.0.0.1:0",
        "--fleet",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ])
    .unwrap();
    let refused = crate::run::start(&right).await.err().unwrap();
    let said = format!("{refused:#}");
    assert!(said.contains("altered"), "{said}");
}
