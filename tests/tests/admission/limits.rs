//! Rate limits: what they promise is let in, and no more.

use http::HeaderValue;
use latencify_tests::{Client, Edge, Origin, body, reply};
use std::time::{Duration, Instant};

fn limited(origin: &Origin, key: &str, rate: &str, burst: u32) -> String {
    format!(
        r#"version: 1
origins: {{app: {{url: "{}"}}}}
sites:
  api:
    hosts: ["*"]
    routes:
      - rate_limits: [{{name: calls, key: {key}, rate: {rate}, burst: {burst}}}]
        origins: [app]
"#,
        origin.url()
    )
}

/// How many of those who ask at these times a limit without fault lets in: a machine that stands still asks for nothing,
/// and what the burst can't keep until it goes on is nobody's.
fn promised(rate: f64, burst: f64, asked: &[f64]) -> f64 {
    let (mut tokens, mut since, mut allowed) = (burst, 0.0, 0.0);
    for &at in asked {
        tokens = f64::min(tokens + (at - since) * rate, burst);
        since = at;
        if tokens >= 1.0 {
            tokens -= 1.0;
            allowed += 1.0;
        }
    }
    allowed
}

#[tokio::test]
async fn a_rate_limit_lets_in_what_it_promises_and_no_more() {
    const RATE: f64 = 50.0;
    const BURST: f64 = 25.0;
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let edge = Edge::alone(&limited(&origin, "address", "50/s", 25))
        .start()
        .await;
    let client = Client::at("127.10.0.9");
    // Several connections ask as fast as they can: far more than the limit.
    let began = Instant::now();
    let workers = (0..8).map(|_| async {
        let mut connection = client.connect(edge.http()).await.unwrap();
        let (mut allowed, mut last, mut answered) = (0u32, None, Vec::new());
        while began.elapsed() < Duration::from_secs(4) {
            let request = Client::request("GET", "api.example", "/")
                .body(body::empty())
                .unwrap();
            let reply = connection.send(request).await.unwrap();
            answered.push(began.elapsed().as_secs_f64());
            match reply.status.as_u16() {
                200 => allowed += 1,
                429 => last = Some(reply),
                status => panic!("{status}: {}", reply.text()),
            }
        }
        (allowed, last, answered)
    });
    let workers = futures::future::join_all(workers).await;
    let allowed = f64::from(workers.iter().map(|(allowed, ..)| allowed).sum::<u32>());
    let mut answered: Vec<f64> = workers
        .iter()
        .flat_map(|(.., answered)| answered)
        .copied()
        .collect();
    answered.sort_unstable_by(f64::total_cmp);
    let elapsed = answered.last().copied().unwrap_or_default();
    let most = BURST + RATE * elapsed;
    assert!(
        allowed <= most + 1.0,
        "{allowed} let in, {most} promised in {elapsed} s"
    );
    let promised = promised(RATE, BURST, &answered);
    assert!(
        allowed >= 0.97 * promised - 2.0,
        "{allowed} let in of {}, {promised} promised in {elapsed} s",
        answered.len()
    );
    let refused = workers
        .into_iter()
        .find_map(|(_, refused, _)| refused)
        .expect("more was asked than is promised");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(refused.header("ratelimit-policy"), "\"calls\";q=50;w=1");
    assert!(
        refused.header("ratelimit").starts_with("\"calls\";r=0;t="),
        "{}",
        refused.header("ratelimit")
    );
    let other = Client::at("127.10.0.10")
        .get(edge.http(), "api.example", "/")
        .await;
    assert_eq!(other.status, 200, "another address has a count of its own");
    assert_eq!(other.header("ratelimit"), "\"calls\";r=24;t=1");
}

#[tokio::test]
async fn a_limit_counts_by_what_the_policy_names() {
    let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
    let edge = Edge::alone(&limited(&origin, "{header: x-key}", "1/h", 1))
        .start()
        .await;
    let ask = async |key: Option<&str>| {
        let mut request = Client::request("GET", "api.example", "/");
        if let Some(key) = key {
            request = request.header("x-key", HeaderValue::from_str(key).unwrap());
        }
        Client::new()
            .send(edge.http(), request.body(body::empty()).unwrap())
            .await
            .unwrap()
            .status
            .as_u16()
    };
    assert_eq!(
        [
            ask(Some("a")).await,
            ask(Some("a")).await,
            ask(Some("b")).await
        ],
        [200, 429, 200]
    );
    assert_eq!(
        [ask(None).await, ask(None).await],
        [200, 429],
        "those without the header share one count"
    );
}
