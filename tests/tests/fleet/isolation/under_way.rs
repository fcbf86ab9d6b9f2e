//! Fills under way when an isolated edge is asked for the same.

use super::{HOST, Setting};
use latencify_tests::{Client, Control, Edge, Origin, Wire, body, policy::one_route, reply};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// An origin that sends the head and one octet at once, and the rest when the test lets it.
async fn held(rest: Arc<Semaphore>) -> Origin {
    Origin::serve(move |call| {
        let rest = rest.clone();
        async move {
            let number = call.number;
            let parts = futures::stream::once(async { Ok("<".into()) });
            let end = futures::stream::once(async move {
                rest.acquire().await.unwrap().forget();
                Ok(format!("{number}>").into())
            });
            let parts = futures::StreamExt::chain(parts, end);
            reply::of(body::streamed(parts)).max_age(600).done()
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_of_before_the_request_is_joined_by_serve_alone() {
    for (mode, requests, second) in [
        ("revalidate", 2, (200, "<1>")),
        ("serve", 1, (200, "<0>")),
        ("refuse", 1, (503, "")),
    ] {
        let rest = Arc::new(Semaphore::new(0));
        let origin = held(rest.clone()).await;
        let control = Control::embedded()
            .flag("--edge-lease", super::LEASE)
            .start()
            .await;
        control
            .apply(&one_route(&origin.url(), "cache: true"))
            .await;
        let wire = Wire::before(control.fleet()).await;
        let edge = Edge::member_at(&control, &wire.url(), "paris")
            .flag("--when-isolated", mode)
            .start()
            .await;
        control.everywhere(1).await;
        let setting = Setting {
            control,
            edge,
            wire,
            origin,
            version: Arc::default(),
        };
        setting.trusted().await;
        setting.cut_off().await;

        let client = Client::new();
        let request = || {
            Client::request("GET", HOST, "/a")
                .body(body::empty())
                .unwrap()
        };
        let mut first = client.connect(setting.edge.http()).await.unwrap();
        // Its head is there: the fill is open.
        let first = first.stream(request()).await.unwrap();
        assert_eq!(first.status(), 200);
        let asking = client.send(setting.edge.http(), request());
        let letting = async {
            if requests == 2 {
                latencify_tests::wait_until(
                    "the second asks the origin",
                    super::SOON,
                    async || match setting.origin.requests() {
                        2 => Ok(()),
                        other => Err(other),
                    },
                )
                .await;
            }
            rest.add_permits(2);
        };
        let (reply, ()) = futures::join!(asking, letting);
        let reply = reply.unwrap();
        let body = if second.0 == 200 { reply.text() } else { "" };
        assert_eq!((reply.status.as_u16(), body), second, "{mode}: {reply:?}");
        assert_eq!(setting.origin.requests(), requests, "{mode}");
    }
}
