//! Origins that answer nobody but edges: a bucket that verifies AWS signatures by itself, a header that only they know, client
//! certificates. What verifies here shares no code with what signs.

mod mutual;
mod s3;

use http::Method;
use latencify_tests::{Call, Client, Edge, EdgeOptions, Origin, body, reply, wait_until};
use s3::refusal;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tokio::io::AsyncReadExt as _;

const SOON: Duration = Duration::from_mins(1);
const ID: &str = "AKIDOFTHETEST";
const KEY: &str = "hunter2/secret+access=key-of-the-bucket";
const TOKEN: &str = "session-token-hunter2==";

/// A bucket: it answers requests whose signature is right.
async fn bucket() -> (Origin, Arc<AtomicBool>) {
    let skewed = Arc::new(AtomicBool::new(false));
    let is_skewed = skewed.clone();
    let origin = Origin::serve(move |call| {
        let is_skewed = is_skewed.load(SeqCst);
        async move {
            if is_skewed {
                let hour_ago = OffsetDateTime::from(SystemTime::now() - Duration::from_hours(1));
                let date = hour_ago.format(&Rfc2822).unwrap().replace("+0000", "GMT");
                let refused = reply::text("RequestTimeTooSkewed").status(403).max_age(600);
                return refused.header("date", date).done();
            }
            if let Err(why) = refusal(&call) {
                return reply::text(why).status(403).done();
            }
            if call.header("if-none-match") == "\"v1\"" {
                return reply::status(304)
                    .header("etag", "\"v1\"")
                    .max_age(0)
                    .done();
            }
            let cached = if call.path().starts_with("/validated") {
                0
            } else {
                600
            };
            let told = format!("{} {}", call.path(), call.header("x-amz-date"));
            reply::text(told)
                .max_age(cached)
                .header("etag", "\"v1\"")
                .done()
        }
    })
    .await;
    (origin, skewed)
}

/// A folder of secrets.
fn secrets(values: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in values {
        secret(folder.path(), name, value);
    }
    folder
}

fn secret(folder: &Path, name: &str, value: &str) {
    let fresh = folder.join(format!(".{name}"));
    fs::write(&fresh, format!("{value}\n")).unwrap();
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(fresh, folder.join(name)).unwrap();
}

fn alone(policy: &str, secrets: &Path) -> EdgeOptions {
    Edge::alone(policy).flag("--secrets", &secrets.display().to_string())
}

fn bucket_policy(url: &str) -> String {
    format!(
        r#"
version: 1
origins:
  bucket:
    url: "{url}"
    sign:
      aws_v4:
        region: eu-west-1
        access_key: {{ref: id}}
        secret_key: {{ref: key}}
        session_token: {{ref: token}}
    health: {{path: "/health?deep=1", interval: 100ms, expect: 200}}
sites:
  shop:
    hosts: [shop.example]
    routes:
      - {{name: passed, match: {{path: /passed/**}}, origins: [bucket]}}
      - {{name: stored, origins: [bucket], cache: true, request_headers: {{set: {{x-amz-request-payer: requester}}}}}}
"#
    )
}

fn without_checks(policy: &str) -> String {
    let lines: Vec<_> = policy
        .lines()
        .filter(|line| !line.contains("health:"))
        .collect();
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_bucket_is_an_origin() {
    let (origin, _) = bucket().await;
    let folder = secrets(&[("id", ID), ("key", KEY), ("token", TOKEN)]);
    let edge = alone(&bucket_policy(&origin.url()), folder.path())
        .start()
        .await;
    for path in [
        "/a",
        "/a%20b/%C3%A4?x=1&b=c%2Fd&a",
        "/passed/a",
        "/passed/a+b//c/?q=a+b&list-type=2",
    ] {
        let reply = edge.get("shop.example", path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    }
    assert!(
        edge.get("shop.example", "/a").await.is_hit(),
        "it may be stored"
    );
    // A body goes unsigned, over both ways.
    for path in ["/passed/put", "/put"] {
        let request = Client::request("PUT", "shop.example", path);
        let request = request.body(body::full(b"a body".to_vec())).unwrap();
        let reply = edge.client().send(edge.http(), request).await.unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    }
    // A condition and a range are signed as they go; a later request with a later date.
    let first = edge.get("shop.example", "/validated").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let second = edge.get("shop.example", "/validated").await;
    assert_eq!(
        (first.status, second.status),
        (200.try_into().unwrap(), 200.try_into().unwrap())
    );
    let seen = origin.seen();
    let validated: Vec<_> = seen
        .iter()
        .filter(|seen| seen.uri.path() == "/validated")
        .map(|seen| seen.headers["x-amz-date"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(validated.len(), 2, "{seen:?}");
    assert_ne!(validated[0], validated[1]);
    let ranged = Client::request("GET", "shop.example", "/passed/part")
        .header("range", "bytes=0-3")
        .body(body::empty())
        .unwrap();
    let ranged = edge.client().send(edge.http(), ranged).await.unwrap();
    assert_eq!(ranged.status, 200, "{}", ranged.text());
    wait_until("a check is signed, too", SOON, async || {
        let checked = origin
            .seen()
            .iter()
            .any(|seen| seen.uri.path() == "/health");
        if checked { Ok(()) } else { Err("none came") }
    })
    .await;
    let reply = edge.get("shop.example", "/after-the-checks").await;
    assert_eq!(reply.status, 200, "the origin is healthy: {}", reply.text());
}

/// An origin that hears requests and ends their connections without an answer.
async fn deaf() -> (String, Arc<AtomicUsize>, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, heard) = (
        format!("http://{}", listener.local_addr().unwrap()),
        Arc::new(AtomicUsize::new(0)),
    );
    let hearing = heard.clone();
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8192];
            let length = stream.read(&mut request).await.unwrap_or(0);
            if String::from_utf8_lossy(&request[..length]).contains("AWS4-HMAC-SHA256") {
                hearing.fetch_add(1, SeqCst);
            }
        }
    });
    (url, heard, serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_attempt_is_signed_as_it_goes() {
    let (origin, _) = bucket().await;
    let (url, heard, serving) = deaf().await;
    let folder = secrets(&[("id", ID), ("key", KEY), ("token", TOKEN)]);
    let policy = without_checks(&bucket_policy(&origin.url()));
    let sign = "sign: {aws_v4: {region: us-east-1, access_key: {ref: id}, secret_key: {ref: key}}}";
    let policy = policy
        .replace(
            "origins:\n  bucket:",
            &format!("origins:\n  deaf: {{url: \"{url}\", {sign}}}\n  bucket:"),
        )
        .replace("origins: [bucket]", "origins: [deaf, bucket]");
    let edge = alone(&policy, folder.path()).start().await;
    // Which origin comes first is chance.
    for number in 0..64 {
        for path in [format!("/passed/{number}"), format!("/stored/{number}")] {
            let reply = edge.get("shop.example", &path).await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        }
        if heard.load(SeqCst) > 0 {
            break;
        }
    }
    assert!(
        heard.load(SeqCst) > 0,
        "the first attempt was never at the other origin"
    );
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_put_nothing_into_a_signature() {
    let (origin, _) = bucket().await;
    let folder = secrets(&[("id", ID), ("key", KEY), ("token", TOKEN)]);
    let edge = alone(&bucket_policy(&origin.url()), folder.path())
        .start()
        .await;
    for path in ["/a", "/passed/a"] {
        let request = Client::request("GET", "shop.example", path)
            .header("authorization", "AWS4-HMAC-SHA256 Credential=mine")
            .header("x-amz-security-token", "mine")
            .header("x-amz-date", "20000101T000000Z")
            .header("x-amz-acl", "public-read")
            .header("x-amz-copy-source", "/other/secret")
            .body(body::empty())
            .unwrap();
        let reply = edge.client().send(edge.http(), request).await.unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    }
    for seen in origin
        .seen()
        .iter()
        .filter(|seen| seen.method == Method::GET)
    {
        for name in ["x-amz-acl", "x-amz-copy-source"] {
            assert!(!seen.headers.contains_key(name), "{seen:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_for_the_time_is_told_and_not_stored() {
    let (origin, skewed) = bucket().await;
    let folder = secrets(&[("id", ID), ("key", KEY), ("token", TOKEN)]);
    let policy = without_checks(&bucket_policy(&origin.url()));
    let mut edge = alone(&policy, folder.path()).start().await;
    skewed.store(true, SeqCst);
    let refused = edge.get("shop.example", "/a").await;
    assert_eq!(refused.status, 403);
    skewed.store(false, SeqCst);
    let reply = edge.get("shop.example", "/a").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    wait_until("it is told that the clocks differ", SOON, async || {
        let said = edge.process().said();
        if said.contains("15 minutes") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
}

const HEADER: &str = r#"
version: 1
origins:
  app: {url: "URL", sign: {header: {name: x-origin-key, value: {ref: origin-key}}}}
sites:
  shop:
    hosts: [shop.example]
    routes:
      - {name: passed, match: {path: /passed/**}, origins: [app]}
      - {name: stored, origins: [app], cache: true}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_only_edges_know_is_theirs_alone_and_another_value_takes_its_place() {
    let origin = Origin::serve(async |call: Call| {
        let lines: Vec<_> = call
            .request
            .headers()
            .get_all("x-origin-key")
            .iter()
            .collect();
        reply::text(format!("{lines:?}")).no_store().done()
    })
    .await;
    let folder = secrets(&[("origin-key", "hunter2-first")]);
    let edge = alone(&HEADER.replace("URL", &origin.url()), folder.path())
        .start()
        .await;
    let asked = async |path: &str| {
        let request = Client::request("GET", "shop.example", path)
            .header("x-origin-key", "mine")
            .header("x-origin-key", "also mine")
            .body(body::empty())
            .unwrap();
        edge.client().send(edge.http(), request).await.unwrap()
    };
    for path in ["/a", "/passed/a"] {
        let reply = asked(path).await;
        assert_eq!(reply.text(), "[\"hunter2-first\"]", "{path}");
    }
    secret(folder.path(), "origin-key", "hunter2-second");
    wait_until("the other value is used", SOON, async || {
        let reply = asked("/passed/b").await;
        if reply.text() == "[\"hunter2-second\"]" {
            Ok(())
        } else {
            Err(reply.text().to_owned())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_whose_secret_is_missing_or_open_to_others_does_not_start_an_edge() {
    let policy = HEADER.replace("URL", "http://127.0.0.1:9");
    let folder = secrets(&[("other", "hunter2")]);
    let open = secrets(&[("origin-key", "hunter2")]);
    let file = open.path().join("origin-key");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    for (folder, expected) in [
        (folder.path(), "secret `origin-key` is not there"),
        (open.path(), "chmod 600"),
    ] {
        let (mut process, _folder) = alone(&policy, folder).start_in_vain();
        let status = process.ended(SOON).await;
        let said = process.said();
        assert!(!status.success() && said.contains(expected), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
