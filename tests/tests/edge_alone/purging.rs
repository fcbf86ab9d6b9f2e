//! Purges at the edge itself, and what unsafe methods leave behind (RFC 9111 §4.4).

use http::StatusCode;
use latencify_tests::{Client, Edge, Origin, Reply, body, policy::one_route, reply, wait_until};
use std::time::Duration;

async fn counting() -> Origin {
    Origin::serve(|call| async move { reply::text(call.number.to_string()).max_age(600).done() })
        .await
}

async fn send(edge: &Edge, client: Client, method: &str, path: &str) -> Reply {
    let request = Client::request(method, "shop.example", path)
        .body(body::empty())
        .unwrap();
    client.send(edge.http(), request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purge_takes_a_path_over_all_its_queries() {
    let origin = counting().await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .start()
        .await;
    for path in ["/a", "/a?x=1", "/b"] {
        edge.get("shop.example", path).await;
        assert!(edge.get("shop.example", path).await.is_hit(), "{path}");
    }
    let purged = send(&edge, Client::new(), "PURGE", "/a").await;
    assert!(purged.status.is_success(), "{purged:?}");
    for (path, hit) in [("/a", false), ("/a?x=1", false), ("/b", true)] {
        assert_eq!(edge.get("shop.example", path).await.is_hit(), hit, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purge_is_only_for_those_whom_the_policy_names() {
    let origin = counting().await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .start()
        .await;
    edge.get("shop.example", "/a").await;
    let refused = send(&edge, Client::at("127.0.0.2"), "PURGE", "/a").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    assert!(edge.get("shop.example", "/a").await.is_hit());
    assert_eq!(origin.requests(), 1, "PURGE never goes to an origin");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsafe_method_that_succeeds_makes_the_path_fresh() {
    let origin = counting().await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .start()
        .await;
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        edge.get("shop.example", "/a").await;
        assert!(edge.get("shop.example", "/a").await.is_hit(), "{method}");
        send(&edge, Client::new(), method, "/a").await;
        assert!(!edge.get("shop.example", "/a").await.is_hit(), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_more_tags_than_are_kept_is_not_stored_and_says_so() {
    let origin = Origin::serve(|call| async move {
        let tags: Vec<String> = (0..=128).map(|n| format!("t{n}")).collect();
        reply::text(call.number.to_string())
            .max_age(600)
            .header("surrogate-key", tags.join(" "))
            .done()
    })
    .await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .start()
        .await;
    for _ in 0..2 {
        let reply = edge.get("shop.example", "/a").await;
        assert!(!reply.is_hit(), "{reply:?}");
        let status = reply.headers["cache-status"].to_str().unwrap();
        assert!(status.contains("tags_out_of_bounds"), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_under_a_key_that_can_not_be_kept_is_refused() {
    let origin = counting().await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .start()
        .await;
    for (key, status) in [
        ("x".repeat(200), StatusCode::OK),
        ("x".repeat(201), StatusCode::BAD_REQUEST),
    ] {
        let request = Client::request("PURGE", "shop.example", "/a")
            .header("idempotency-key", key)
            .body(body::empty())
            .unwrap();
        let reply = Client::new().send(edge.http(), request).await.unwrap();
        assert_eq!(reply.status, status, "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_purged_gives_its_memory_back_and_marks_are_forgotten_without_a_request() {
    let origin = counting().await;
    let edge = Edge::alone(&one_route(&origin.url(), "cache: true"))
        .start()
        .await;
    for n in 0..10 {
        edge.get("shop.example", &format!("/{n}")).await;
    }
    for n in 0..9 {
        send(&edge, Client::new(), "PURGE", &format!("/{n}")).await;
    }
    let names = ["cache_objects", "marks"].map(|name| format!("latencify_gateway_{name}"));
    wait_until(
        "a sweep has gone over everything",
        Duration::from_mins(1),
        async || {
            let left = [edge.metric(&names[0]).await, edge.metric(&names[1]).await];
            if left.map(|count| count as u64) == [1, 1] {
                Ok(())
            } else {
                Err(format!("objects and marks: {left:?}"))
            }
        },
    )
    .await;
    for name in ["cache_swept_total", "marks_forgotten_total"] {
        let name = format!("latencify_gateway_{name}");
        wait_until(&name, Duration::from_mins(1), async || {
            match edge.metric(&name).await {
                counted if counted >= 9.0 => Ok(()),
                counted => Err(counted),
            }
        })
        .await;
    }
    assert!(
        edge.get("shop.example", "/9").await.is_hit(),
        "the others stay"
    );
    assert!(!edge.get("shop.example", "/0").await.is_hit());
}
