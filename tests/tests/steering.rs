//! Which origin answers: the nearest healthy one, by weight, and where its name leads now.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

use latencify_tests::{
    Client, Dns, Edge, Origin, RawOrigin, body, policy::one_route, reply, wait_until,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

const SOON: Duration = Duration::from_mins(1);

async fn named(name: &'static str) -> Origin {
    Origin::serve(move |_| async move { reply::text(name).done() }).await
}

/// Paris, Tokyo and New York, checked every 200 ms.
fn three(paris: &Origin, tokyo: &Origin, new_york: &Origin) -> String {
    let origin = |name: &str, origin: &Origin, latitude: f64, longitude: f64| {
        format!(
            "  {name}: {{url: '{}', place: {{latitude: {latitude}, longitude: {longitude}}}, \
             health: {{path: /healthz, interval: 200ms, timeout: 1s, healthy_after: 1, unhealthy_after: 2}}}}\n",
            origin.url()
        )
    };
    format!(
        "version: 1\norigins:\n{}{}{}\
         sites: {{main: {{hosts: ['*'], routes: [{{origins: [paris, tokyo, new-york]}}]}}}}\n",
        origin("paris", paris, 48.85, 2.35),
        origin("tokyo", tokyo, 35.68, 139.65),
        origin("new-york", new_york, 40.71, -74.0),
    )
}

async fn answers(edge: &Edge, from: &str) -> String {
    let reply = Client::at(from).get(edge.http(), "shop.example", "/").await;
    assert_eq!(reply.status, 200, "from {from}: {reply:?}");
    reply.text().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nearest_origin_answers_and_then_the_next_nearest() {
    let mut paris = named("paris").await;
    let (tokyo, new_york) = (named("tokyo").await, named("new-york").await);
    let edge = Edge::alone(&three(&paris, &tokyo, &new_york)).start().await;
    for (from, name) in [
        ("127.10.0.1", "paris"),
        ("127.20.0.1", "tokyo"),
        ("127.30.0.1", "new-york"),
    ] {
        assert_eq!(answers(&edge, from).await, name, "from {from}");
    }

    // Nothing fails while Paris is down: what can't be sent there goes on to New York (5837 km), not Tokyo (9712 km).
    paris.stop().await;
    for _ in 0..20 {
        assert_eq!(answers(&edge, "127.10.0.1").await, "new-york");
    }
    paris.start_again().await;
    wait_until("Paris answers again", SOON, async || {
        match answers(&edge, "127.10.0.1").await {
            name if name == "paris" => Ok(()),
            name => Err(name),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_calls_itself_unhealthy_is_left_out() {
    let ill = Arc::new(AtomicBool::new(false));
    let says = Arc::clone(&ill);
    let paris = Origin::serve(move |call| {
        let ill = says.load(Ordering::SeqCst) && call.path() == "/healthz";
        async move {
            if ill {
                reply::status(503).done()
            } else {
                reply::text("paris").done()
            }
        }
    })
    .await;
    let (tokyo, new_york) = (named("tokyo").await, named("new-york").await);
    let edge = Edge::alone(&three(&paris, &tokyo, &new_york)).start().await;
    assert_eq!(answers(&edge, "127.10.0.1").await, "paris");
    for (is_ill, expected) in [(true, "new-york"), (false, "paris")] {
        ill.store(is_ill, Ordering::SeqCst);
        wait_until(expected, SOON, async || {
            match answers(&edge, "127.10.0.1").await {
                name if name == expected => Ok(()),
                name => Err(name),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_share_out_requests() {
    let (heavy, light) = (named("heavy").await, named("light").await);
    let policy = format!(
        "version: 1\norigins: {{heavy: {{url: '{}'}}, light: {{url: '{}'}}}}\n\
         sites: {{main: {{hosts: ['*'], routes: [{{origins: {{weighted: {{heavy: 3, light: 1}}}}}}]}}}}\n",
        heavy.url(),
        light.url()
    );
    let edge = Edge::alone(&policy).start().await;
    let mut counts = BTreeMap::new();
    for index in 0..400 {
        let from = format!("127.0.{}.{}", 1 + index / 200, 1 + index % 200);
        *counts.entry(answers(&edge, &from).await).or_insert(0) += 1;
    }
    // Six standard deviations of 400 draws around 300.
    let heavy = counts["heavy"];
    assert!((248..=352).contains(&heavy), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_name_is_followed_to_its_new_address() {
    let old = named("old").await;
    let port = old.address().port();
    let beside = SocketAddr::from(([127, 0, 0, 2], port));
    let new = Origin::serve_at(beside, |_| async { reply::text("new").done() }).await;
    let dns = Dns::start().await;
    dns.set("origin.test", &["127.0.0.1"], 1);
    let edge = Edge::alone(&one_route(&format!("http://origin.test:{port}"), ""))
        .flag("--dns", &dns.address().to_string())
        .start()
        .await;
    // The name may be resolved only after the listeners are up.
    wait_until("the old address answers", SOON, async || {
        let reply = edge.get("shop.example", "/").await;
        if reply.text() == "old" {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;
    dns.set("origin.test", &["127.0.0.2"], 1);
    wait_until("the new address answers", SOON, async || {
        match answers(&edge, "127.0.0.1").await {
            name if name == "new" => Ok(()),
            name => Err(name),
        }
    })
    .await;
    assert_eq!(
        new.requests(),
        1,
        "the old origin was used until the name led elsewhere"
    );
    for _ in 0..10 {
        assert_eq!(answers(&edge, "127.0.0.1").await, "new");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn countries_are_let_in_as_the_policy_says() {
    let origin = named("ok").await;
    let route = "access: {allow: [FR], otherwise: deny}";
    let edge = Edge::alone(&one_route(&origin.url(), route)).start().await;
    for (from, status) in [("127.10.0.1", 200), ("127.20.0.1", 403), ("127.0.0.1", 403)] {
        let reply = Client::at(from).get(edge.http(), "shop.example", "/").await;
        assert_eq!(reply.status, status, "from {from}: {reply:?}");
    }
}

/// An origin that reads each request whole and then breaks the connection; how many it has read.
async fn breaking() -> (RawOrigin, Arc<AtomicUsize>) {
    let read = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&read);
    let origin = RawOrigin::serve(move |mut stream| {
        let counter = Arc::clone(&counter);
        async move {
            let head = RawOrigin::head(&mut stream).await?;
            if head.starts_with("POST") {
                let mut body = [0; BODY.len()];
                tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body).await?;
            }
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    })
    .await;
    (origin, read)
}

const BODY: &str = "an order";

/// For clients in Paris: two origins there that break, then one in Tokyo that answers.
fn two_that_break(first: &str, second: &str, last: &str, retries: u32) -> String {
    let paris = "place: {latitude: 48.85, longitude: 2.35}";
    let tokyo = "place: {latitude: 35.68, longitude: 139.65}";
    format!(
        "version: 1\norigins:\n  first: {{url: '{first}', {paris}}}\n  second: {{url: '{second}', {paris}}}\n  \
         last: {{url: '{last}', {tokyo}}}\n\
         sites: {{main: {{hosts: ['*'], routes: [{{origins: [first, second, last], limits: {{retries: {retries}}}}}]}}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_reached_an_origin_is_sent_again_only_if_it_may_be_and_as_often_as_the_policy_says() {
    // Method, retries: status, requests at the two that break, requests at the one that answers.
    let cases = [
        ("GET", 0, 502, 1, 0),
        ("GET", 1, 502, 2, 0),
        ("GET", 2, 200, 2, 1),
        ("POST", 0, 502, 1, 0),
        ("POST", 2, 502, 1, 0),
    ];
    for (method, retries, status, broken, answered) in cases {
        let ((first, at_first), (second, at_second)) = (breaking().await, breaking().await);
        let last = named("last").await;
        let policy = two_that_break(&first.url(), &second.url(), &last.url(), retries);
        let edge = Edge::alone(&policy).start().await;
        let body = if method == "POST" { BODY } else { "" };
        let request = Client::request(method, "shop.example", "/").body(body::full(body));
        let reply = Client::at("127.10.0.1")
            .send(edge.http(), request.unwrap())
            .await
            .unwrap();
        let what = format!("{method}, {retries} retries");
        assert_eq!(reply.status, status, "{what}: {reply:?}");
        let counts = (
            at_first.load(Ordering::SeqCst),
            at_second.load(Ordering::SeqCst),
        );
        assert_eq!(counts.0 + counts.1, broken, "{what}: {counts:?}");
        assert!(counts.0 <= 1 && counts.1 <= 1, "{what}: {counts:?}");
        assert_eq!(last.requests(), answered, "{what}");
    }
}
