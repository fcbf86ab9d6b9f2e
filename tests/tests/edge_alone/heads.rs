//! When the head of a response reaches its client, and what becomes of it when nothing follows.

use futures::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use latencify_tests::{Client, Edge, Origin, RawOrigin, body, policy::one_route, reply};
use std::{sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt as _, sync::Semaphore, time::timeout};

/// How long a test waits for what comes at once.
const SOON: Duration = Duration::from_mins(1);

/// An origin that sends heads with a `Content-Length` at once, and bodies as somebody permits.
async fn slow_bodies(may_send: &Arc<Semaphore>) -> Origin {
    let may_send = may_send.clone();
    Origin::serve(move |_| {
        let may_send = may_send.clone();
        async move {
            let part = stream::once(async move {
                may_send.acquire().await.unwrap().forget();
                Ok("the body".into())
            });
            reply::of(body::streamed(part.boxed()))
                .max_age(60)
                .header("content-length", 8)
                .done()
        }
    })
    .await
}

async fn reads_head_before_body(route: &str, readers: usize, asks: usize) {
    let may_send = Arc::new(Semaphore::new(0));
    let origin = slow_bodies(&may_send).await;
    let edge = Edge::alone(&one_route(&origin.url(), route)).start().await;
    let mut responses = Vec::new();
    for reader in 0..readers {
        let mut connection = Client::new().connect(edge.http()).await.unwrap();
        let request = Client::request("GET", "shop.example", "/a")
            .body(body::empty())
            .unwrap();
        let head = timeout(SOON, connection.stream(request)).await;
        let response = head
            .unwrap_or_else(|_| panic!("{route}: reader {reader} has no head before the body"))
            .unwrap();
        assert_eq!(response.status(), 200);
        responses.push((connection, response));
    }
    may_send.add_permits(readers);
    for (connection, response) in responses {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "the body", "{route}");
        drop(connection);
    }
    assert_eq!(origin.requests(), asks, "{route}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_does_not_wait_for_a_body_that_takes_its_time() {
    reads_head_before_body("cache: false", 2, 2).await;
}

/// Whoever fetches it, and whoever follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_the_head_of_one_that_follows_anothers_fetch() {
    reads_head_before_body("cache: true", 3, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_goes_out_though_its_body_never_comes() {
    let origin = RawOrigin::serve(|mut stream| async move {
        RawOrigin::head(&mut stream).await?;
        let head = b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 8\r\n\r\n";
        stream.write_all(head).await?;
        stream.shutdown().await
    })
    .await;
    for route in ["cache: false", "cache: true"] {
        let policy = one_route(&origin.url(), route);
        let edge = Edge::alone(&policy).start().await;
        let mut connection = Client::new().connect(edge.http()).await.unwrap();
        let request = Client::request("GET", "shop.example", "/a")
            .body(body::empty())
            .unwrap();
        let response = connection.stream(request).await.unwrap();
        assert_eq!(response.status(), 200, "{route}");
        response.into_body().collect().await.unwrap_err();
    }
}
