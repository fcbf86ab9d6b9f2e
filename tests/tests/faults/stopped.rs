//! SIGSTOP and SIGCONT: a process that stands still and does not know.

use super::{
    LEASE, SOON,
    hammer::{Hammer, burst, warm},
    publisher::Api,
    stand::{Stand, THREE, check, members, start, target},
};
use latencify_conf::api::ReceiptState;
use latencify_tests::{Chance, Control, wait_until};
use std::time::Duration;
use tokio::time::sleep;

const ROUNDS: u64 = 5;
/// Requests that wait in the sockets of a stopped edge, of each kind.
const WAITING: usize = 12;

/// An edge that was stopped for longer than its lease is fenced, and when it goes on, no request that was sent after the
/// receipt gets what it had stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_edge_is_fenced_and_serves_nothing_old_when_it_goes_on() {
    let mut chance = Chance::new();
    let seed = chance.seed();
    let mut stand = Stand::new().await;
    let control = start(Control::embedded()).await;
    control.apply(&stand.policy(0)).await;
    let edges = members(&control, &THREE).await;
    let targets: Vec<_> = edges.iter().map(target).collect();
    let hammer = Hammer::start(&stand.seen, &targets);
    let api = Api::Of(&control);
    for round in 0..ROUNDS {
        stand.publisher.publish(&api, &mut chance).await;
        warm(&stand.seen, &targets).await;
        let edge = &edges[chance.below(edges.len() as u64) as usize];
        let mut waiting = burst(&stand.seen, target(edge), WAITING);
        sleep(chance.between(Duration::ZERO, Duration::from_millis(150))).await;
        edge.signal("STOP");
        waiting.join(burst(&stand.seen, target(edge), WAITING));

        let published = stand.publisher.publish(&api, &mut chance).await.clone();
        let state = |name: &str| {
            let of_edge = published
                .receipt
                .edges
                .iter()
                .find(|edge| edge.edge == name);
            of_edge.unwrap().state
        };
        assert_eq!(
            state(edge.name()),
            ReceiptState::Fenced,
            "seed {seed}: {published:#?}"
        );
        // Sent after the receipt, and answered when it goes on.
        waiting.join(burst(&stand.seen, target(edge), WAITING));
        sleep(chance.between(Duration::ZERO, LEASE)).await;
        edge.signal("CONT");
        waiting.join(burst(&stand.seen, target(edge), WAITING));
        waiting.all_answered(seed).await;
        stand.seen.check();

        let purge = format!("/v1/purges/{}", published.purge.id);
        wait_until(
            &format!("seed {seed}, round {round}: the fenced edge has caught up"),
            SOON,
            async || {
                let receipt: latencify_conf::api::PurgeReceipt = control.get(&purge).await;
                assert!(
                    receipt.complete,
                    "seed {seed}: once complete, always: {receipt:#?}"
                );
                let acked =
                    |edge: &latencify_conf::api::EdgeReceipt| edge.state == ReceiptState::Acked;
                if receipt.edges.iter().all(acked) {
                    Ok(())
                } else {
                    Err(format!("{receipt:#?}"))
                }
            },
        )
        .await;
    }
    check(&control, &stand, &targets, seed).await;
    assert!(hammer.end().await > 100, "the clients were not answered");
}

/// Edges whose control stands still isolate themselves and recover, and what was accepted meanwhile is obeyed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_control_is_stopped_edges_are_isolated_and_recover() {
    let mut chance = Chance::new();
    let seed = chance.seed();
    let mut stand = Stand::new().await;
    let control = start(Control::embedded()).await;
    control.apply(&stand.policy(0)).await;
    let edges = members(&control, &THREE[..2]).await;
    let targets: Vec<_> = edges.iter().map(target).collect();
    let tokyo = &edges[1];
    let hammer = Hammer::start(&stand.seen, &targets);
    let api = Api::Plain(control.api(), control.api_token());
    for round in 0..ROUNDS {
        stand.publisher.publish(&api, &mut chance).await;
        warm(&stand.seen, &targets).await;
        control.signal("STOP");
        // A purge that is sent now waits in control's socket.
        let pause = chance.between(Duration::ZERO, LEASE * 3);
        let going_on = async {
            sleep(pause).await;
            if pause > LEASE * 2 {
                wait_until("the refusing edge is not ready", SOON, async || {
                    let reply = tokyo.client().get(tokyo.admin(), "admin", "/readyz").await;
                    if reply.status == 503 {
                        Ok(())
                    } else {
                        Err(reply.text().to_owned())
                    }
                })
                .await;
            }
            control.signal("CONT");
        };
        tokio::join!(going_on, stand.publisher.publish(&api, &mut chance));
        stand.seen.check();
        wait_until(
            &format!("seed {seed}, round {round}: the refusing edge is ready again"),
            SOON,
            async || {
                let reply = tokyo.client().get(tokyo.admin(), "admin", "/readyz").await;
                if reply.status == 200 {
                    Ok(())
                } else {
                    Err(reply.text().to_owned())
                }
            },
        )
        .await;
    }
    check(&control, &stand, &targets, seed).await;
    assert!(hammer.end().await > 100, "the clients were not answered");
}
