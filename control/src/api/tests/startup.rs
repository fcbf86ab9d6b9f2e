//! Health, TLS, and what keeps a replica from starting or serving.

use super::problem;
use crate::testing::{API_TOKEN, Replica, answer, certificate, policy, settings, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::path::PathBuf;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_may_ask_for_an_epoch_and_the_replica_says_how_it_fares() {
    let replica = Replica::start().await;
    let epoch = replica.apply(&["a"]).await.body["epoch"].as_u64().unwrap();
    let asked = replica
        .request(Method::GET, "/v1/edges")
        .bearer_auth(API_TOKEN)
        .header("latencify-epoch", epoch);
    assert_eq!(answer(asked).await.status, StatusCode::OK);
    let (status, ready) = replica.admin("/readyz").await;
    assert_eq!(status, StatusCode::OK, "{ready}");
    assert_eq!(
        replica.admin("/healthz").await,
        (StatusCode::OK, "ok\n".to_owned())
    );
    let (_, metrics) = replica.admin("/metrics").await;
    assert!(
        metrics.contains(&format!("latencify_control_log_applied_epoch {epoch}")),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_certificate_the_api_speaks_tls_only() {
    // Another test may have been quicker; any provider will do.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = certificate(folder.path());
    let flags = [
        "--tls-cert",
        chain.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ];
    let running = crate::run::start(&settings(&folder.path().join("data"), &flags))
        .await
        .unwrap();
    let trusted = reqwest::Certificate::from_pem(&std::fs::read(&chain).unwrap()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([trusted])
        .build()
        .unwrap();
    let port = running.api.port();
    let secure = client
        .get(format!("https://localhost:{port}/v1/openapi.json"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (secure.status(), secure.version()),
        (StatusCode::OK, reqwest::Version::HTTP_2)
    );
    assert!(
        client
            .get(format!("http://localhost:{port}/v1/openapi.json"))
            .send()
            .await
            .is_err()
    );
    running.stop().await;
}

#[tokio::test]
async fn the_data_folder_and_its_files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deep/data");
    let running = crate::run::start(&settings(&data, &[])).await.unwrap();
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> = std::fs::read_dir(&data)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(files.len() >= 3, "lock, log and store: {files:?}");
    for file in files {
        assert_eq!(mode(&file.path()), 0o600, "{file:?}");
    }
    running.stop().await;
    assert_eq!(crate::data::exposed(&data), None);
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let warning = crate::data::exposed(&data).unwrap();
    assert!(
        warning.contains("mode 755") && warning.contains("chmod -R go="),
        "{warning}"
    );
}

#[tokio::test]
async fn a_data_folder_has_one_replica() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), &[]);
    let first = crate::run::start(&settings).await.unwrap();
    let error = crate::run::start(&settings)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("in use by another latencify-control"),
        "{error}"
    );
    first.stop().await;
    crate::run::start(&settings).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_a_newer_version_makes_the_replica_unready_and_nothing_is_written() {
    use sea_orm::ConnectionTrait as _;
    let replica = Replica::start().await;
    let replica = replica
        .restart_after(async |data| {
            let log = crate::store::sqlite::writer(&data.join(crate::log::sqlite::FILE))
                .await
                .unwrap();
            log.execute_unprepared("insert into changes (bytes) values ('{\"kind\": \"newer\"}')")
                .await
                .unwrap();
            log.close().await.unwrap();
        })
        .await;
    let ready = until("the fold meets the entry", async || {
        let (status, ready) = replica.admin("/readyz").await;
        (status == StatusCode::SERVICE_UNAVAILABLE && ready.contains("stopped")).then_some(ready)
    })
    .await;
    assert!(
        ready.contains("epoch 4") && ready.contains("upgrade"),
        "{ready}"
    );
    let refused = replica
        .post("/v1/purges", json!({"targets": [{"all": true}]}))
        .await;
    assert_eq!(
        (problem(&refused), &refused.body["retryable"]),
        ("unavailable", &json!(true))
    );
    assert_eq!(
        replica.get("/v1/edges").await.status,
        StatusCode::OK,
        "what was folded can still be read"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_an_emptied_store_lacks_are_told_of_and_come_back_with_a_submission() {
    let files = json!({"files": [{"name": "policy.yaml", "text": policy(&["a"])}]});
    let submit = async |replica: &Replica, key: &str| {
        let request = replica
            .request(Method::POST, "/v1/policies")
            .bearer_auth(API_TOKEN)
            .header("idempotency-key", key)
            .json(&files);
        answer(request).await
    };
    let warnings = async |replica: &Replica| {
        until("all is folded", async || {
            let (status, ready) = replica.admin("/readyz").await;
            let ready: Value = serde_json::from_str(&ready).unwrap();
            (status == StatusCode::OK).then(|| ready["warnings"].to_string())
        })
        .await
    };
    // The same key repeats revision 2, another one makes revision 3: either brings the files.
    for (key, revision) in [("one", 2), ("two", 3)] {
        let replica = Replica::start().await;
        replica.apply(&["b"]).await;
        let first = submit(&replica, "one").await;
        assert_eq!(first.body["revision"], 2, "{first:?}");
        assert_eq!(warnings(&replica).await, "null");

        let replica = replica.restart_after(lose_store).await;
        let told = warnings(&replica).await;
        assert!(
            told.contains("revision 2") && told.contains("submit the policy again"),
            "{told}"
        );
        let purge = json!({"targets": [{"url": "http://a.example/"}]});
        let refused = replica.post("/v1/purges", purge.clone()).await;
        assert_eq!(problem(&refused), "unavailable", "{refused:?}");
        let all = json!({"targets": [{"all": true}]});
        let purged = replica.post("/v1/purges", all).await;
        assert_eq!(purged.status, StatusCode::ACCEPTED, "{purged:?}");

        let again = submit(&replica, key).await;
        assert_eq!(again.body["revision"], revision, "{again:?}");
        assert_eq!(warnings(&replica).await, "null");
        let purged = replica.post("/v1/purges", purge).await;
        assert_eq!(purged.status, StatusCode::ACCEPTED, "{purged:?}");
    }
}

/// As with the log in Kafka and an emptied data folder: the entries are there, and what was folded is not.
async fn lose_store(data: PathBuf) {
    for file in std::fs::read_dir(data).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_string_lossy().starts_with("store.db") {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_lost_entries_is_refused() {
    use sea_orm::ConnectionTrait as _;
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), &[]);
    let running = crate::run::start(&settings).await.unwrap();
    let url = format!("http://{}/v1/purges", running.api);
    let purge = reqwest::Client::new().post(url).bearer_auth(API_TOKEN);
    let purge = purge.json(&json!({"targets": [{"all": true}]}));
    assert_eq!(purge.send().await.unwrap().status(), StatusCode::ACCEPTED);
    running.stop().await;
    let file = folder.path().join(crate::log::sqlite::FILE);
    let log = crate::store::sqlite::writer(&file).await.unwrap();
    log.execute_unprepared("delete from changes where epoch = (select max(epoch) from changes)")
        .await
        .unwrap();
    log.close().await.unwrap();
    let error = crate::run::start(&settings)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("folded the log to epoch 4, but the log ends at 3"),
        "{error}"
    );
}
