use crate::testing::{
    API_TOKEN, Answer, JOIN_TOKEN, Replica, answer, certificate, policy, settings, until,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

fn problem(answer: &Answer) -> &str {
    assert_eq!(
        answer.headers["content-type"], "application/problem+json",
        "{answer:?}"
    );
    assert_eq!(answer.body["status"], answer.status.as_u16(), "{answer:?}");
    assert_eq!(
        answer.body["request_id"],
        answer.headers["x-request-id"].to_str().unwrap(),
        "{answer:?}"
    );
    answer.body["type"]
        .as_str()
        .unwrap()
        .strip_prefix("/problems/")
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_described_operation_but_the_description_wants_the_token() {
    let replica = Replica::start().await;
    let description = answer(replica.request(Method::GET, "/v1/openapi.json")).await;
    assert_eq!(description.status, StatusCode::OK);
    let paths = description.body["paths"].as_object().unwrap();
    let mut operations = Vec::new();
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let concrete = path.replace('{', "").replace('}', "");
            operations.push(format!("{} {path}", method.to_uppercase()));
            if path == "/v1/openapi.json" {
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
    operations.sort();
    let expected = [
        "DELETE /v1/edges/{edge}",
        "GET /v1/edges",
        "GET /v1/log",
        "GET /v1/openapi.json",
        "GET /v1/policies",
        "GET /v1/policies/{revision}",
        "GET /v1/policies/{revision}/status",
        "GET /v1/purges/{id}",
        "POST /v1/events",
        "POST /v1/policies",
        "POST /v1/purges",
    ];
    assert_eq!(operations, expected, "the description is the API");
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
            "line 1 column",
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
            json_type(purges()).body(vec![b'0'; super::BODY_BYTES_MAX + 1]),
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
    for (number, (request, kind)) in odd.into_iter().enumerate() {
        assert_eq!(problem(&sent(request).await), kind, "odd request {number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_are_whole_snapshots_with_compare_and_set() {
    let replica = Replica::start().await;
    assert_eq!(
        problem(&replica.get("/v1/policies/head").await),
        "not-found"
    );
    let submit = |base: u64, text: String, dry_run: bool| json!({"files": [{"name": "p.yaml", "text": text}], "base": base, "dry_run": dry_run, "message": "why"});
    let dry = replica
        .post("/v1/policies", submit(0, policy(&["a"]), true))
        .await;
    assert_eq!(
        (dry.status, &dry.body["revision"]),
        (StatusCode::OK, &json!(0))
    );
    let first = replica
        .post("/v1/policies", submit(0, policy(&["a"]), false))
        .await;
    assert_eq!(
        (first.status, &first.body["revision"]),
        (StatusCode::CREATED, &json!(1))
    );
    assert_eq!(first.body["digest"], dry.body["digest"]);
    let late = replica
        .post("/v1/policies", submit(0, policy(&["b"]), false))
        .await;
    assert_eq!(
        (late.status, problem(&late)),
        (StatusCode::CONFLICT, "head-moved")
    );
    let second = replica
        .post("/v1/policies", submit(1, policy(&["a", "b"]), false))
        .await;
    assert_eq!(second.body["revision"], 2);
    assert_eq!(
        second.headers["latencify-epoch"].to_str().unwrap(),
        second.body["epoch"].to_string()
    );

    let replica = replica.restart().await;
    let list = replica.get("/v1/policies").await;
    let summary: Vec<_> = list.body["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (&p["revision"], &p["head"], &p["sites"]))
        .collect();
    assert_eq!(
        summary,
        [
            (&json!(2), &json!(true), &json!(["a", "b"])),
            (&json!(1), &json!(false), &json!(["a"]))
        ]
    );
    let shown = replica.get("/v1/policies/1").await;
    assert_eq!(
        (&shown.body["files"][0]["text"], &shown.body["message"]),
        (&json!(policy(&["a"])), &json!("why"))
    );
    let status = replica.get("/v1/policies/head/status").await;
    assert_eq!(
        (&status.body["revision"], &status.body["edges"]),
        (&json!(2), &json!([]))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_makes_a_repeat_safe_even_after_names_have_changed() {
    let replica = Replica::start().await;
    replica.apply(&["a"]).await;
    let send = |body: Value| {
        let request = replica
            .request(Method::POST, "/v1/purges")
            .bearer_auth(API_TOKEN);
        answer(request.header("idempotency-key", "once").json(&body))
    };
    let url = json!({"targets": [{"url": "https://a.example/x"}]});
    let first = send(url.clone()).await;
    assert_eq!(
        (first.status, &first.body["repeat"]),
        (StatusCode::ACCEPTED, &json!(false))
    );
    replica.apply(&["b"]).await;
    let again = send(url).await;
    assert_eq!(
        (again.status, &again.body["repeat"]),
        (StatusCode::ACCEPTED, &json!(true)),
        "{again:?}"
    );
    assert_eq!(
        (&again.body["id"], &again.body["epoch"]),
        (&first.body["id"], &first.body["epoch"])
    );
    let other = send(json!({"targets": [{"all": true}]})).await;
    assert_eq!(
        (other.status, problem(&other)),
        (StatusCode::UNPROCESSABLE_ENTITY, "key-reused")
    );

    // Side by side, one of them wins, whichever it is, and the others are its repeats.
    let many = futures::future::join_all((0..8).map(|_| {
        let request = replica
            .request(Method::POST, "/v1/purges")
            .bearer_auth(API_TOKEN);
        answer(
            request
                .header("idempotency-key", "race")
                .json(&json!({"targets": [{"site": "b"}]})),
        )
    }))
    .await;
    let fresh = many
        .iter()
        .filter(|answer| answer.body["repeat"] == false)
        .count();
    assert_eq!(fresh, 1, "{many:?}");
    assert!(
        many.iter()
            .all(|answer| answer.body["id"] == many[0].body["id"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_purges_once_in_both_modes() {
    let replica = Replica::start().await;
    replica.apply(&["shop"]).await;
    let structured = |id: &str, data: Value| {
        let event = json!({"specversion": "1.0", "id": id, "source": "/cms", "type": "com.latencify.content.updated", "data": data});
        let request = replica
            .request(Method::POST, "/v1/events")
            .bearer_auth(API_TOKEN);
        answer(
            request
                .header(
                    "content-type",
                    "application/cloudevents+json; charset=utf-8",
                )
                .body(event.to_string()),
        )
    };
    let first = structured(
        "1",
        json!({"urls": ["https://shop.example/a"], "tags": ["t"], "soft": true}),
    )
    .await;
    assert_eq!(
        (first.status, &first.body["repeat"]),
        (StatusCode::ACCEPTED, &json!(false)),
        "{first:?}"
    );
    let again = structured("1", json!({"urls": ["https://shop.example/a"]})).await;
    assert_eq!(
        (&again.body["repeat"], &again.body["purge"]),
        (&json!(true), &first.body["purge"])
    );
    let unknown = structured("2", json!({"urls": ["https://nowhere.example/a"]})).await;
    assert_eq!(
        (unknown.status, problem(&unknown)),
        (StatusCode::UNPROCESSABLE_ENTITY, "unknown-name")
    );

    let binary = replica
        .request(Method::POST, "/v1/events")
        .bearer_auth(API_TOKEN);
    let binary = binary
        .header("content-type", "application/json")
        .header("ce-specversion", "1.0")
        .header("ce-id", "%31%30")
        .header("ce-source", "/cms")
        .header("ce-type", "com.latencify.content.deleted");
    let taken = answer(binary.body(r#"{"site": "shop"}"#)).await;
    assert_eq!(
        (taken.status, &taken.body["repeat"]),
        (StatusCode::ACCEPTED, &json!(false)),
        "{taken:?}"
    );

    let log = replica.get("/v1/log?after=2").await;
    let entries = log.body["entries"].as_array().unwrap();
    let targets: Vec<_> = entries
        .iter()
        .map(|entry| &entry["entry"]["change"]["targets"])
        .collect();
    let expected = [
        json!([{"on": "url", "site": 1, "path": "/a"}, {"on": "tag", "site": 1, "tag": "t"}]),
        json!([{"on": "site", "site": 1}]),
    ];
    assert_eq!(targets, expected.iter().collect::<Vec<_>>());
    assert_eq!(entries[0]["entry"]["change"]["mode"], "soft");
    assert_eq!(
        entries[1]["entry"]["change"]["event"],
        json!({"source": "/cms", "id": "10"})
    );
}

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
        ready.contains("epoch 2") && ready.contains("upgrade"),
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
    log.execute_unprepared("delete from changes where epoch = 2")
        .await
        .unwrap();
    log.close().await.unwrap();
    let error = crate::run::start(&settings)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("folded the log to epoch 2, but the log ends at 1"),
        "{error}"
    );
}
