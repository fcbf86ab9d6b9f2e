//! Accounts, sessions and tokens through the real API.

use crate::testing::{API_TOKEN, Answer, Replica, answer};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

mod authority;

const PASSWORD: &str = "correct horse battery";

/// A replica, and requests of its callers.
struct Stand(Replica);

impl Stand {
    async fn new() -> Self {
        Self(Replica::start().await)
    }

    async fn ask(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Answer {
        let request = self.0.request(method, path).bearer_auth(token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        answer(request).await
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask(Method::GET, path, token, None).await
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, token, Some(body)).await
    }

    async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PATCH, path, API_TOKEN, Some(body)).await
    }

    async fn delete(&self, path: &str, token: &str) -> Answer {
        self.ask(Method::DELETE, path, token, None).await
    }

    async fn add(&self, name: &str, role: &str, sites: Option<&[&str]>) {
        let mut user = json!({"name": name, "password": PASSWORD, "roles": [role]});
        if let Some(sites) = sites {
            user["sites"] = json!(sites);
        }
        let added = self.post("/v1/users", API_TOKEN, user).await;
        assert_eq!(added.status, StatusCode::CREATED, "{added:?}");
    }

    async fn try_login(&self, user: &str, password: &str) -> Answer {
        let body = json!({"user": user, "password": password});
        answer(self.0.request(Method::POST, "/v1/login").json(&body)).await
    }

    async fn login(&self, user: &str) -> Tokens {
        Tokens::of(&self.try_login(user, PASSWORD).await)
    }

    async fn refresh(&self, token: &str) -> Answer {
        let body = json!({"refresh_token": token});
        answer(
            self.0
                .request(Method::POST, "/v1/login/refresh")
                .json(&body),
        )
        .await
    }

    async fn is_in(&self, token: &str) -> bool {
        self.get("/v1/whoami", token).await.status == StatusCode::OK
    }
}

struct Tokens {
    access: String,
    refresh: String,
}

impl Tokens {
    #[track_caller]
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let text = |name: &str| answer.body[name].as_str().unwrap().to_owned();
        Self {
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }
}

fn detail(answer: &Answer) -> &str {
    answer.body["detail"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_in_is_who_writes_and_leaves_when_it_logs_out() {
    let stand = Stand::new().await;
    stand.0.apply(&["shop"]).await;
    stand.add("alice", "purger", None).await;
    let alice = stand.login("alice").await;
    let who = stand.get("/v1/whoami", &alice.access).await;
    assert_eq!(
        (&who.body["name"], &who.body["roles"]),
        (&json!("user:alice"), &json!(["purger"]))
    );
    let purged = stand
        .post("/v1/purges", &alice.access, json!({"targets": ["all"]}))
        .await;
    assert_eq!(purged.status, StatusCode::ACCEPTED, "{purged:?}");
    let log = stand.get("/v1/log?limit=1000", API_TOKEN).await;
    let entries = log.body["entries"].as_array().unwrap().clone();
    let purge = entries
        .iter()
        .find(|entry| entry["entry"]["change"]["kind"] == "purge");
    assert_eq!(purge.unwrap()["entry"]["by"], "user:alice");
    let jwks = answer(stand.0.request(Method::GET, "/.well-known/jwks.json")).await;
    assert_eq!(jwks.body["keys"][0]["crv"], "Ed25519", "{jwks:?}");
    let renewed = Tokens::of(&stand.refresh(&alice.refresh).await);
    let out = stand.post("/v1/logout", &renewed.access, json!({})).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    for token in [&alice.access, &renewed.access] {
        assert!(
            !stand.is_in(token).await,
            "every token of the session is revoked"
        );
    }
    assert_eq!(
        stand.refresh(&renewed.refresh).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert!(stand.is_in(&stand.login("alice").await.access).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_is_shown_again_ends_its_session_and_no_other() {
    let stand = Stand::new().await;
    stand.add("alice", "viewer", None).await;
    let (stolen, other) = (stand.login("alice").await, stand.login("alice").await);
    let thief = Tokens::of(&stand.refresh(&stolen.refresh).await);
    let again = stand.refresh(&stolen.refresh).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    assert!(detail(&again).contains("used before"), "{again:?}");
    for token in [&stolen.access, &thief.access] {
        assert!(!stand.is_in(token).await);
    }
    assert_eq!(
        stand.refresh(&thief.refresh).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert!(stand.is_in(&other.access).await);
    Tokens::of(&stand.refresh(&other.refresh).await);
    for odd in ["", "lat_ref_x", &other.access, API_TOKEN] {
        assert_eq!(
            stand.refresh(odd).await.status,
            StatusCode::UNAUTHORIZED,
            "{odd}"
        );
    }
    let records = stand.get("/v1/audit?action=refresh", API_TOKEN).await;
    let whys: Vec<_> = records.body["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["why"].clone())
        .collect();
    assert!(whys.contains(&json!("refresh_reused")), "{records:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_refresh_at_a_time_one_is_late_and_the_session_ends() {
    let stand = Stand::new().await;
    stand.add("alice", "viewer", None).await;
    let alice = stand.login("alice").await;
    let (one, two) = tokio::join!(stand.refresh(&alice.refresh), stand.refresh(&alice.refresh));
    let good = [&one, &two]
        .iter()
        .filter(|answer| answer.status == StatusCode::OK)
        .count();
    assert_eq!(good, 1, "{one:?} {two:?}");
    assert!(!stand.is_in(&alice.access).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_learns_which_accounts_there_are_and_guessing_has_to_wait() {
    let stand = Stand::new().await;
    stand.add("alice", "viewer", None).await;
    stand.add("shut", "viewer", None).await;
    stand
        .patch("/v1/users/shut", json!({"disabled": true}))
        .await;
    let mut answers = Vec::new();
    for user in ["alice", "nobody", "shut", "No Name At All"] {
        let wrong = stand.try_login(user, "wrong horse battery").await;
        assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
        answers.push((
            wrong.body["type"].clone(),
            wrong.body["title"].clone(),
            wrong.body["detail"].clone(),
        ));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "they look the same: {answers:?}");
    assert_eq!(
        stand.try_login("shut", PASSWORD).await.status,
        StatusCode::UNAUTHORIZED
    );
    for user in ["alice", "nobody"] {
        for _ in 0..4 {
            let wrong = stand.try_login(user, "wrong horse battery").await;
            assert_eq!(wrong.status, StatusCode::UNAUTHORIZED, "{user}");
        }
        let locked = stand.try_login(user, PASSWORD).await;
        assert_eq!(
            locked.status,
            StatusCode::TOO_MANY_REQUESTS,
            "{user}: also with the right one"
        );
        let seconds: u64 = locked.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=30).contains(&seconds), "{seconds}");
    }
    assert_eq!(
        stand.get("/v1/whoami", API_TOKEN).await.status,
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_an_account_ends_what_it_was_given() {
    let stand = Stand::new().await;
    stand.add("alice", "operator", None).await;
    let changes = [
        json!({"roles": ["viewer"]}),
        json!({"sites": ["shop"]}),
        json!({"password": "another horse battery"}),
    ];
    for change in changes {
        let password = json!({"password": PASSWORD, "roles": ["operator"], "all_sites": true});
        assert_eq!(
            stand.patch("/v1/users/alice", password).await.status,
            StatusCode::OK
        );
        let alice = stand.login("alice").await;
        assert!(stand.is_in(&alice.access).await);
        let changed = stand.patch("/v1/users/alice", change.clone()).await;
        assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
        assert!(!stand.is_in(&alice.access).await, "{change}");
        assert_eq!(
            stand.refresh(&alice.refresh).await.status,
            StatusCode::UNAUTHORIZED,
            "{change}"
        );
    }
    stand
        .patch(
            "/v1/users/alice",
            json!({"password": PASSWORD, "all_sites": true}),
        )
        .await;
    let alice = stand.login("alice").await;
    let new = json!({"old": PASSWORD, "new": "a third horse battery"});
    let changed = stand
        .ask(Method::PUT, "/v1/password", &alice.access, Some(new))
        .await;
    assert_eq!(changed.status, StatusCode::NO_CONTENT, "{changed:?}");
    assert!(!stand.is_in(&alice.access).await);
    Tokens::of(&stand.try_login("alice", "a third horse battery").await);
    assert_eq!(
        stand.delete("/v1/users/alice", API_TOKEN).await.status,
        StatusCode::OK
    );
    assert_eq!(
        stand
            .try_login("alice", "a third horse battery")
            .await
            .status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_administrator_stays_one() {
    let stand = Stand::new().await;
    stand.add("root", "admin", None).await;
    stand.add("limited", "admin", Some(&["shop"])).await;
    for change in [
        json!({"disabled": true}),
        json!({"roles": ["operator"]}),
        json!({"sites": ["shop"]}),
    ] {
        let refused = stand.patch("/v1/users/root", change.clone()).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{change}");
        assert!(detail(&refused).contains("last administrator"));
    }
    let refused = stand.delete("/v1/users/root", API_TOKEN).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    stand.add("second", "admin", None).await;
    assert_eq!(
        stand.delete("/v1/users/root", API_TOKEN).await.status,
        StatusCode::OK
    );
    assert_eq!(
        stand.delete("/v1/users/second", API_TOKEN).await.status,
        StatusCode::CONFLICT
    );
}
