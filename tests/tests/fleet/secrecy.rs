//! Control over TLS: who is trusted, and what is refused without it.

use super::{SOON, version_at, versioned};
use latencify_tests::{Authority, Control, Edge, cli, policy::one_route, wait_until};
use std::{fs, sync::atomic::Ordering};

async fn control() -> Control {
    Control::embedded().tls(Authority::new()).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_and_the_command_speak_tls_with_control() {
    let (origin, version) = versioned().await;
    let control = control().await;
    let file = control.folder().join("policy.yaml");
    fs::write(&file, one_route(&origin.url(), "cache: true")).unwrap();
    let apply = ["policy", "apply", &file.display().to_string()];
    let said = cli::latencify_at(&control, &apply).await;
    assert_eq!(said.code, 0, "{said:?}");
    let edges = control.edges(["paris", "tokyo"]).await;
    for edge in &edges {
        assert_eq!(version_at(edge, "/a").await, 1);
    }
    version.store(2, Ordering::SeqCst);
    let purge = ["purge", "url", "http://shop.example/a", "--wait"];
    let said = cli::latencify_at(&control, &purge).await;
    assert_eq!(said.code, 0, "{said:?}");
    for edge in &edges {
        assert_eq!(version_at(edge, "/a").await, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_that_another_ca_vouches_for_is_not_spoken_to() {
    let control = control().await;
    let other = control.folder().join("other.pem");
    fs::write(&other, Authority::new().pem()).unwrap();

    let said = cli::latencify_trusting(&control, &other, &["edge", "list"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("certificate"), "{said:?}");

    let mut edge = Edge::member_at(&control, &control.fleet_url(), "paris")
        .flag("--control-ca", &other.display().to_string())
        .start()
        .await;
    wait_until("the edge tells why it stays alone", SOON, async || {
        let said = edge.process().said();
        if said.contains("certificate") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    let unreachable = "latencify_gateway_link_errors_total{error=\"unreachable\"}";
    assert!(edge.metric(unreachable).await >= 1.0);
    assert!(control.roster().await.edges.is_empty());
}
