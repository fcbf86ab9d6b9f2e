//! Secrets on their way: from the command to control, from there to edges whose policy names them, and nowhere else.

use super::SOON;
use jsonwebtoken::{EncodingKey, Header, encode};
use latencify_tests::{Call, Client, Control, Edge, Origin, body, cli, reply, wait_until};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

const FIRST: &str = "hunter2-the-first-value-of-the-origin";
const SECOND: &str = "hunter2-the-second-value-of-the-origin";
const TOKEN_KEY: &str = "hunter2-signs-tokens-0123456789abcdef0123456789abcdef";

fn policy(origin: &str) -> String {
    format!(
        r#"
version: 1
origins:
  app: {{url: "{origin}", sign: {{header: {{name: x-origin-key, value: {{ref: origin-key}}}}}}}}
sites:
  shop:
    hosts: [shop.example]
    routes:
      - {{name: members, match: {{path: /members/**}}, origins: [app], auth: {{jwt: {{algorithms: [HS256], secret: {{ref: token-key}}}}}}}}
      - {{name: stored, match: {{path: /stored/**}}, origins: [app], cache: true}}
      - {{name: all, origins: [app]}}
"#
    )
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
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

/// No file of that folder but these tells a value.
fn tells_nothing(folder: &Path, but: &[&str]) {
    for file in files(folder) {
        if but.iter().any(|name| file.ends_with(name)) {
            continue;
        }
        let octets = fs::read(&file).unwrap_or_default();
        for value in [FIRST, SECOND, TOKEN_KEY] {
            let at = octets
                .windows(value.len())
                .position(|part| part == value.as_bytes());
            if let Some(at) = at {
                let around = &octets[at.saturating_sub(300)..at];
                panic!("{}: …{}", file.display(), String::from_utf8_lossy(around));
            }
        }
    }
}

async fn set(control: &Control, verb: &str, name: &str, value: &str) -> cli::Said {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("value");
    fs::write(&file, format!("{value}\n")).unwrap();
    let file = file.display().to_string();
    let said = cli::latencify_at(control, &["secret", verb, name, "--file", &file]).await;
    assert!(!format!("{said:?}").contains("hunter2"), "{said:?}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_reaches_the_edges_whose_policy_names_it_and_nothing_tells_it() {
    let origin = Origin::serve(async |call: Call| {
        let text = call.header("x-origin-key").to_owned();
        let cached = if call.path().starts_with("/stored") {
            600
        } else {
            0
        };
        // The values come back in bodies, which the records do not have.
        let known = [FIRST, SECOND].iter().position(|value| *value == text);
        reply::text(format!("{known:?}")).max_age(cached).done()
    })
    .await;
    let mut control = Control::embedded()
        .environment("RUST_LOG", "trace")
        .start()
        .await;
    let refused = control.submit(&policy(&origin.url())).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.text().contains("no secret `origin-key`"),
        "{}",
        refused.text()
    );

    let said = set(&control, "rotate", "origin-key", FIRST).await;
    assert_eq!(said.code, 1, "there is none yet: {said:?}");
    for (name, value) in [
        ("origin-key", FIRST),
        ("token-key", TOKEN_KEY),
        ("unused", SECOND),
    ] {
        let said = set(&control, "set", name, value).await;
        assert_eq!(said.code, 0, "{said:?}");
    }
    control.apply(&policy(&origin.url())).await;
    let mut edge = Edge::member(&control, "paris")
        .environment("RUST_LOG", "trace")
        .start()
        .await;
    control.everywhere(1).await;
    for path in ["/a", "/stored/a"] {
        assert_eq!(
            edge.get("shop.example", path).await.text(),
            "Some(0)",
            "{path}"
        );
    }
    let until = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        + 600;
    let token = |key: &str| {
        let key = EncodingKey::from_secret(key.as_bytes());
        encode(&Header::default(), &json!({"exp": until}), &key).unwrap()
    };
    for (key, status) in [(TOKEN_KEY, 200), ("", 401), ("another", 401)] {
        let request = Client::request("GET", "shop.example", "/members/a")
            .header("authorization", format!("Bearer {}", token(key)))
            .body(body::empty())
            .unwrap();
        let reply = edge.client().send(edge.http(), request).await.unwrap();
        assert_eq!(reply.status, status, "{key:?}: {}", reply.text());
    }
    let saved = edge.folder().join("state/secrets.json");
    let mode = fs::metadata(&saved).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let text = fs::read_to_string(&saved).unwrap();
    assert!(
        text.contains("origin-key") && !text.contains("unused"),
        "only what the policy names"
    );

    let said = set(&control, "rotate", "origin-key", SECOND).await;
    assert_eq!(said.code, 0, "{said:?}");
    is_used(&edge, "Some(1)").await;
    let said = cli::latencify_at(&control, &["secret", "list"]).await;
    assert!(
        said.stdout.contains("origins.app.sign.header.value"),
        "{said:?}"
    );
    assert!(!format!("{said:?}").contains("hunter2"), "{said:?}");
    let said = cli::latencify_at(&control, &["secret", "delete", "origin-key"]).await;
    assert_eq!(said.code, 1, "the policy names it: {said:?}");
    let said = cli::latencify_at(&control, &["secret", "delete", "unused"]).await;
    assert_eq!(said.code, 0, "{said:?}");

    // Without control, it starts with what it has saved.
    wait_until("the other value is saved", SOON, async || {
        let now = fs::read_to_string(&saved).unwrap();
        if now == text { Err(now.len()) } else { Ok(()) }
    })
    .await;
    control.kill();
    edge.restart().await;
    is_used(&edge, "Some(1)").await;
    edge.process().kill();
    tells_nothing(control.folder(), &[]);
    tells_nothing(edge.folder(), &[]);
    assert!(control.process().said().contains("TRACE") && edge.process().said().contains("TRACE"));
}

async fn is_used(edge: &Edge, expected: &str) {
    wait_until("the value in force is used", SOON, async || {
        let reply = edge.get("shop.example", "/b").await;
        if reply.text() == expected {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;
}
