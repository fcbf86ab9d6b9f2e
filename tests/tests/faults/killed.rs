//! SIGKILL at any moment, of control and of edges, while versions are published.

use super::{
    LEASE, SOON,
    hammer::{Hammer, warm},
    publisher::Api,
    stand::{Stand, THREE, check, members, start, target},
};
use latencify_tests::{Chance, Control, Edge, Weather, Wire, wait_until};
use std::time::Duration;
use tokio::time::sleep;

const ROUNDS: u64 = 8;

/// Edges die and come back as other processes, control dies and comes back; purges are published all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_control_and_killed_edges_break_no_promise() {
    let mut chance = Chance::new();
    let seed = chance.seed();
    let mut stand = Stand::new().await;
    let mut control = start(Control::embedded()).await;
    control.apply(&stand.policy(0)).await;
    let mut edges = members(&control, &THREE).await;
    let targets: Vec<_> = edges.iter().map(target).collect();
    let hammer = Hammer::start(&stand.seen, &targets);
    let api = Api::Plain(control.api(), control.api_token());
    for round in 0..ROUNDS {
        warm(&stand.seen, &targets).await;
        let victim = chance.below(edges.len() as u64 + 2) as usize;
        let pause = chance.between(Duration::ZERO, Duration::from_millis(60));
        let away = chance.between(Duration::ZERO, LEASE * 2);
        let policy = stand.policy(round + 1);
        let kill = async {
            sleep(pause).await;
            if let Some(edge) = edges.get_mut(victim) {
                edge.process().kill();
                sleep(away).await;
                edge.restart().await;
            } else {
                control.kill();
                sleep(away).await;
                control.restart().await;
            }
        };
        let mut others = chance.clone();
        let publish = async {
            let publisher = &mut stand.publisher;
            publisher.publish(&api, &mut others).await;
            publisher
                .apply(&api, &policy, &format!("policy-{round}"))
                .await;
            publisher.publish(&api, &mut others).await;
        };
        tokio::join!(kill, publish);
        stand.seen.check();
    }
    check(&control, &stand, &targets, seed).await;
    assert!(hammer.end().await > 100, "the clients were not answered");
}

/// Control that dies just after it has answered a heartbeat knows in its next life that an edge may hold a lease: while
/// that edge is cut off and serves its store, nobody calls it fenced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_that_was_killed_calls_nobody_fenced_whose_lease_may_still_run() {
    let mut chance = Chance::new();
    let seed = chance.seed();
    let mut stand = Stand::new().await;
    let mut control = start(Control::embedded()).await;
    control.apply(&stand.policy(0)).await;
    let wire = Wire::before(control.fleet()).await;
    let edge = Edge::member_at(&control, &wire.url(), "paris")
        .start()
        .await;
    control.everywhere(1).await;
    let targets = [target(&edge)];
    let hammer = Hammer::start(&stand.seen, &targets);
    let api = Api::Plain(control.api(), control.api_token());
    for _ in 0..5 {
        stand.publisher.publish(&api, &mut chance).await;
        warm(&stand.seen, &targets).await;
        sleep(chance.between(Duration::ZERO, LEASE / 4)).await;
        wire.becomes(Weather::CUT);
        control.kill();
        control.restart().await;
        // The purge hits an edge that can't hear of it, and that serves what it has until its lease is over.
        stand.publisher.publish(&api, &mut chance).await;
        stand.seen.check();
        wire.becomes(Weather::FINE);
        wait_until("the edge is back", SOON, async || {
            let roster = control.roster().await;
            let is_back = roster.edges.iter().all(|edge| edge.acked == roster.head);
            if is_back {
                Ok(())
            } else {
                Err(format!("{roster:#?}"))
            }
        })
        .await;
    }
    check(&control, &stand, &targets, seed).await;
    assert!(hammer.end().await > 100, "the clients were not answered");
}
