//! What is stored is there after a restart, however it came about.

use super::*;
use latencify_tests::Client;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_survives_a_stop_and_a_kill() {
    let mut setting = Setting::new().await;
    for path in ["/a", "/b?x=1"] {
        setting.store(path).await;
    }
    for round in 0..3 {
        if round == 1 {
            setting.edge.process().kill();
        } else {
            setting.stop().await;
        }
        setting.restart().await;
        setting.raise();
        let reply = setting.get("/b?x=1").await;
        assert!(reply.is_hit() && reply.text() == "1 of /b", "{reply:?}");
        setting.is_kept("/a", 1).await;
    }
    assert_eq!(setting.origin.requests(), 2);
    let reply = setting.get("/a").await;
    assert!(
        reply.age().is_some() && !reply.header("etag").is_empty(),
        "{reply:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tier_is_named_to_clients_and_records() {
    let mut setting = Setting::new().await;
    setting.store("/a").await;
    setting.stop().await;
    setting.restart().await;
    let reply = setting.get("/a").await;
    assert!(
        reply.header("cache-status").contains("detail=disk"),
        "{reply:?}"
    );
    wait_until("its record is written", SOON, async || {
        let records = setting.edge.access_log();
        let said = records.last().map(|record| record["decisions"].to_string());
        match said {
            Some(said) if said.contains("cache:disk") => Ok(()),
            said => Err(format!("{said:?}")),
        }
    })
    .await;
    assert!(setting.disk("found_total").await >= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_is_read_whole_and_in_parts() {
    let mut setting = Setting::new().await;
    setting.store("/large").await;
    setting.edge.process().kill();
    setting.restart().await;
    let whole = large(1);
    let part = async |range: &str| {
        let request = Client::request("GET", HOST, "/large")
            .header("range", range)
            .body(body::empty())
            .unwrap();
        setting
            .edge
            .client()
            .send(setting.edge.http(), request)
            .await
            .unwrap()
    };
    for (range, expected) in [
        ("bytes=0-99", &whole[..100]),
        ("bytes=1000000-1999999", &whole[1_000_000..2_000_000]),
        ("bytes=-5", &whole[LARGE_BYTES - 5..]),
    ] {
        let reply = part(range).await;
        assert_eq!(reply.status, 206, "{range}: {:?}", reply.headers);
        assert!(
            reply.is_hit() && reply.body == expected,
            "{range}: {:?}",
            reply.headers
        );
    }
    let reply = setting.get("/large").await;
    assert!(reply.is_hit() && reply.body == whole, "{:?}", reply.headers);
    assert_eq!(setting.origin.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validation_renews_what_is_on_disk() {
    let mut setting = Setting::new().await;
    setting.store("/validated").await;
    setting.stop().await;
    setting.restart().await;
    for _ in 0..2 {
        let reply = setting.get("/validated").await;
        assert!(
            reply.header("cache-status").contains("fwd-status=304"),
            "{reply:?}"
        );
        assert_eq!(reply.text(), "1 of /validated");
    }
    setting.raise();
    assert_eq!(setting.get("/validated").await.text(), "2 of /validated");
    setting.stop().await;
    setting.restart().await;
    assert_eq!(setting.get("/validated").await.text(), "2 of /validated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_takes_over_gets_the_folder_when_it_is_let_go() {
    let mut setting = Setting::new().await;
    setting.store("/a").await;
    setting.edge.upgrade().await;
    setting.until_ready().await;
    setting.is_kept("/a", 1).await;
    assert!(setting.disk("found_total").await >= 1.0);
    setting.store("/b").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_says_what_goes_there() {
    let setting = Setting::with("cache: { disk: never }", with_disk).await;
    setting.get("/a").await;
    setting
        .until("it is counted", "not_admitted_total", |count| count > 0.0)
        .await;
    assert!(setting.disk("stored_total").await < 1.0);

    let setting = Setting::with("cache: { disk: second_hit }", with_disk).await;
    setting.get("/a").await;
    setting
        .until("it is counted", "not_admitted_total", |count| count > 0.0)
        .await;
    assert!(setting.disk("stored_total").await < 1.0);
    setting.raise();
    let purge = Client::request("POST", HOST, "/a")
        .body(body::empty())
        .unwrap();
    setting
        .edge
        .client()
        .send(setting.edge.http(), purge)
        .await
        .unwrap();
    setting.store("/a").await;
}
