//! A network that cuts, loses one direction, delays and drips.

use super::{
    LEASE,
    hammer::{Hammer, warm},
    publisher::Api,
    stand::{Stand, THREE, check, start, target, wired_members},
};
use latencify_tests::{Chance, Control, Flow, Weather};
use std::time::Duration;
use tokio::time::sleep;

/// Each bad weather is met once, in an order that the seed shuffles.
const WEATHERS: [(&str, Weather); 8] = [
    ("cut", Weather::CUT),
    (
        "half open: the edge is not heard",
        Weather {
            up: Flow::Vanishes,
            down: Flow::Passes,
        },
    ),
    (
        "half open: control is not heard",
        Weather {
            up: Flow::Passes,
            down: Flow::Vanishes,
        },
    ),
    (
        "late, less than a lease",
        Weather {
            up: Flow::Late(Duration::from_millis(150)),
            down: Flow::Late(Duration::from_millis(150)),
        },
    ),
    (
        "answers later than a lease",
        Weather {
            up: Flow::Passes,
            down: Flow::Late(Duration::from_millis(1_300)),
        },
    ),
    (
        "heartbeats later than a lease",
        Weather {
            up: Flow::Late(Duration::from_millis(1_300)),
            down: Flow::Passes,
        },
    ),
    (
        "dripping to the edge",
        Weather {
            up: Flow::Passes,
            down: Flow::Drips(Duration::from_millis(3)),
        },
    ),
    (
        "dripping both ways",
        Weather {
            up: Flow::Drips(Duration::from_millis(3)),
            down: Flow::Drips(Duration::from_millis(3)),
        },
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_wire_to_control_does_no_promise_breaks() {
    let mut chance = Chance::new();
    let seed = chance.seed();
    let mut stand = Stand::new().await;
    let control = start(Control::embedded()).await;
    control.apply(&stand.policy(0)).await;
    let (edges, wires) = wired_members(&control, &THREE[..2]).await;
    let targets: Vec<_> = edges.iter().map(target).collect();
    let hammer = Hammer::start(&stand.seen, &targets);
    let api = Api::Plain(control.api(), control.api_token());
    let mut weathers = WEATHERS.to_vec();
    while !weathers.is_empty() {
        let (name, weather) = weathers.swap_remove(chance.below(weathers.len() as u64) as usize);
        let wire = &wires[chance.below(wires.len() as u64) as usize];
        stand.publisher.publish(&api, &mut chance).await;
        warm(&stand.seen, &targets).await;
        wire.becomes(weather);
        if chance.below(3) == 0 {
            wire.breaks();
        }
        // The edge misses these, or hears of them late; their receipts wait for it or for the end of its lease.
        for _ in 0..2 {
            let published = stand.publisher.publish(&api, &mut chance).await;
            assert!(published.receipt.complete, "seed {seed}: {name}");
            sleep(chance.between(Duration::ZERO, LEASE / 2)).await;
            stand.seen.check();
        }
        wire.becomes(Weather::FINE);
        if chance.below(2) == 0 {
            wire.breaks();
        }
        sleep(chance.between(Duration::ZERO, LEASE / 2)).await;
    }
    for wire in &wires {
        wire.becomes(Weather::FINE);
    }
    check(&control, &stand, &targets, seed).await;
    assert!(hammer.end().await > 100, "the clients were not answered");
}
