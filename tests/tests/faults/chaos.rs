//! All faults of this suite at any time, one upon the other.

use super::{
    LEASE,
    hammer::{Hammer, warm},
    publisher::Api,
    stand::{Stand, THREE, check, start, target, wired_members},
};
use latencify_tests::{Chance, Control, Edge, Flow, Weather, Wire};
use std::time::Duration;
use tokio::time::sleep;

const ROUNDS: u64 = 12;
const BAD: [Weather; 4] = [
    Weather::CUT,
    Weather {
        up: Flow::Passes,
        down: Flow::Vanishes,
    },
    Weather {
        up: Flow::Vanishes,
        down: Flow::Passes,
    },
    Weather {
        up: Flow::Late(Duration::from_millis(700)),
        down: Flow::Late(Duration::from_millis(700)),
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_upon_faults_break_no_promise() {
    let mut chance = Chance::new();
    let seed = chance.seed();
    let mut stand = Stand::new().await;
    let mut control = start(Control::embedded()).await;
    control.apply(&stand.policy(0)).await;
    let (mut edges, wires) = wired_members(&control, &THREE).await;
    let targets: Vec<_> = edges.iter().map(target).collect();
    let hammer = Hammer::start(&stand.seen, &targets);
    let api = Api::Plain(control.api(), control.api_token());
    let mut purges = chance.clone();
    for round in 0..ROUNDS {
        warm(&stand.seen, &targets).await;
        let policy = stand.policy(round + 1);
        let publish = async {
            let publisher = &mut stand.publisher;
            for _ in 0..2 {
                publisher.publish(&api, &mut purges).await;
            }
            publisher
                .apply(&api, &policy, &format!("policy-{round}"))
                .await;
        };
        let harm = async {
            for _ in 0..2 {
                harm(&mut chance, &mut control, &mut edges, &wires).await;
            }
            // So that the receipts that wait for everybody come.
            for wire in &wires {
                wire.becomes(Weather::FINE);
            }
        };
        tokio::join!(publish, harm);
        stand.seen.check();
    }
    check(&control, &stand, &targets, seed).await;
    assert!(hammer.end().await > 100, "the clients were not answered");
}

/// One fault, for a while.
async fn harm(chance: &mut Chance, control: &mut Control, edges: &mut [Edge], wires: &[Wire]) {
    let number = chance.below(edges.len() as u64) as usize;
    let pause = chance.between(Duration::ZERO, LEASE / 2);
    let lasting = chance.between(Duration::ZERO, LEASE * 2);
    sleep(pause).await;
    match chance.below(6) {
        0 => {
            edges[number].process().kill();
            sleep(lasting).await;
            // One that starts while control is away waits for nobody.
            edges[number].restart().await;
        }
        1 => {
            control.kill();
            sleep(lasting).await;
            control.restart().await;
        }
        2 => {
            edges[number].signal("STOP");
            sleep(lasting).await;
            edges[number].signal("CONT");
        }
        3 => {
            control.signal("STOP");
            sleep(lasting).await;
            control.signal("CONT");
        }
        4 => wires[number].breaks(),
        _ => {
            wires[number].becomes(*chance.one_of(&BAD));
            sleep(lasting).await;
        }
    }
}
