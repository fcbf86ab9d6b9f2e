//! One-time tokens: what they open, and what they do not.

use super::{TOKEN, connected, control, identity, invite, says, with_token};
use latencify_tests::{Edge, cli};
use std::{fs, os::unix::fs::PermissionsExt as _};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invited_edge_joins_and_needs_its_token_no_more() {
    let (mut control, _origin) = control(&[]).await;
    let token = invite(&control, "paris").await;
    let mut paris = with_token(&control, "paris", &token).start().await;
    control.everywhere(1).await;
    let mode = fs::metadata(identity(&paris)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!paris.process().said().contains(&token));
    assert_eq!(paris.get("shop.example", "/").await.text(), "x");

    // It starts without control, and joins again with what it has.
    control.kill();
    let first = fs::read(identity(&paris)).unwrap();
    paris.restart().await;
    assert_eq!(paris.get("shop.example", "/").await.text(), "x");
    control.restart().await;
    connected(&control, &["paris"]).await;
    assert_eq!(fs::read(identity(&paris)).unwrap(), first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_was_used_or_is_anothers_or_has_expired_lets_nobody_in() {
    let (control, _origin) = control(&[]).await;
    let used = invite(&control, "paris").await;
    let _paris = with_token(&control, "paris", &used).start().await;
    connected(&control, &["paris"]).await;
    let stolen = invite(&control, "tokyo").await;
    let late = ["edge", "invite", "paris", "--expires", "1ms"];
    let late = cli::latencify_at(&control, &late).await;
    assert_eq!(late.code, 0, "{late:?}");
    for (token, words) in [
        (used.as_str(), ["used already", "edge revoke paris"]),
        (&stolen, ["is for tokyo", "not for paris"]),
        (late.stdout.trim(), ["expired", "edge invite paris"]),
        ("lat_edge_0123", ["not this fleet's", "edge invite"]),
    ] {
        let mut other = with_token(&control, "paris", token).start().await;
        says(&mut other, &words).await;
        assert!(!identity(&other).exists());
        let refused = "latencify_gateway_link_errors_total{error=\"unauthorised\"}";
        assert!(other.metric(refused).await >= 1.0);
    }
    connected(&control, &["paris"]).await;
    assert_eq!(control.roster().await.edges.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_may_be_enrolled_before_it_starts() {
    let (control, _origin) = control(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let token = invite(&control, "lyon").await;
    let url = control.fleet_url();
    let mut enroll = vec!["edge", "enroll", "--control", &url, "--state"];
    let state_text = state.display().to_string();
    enroll.push(&state_text);
    let without = cli::latencify_at(&control, &enroll).await;
    assert_eq!(without.code, 1, "{without:?}");
    let with = [&enroll[..], &["--token", &token]].concat();
    let said = cli::latencify_at(&control, &with).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!format!("{said:?}").contains(&token), "{said:?}");
    let again = cli::latencify_at(&control, &with).await;
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.stderr.contains("used already"), "{again:?}");
    // Its token is of no use, and it needs none.
    let _lyon = Edge::member_in(&control, "lyon", &state)
        .environment(TOKEN, "no-token-at-all-0123")
        .start()
        .await;
    connected(&control, &["lyon"]).await;
}
