//! An edge on a machine of its own, whose cable to control is pulled while clients still reach it.

use super::{
    LEASE, SOON,
    hammer::{Hammer, warm},
    publisher::Api,
    stand::{Stand, check, start, target, when_isolated},
};
use latencify_conf::api::ReceiptState;
use latencify_tests::{Authority, Cable, Chance, Control, Edge, Namespace, skip, wait_until};
use std::time::Duration;
use tokio::time::sleep;

const ROUNDS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_whose_cable_to_control_is_pulled_serves_its_clients_nothing_old() {
    if !Namespace::is_permitted() {
        skip!("this user may make no network namespace: ip netns add");
    }
    let mut chance = Chance::new();
    let seed = chance.seed();
    let machine = Namespace::new();
    let mut stand = Stand::at(machine.here(Cable::Clients)).await;
    let authority = Authority::new();
    let control =
        start(Control::embedded().fleet_at(machine.here(Cable::Control), authority)).await;
    control.apply(&stand.policy(0)).await;
    let away = Edge::member(&control, "away").inside(&machine);
    let away = when_isolated(away, "revalidate").start().await;
    let here = when_isolated(Edge::member(&control, "here"), "revalidate")
        .start()
        .await;
    control.everywhere(2).await;
    let targets = [target(&away), target(&here)];
    let hammer = Hammer::start(&stand.seen, &targets);
    let api = Api::Of(&control);
    for round in 0..ROUNDS {
        stand.publisher.publish(&api, &mut chance).await;
        warm(&stand.seen, &targets).await;
        machine.pull(Cable::Control);
        let published = stand.publisher.publish(&api, &mut chance).await.clone();
        let lost = published
            .receipt
            .edges
            .iter()
            .find(|edge| edge.edge == "away");
        assert_eq!(
            lost.unwrap().state,
            ReceiptState::Fenced,
            "seed {seed}: {published:#?}"
        );
        sleep(chance.between(Duration::ZERO, LEASE)).await;
        stand.seen.check();
        machine.mend(Cable::Control);
        wait_until(
            &format!("seed {seed}, round {round}: it has caught up"),
            SOON,
            async || {
                let roster = control.roster().await;
                let is_back = roster.edges.iter().all(|edge| edge.acked == roster.head);
                if is_back {
                    Ok(())
                } else {
                    Err(format!("{roster:#?}"))
                }
            },
        )
        .await;
    }
    check(&control, &stand, &targets, seed).await;
    assert!(hammer.end().await > 100, "the clients were not answered");
}
