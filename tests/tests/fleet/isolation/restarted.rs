//! An edge restarts while control is out of reach.

use super::{HOST, Setting, has};
use latencify_tests::wait_until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_restarts_without_control_is_isolated_from_the_start() {
    for (mode, ready, second) in [
        ("revalidate", 200, 200),
        ("serve", 200, 200),
        ("refuse", 503, 503),
    ] {
        let mut setting = Setting::new(mode).await;
        setting.wire.cut();
        setting.edge.restart().await;
        setting.isolated("not_joined").await;
        wait_until(
            "its last good policy runs",
            super::SOON,
            async || match setting.readiness().await {
                (_, text) if text.contains("isolated (not_joined)") => Ok(()),
                other => Err(format!("{other:?}")),
            },
        )
        .await;
        assert_eq!(setting.readiness().await.0, ready, "{mode}");
        let first = setting.get("/a").await;
        assert_eq!(first.text(), "1", "{mode}: what is not stored is fetched");
        let reply = setting.get("/a").await;
        assert_eq!(reply.status.as_u16(), second, "{mode}: {reply:?}");
        match mode {
            "serve" => assert!(has(&reply, &["hit", "detail=isolated"]), "{reply:?}"),
            "revalidate" => {
                assert!(
                    has(&reply, &["fwd-status=304", "detail=isolated"]),
                    "{reply:?}"
                );
            }
            _ => assert!(!reply.header("retry-after").is_empty(), "{reply:?}"),
        }
        setting.wire.mend();
        wait_until("it hits again", super::SOON, async || {
            let reply = setting.edge.get(HOST, "/a").await;
            let hits = reply.is_hit() && !has(&reply, &["detail=isolated"]);
            if hits {
                Ok(())
            } else {
                Err(format!("{reply:?}"))
            }
        })
        .await;
        setting.ready().await;
    }
}
