//! An edge is taken out of the roster while nothing can be folded, and comes back before the entry takes effect.

use super::{
    SOON,
    publisher::Api,
    stand::{Stand, target, when_isolated},
};
use http::Method;
use latencify_conf::api::{EdgeState, ReceiptState};
use latencify_tests::{
    Chance, Client, Control, Edge, Flow, OtherTransaction, Weather, Wire, body, skip, wait_until,
};

/// Long enough for a purge and its receipt.
const LEASE: &str = "5s";

async fn paris(control: &Control) -> Option<latencify_conf::api::Edge> {
    control.roster().await.edges.pop()
}

/// An entry that takes an edge out of the roster may be folded long after whoever wrote it has heard an error. No receipt
/// counts on the edge from then on, so it must not hold a lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_comes_back_while_its_removal_is_held_up_serves_nothing_old() {
    let mut chance = Chance::new();
    let seed = chance.seed();
    let mut stand = Stand::new().await;
    let control = Control::embedded()
        .flag("--edge-lease", LEASE)
        .start()
        .await;
    control.apply(&stand.policy(0)).await;
    let wire = Wire::before(control.fleet()).await;
    let edge = Edge::member_at(&control, &wire.url(), "paris");
    let edge = when_isolated(edge, "revalidate").start().await;
    control.everywhere(1).await;
    wait_until("something is stored", SOON, async || {
        let reply = edge.get("shop.example", "/stored").await;
        if reply.is_hit() {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;

    edge.signal("STOP");
    wait_until("its lease is over", SOON, async || {
        let edge = paris(&control).await.unwrap();
        if edge.fenced && edge.state == EdgeState::Disconnected {
            Ok(())
        } else {
            Err(format!("{edge:#?}"))
        }
    })
    .await;
    // Nothing can be folded while it holds the store.
    let Some(held_up) = OtherTransaction::writing(&control.folder().join("data/store.db")) else {
        skip!("no sqlite3 here: apt-get install sqlite3");
    };
    let removal = control.ask(Method::DELETE, "/v1/edges/paris", None, None::<&()>);
    let said = removal.await.unwrap();
    assert_eq!(said.status, 503, "the entry is not folded: {}", said.text());

    // It comes back: it is turned away, or it has a lease again.
    edge.signal("CONT");
    wait_until("control has answered the edge", SOON, async || {
        let turned_away = edge
            .metric("latencify_gateway_link_errors_total{error=\"refused\"}")
            .await;
        let has_lease = !paris(&control).await.unwrap().fenced;
        if turned_away > 0.0 || has_lease {
            Ok(())
        } else {
            Err(edge.metrics().await)
        }
    })
    .await;
    let mut client = target(&edge).client.connect(edge.http()).await.unwrap();
    let mut get = async || {
        let request = Client::request("GET", "shop.example", "/stored");
        client
            .send(request.body(body::empty()).unwrap())
            .await
            .unwrap()
    };
    assert_eq!(get().await.text(), "1");

    // The entry is folded, and the edge hears of nothing.
    wire.becomes(Weather {
        up: Flow::Passes,
        down: Flow::Vanishes,
    });
    held_up.end();
    wait_until("it is out of the roster", SOON, async || {
        paris(&control)
            .await
            .map_or(Ok(()), |edge| Err(format!("{edge:#?}")))
    })
    .await;
    let published = stand
        .publisher
        .publish(&Api::Of(&control), &mut chance)
        .await;
    // One that was turned away asks again and may be a member once more, though it does not hear so: without a lease.
    let mut counted_on = published.receipt.edges.iter();
    assert!(
        counted_on.all(|edge| edge.state == ReceiptState::Fenced),
        "seed {seed}: {published:#?}"
    );
    let reply = get().await;
    assert_eq!(
        reply.text(),
        "2",
        "seed {seed}: after the receipt: {reply:?}"
    );

    // Nothing is held against it for ever.
    wire.becomes(Weather::FINE);
    wire.breaks();
    control.everywhere(1).await;
    wait_until("it is trusted again", SOON, async || {
        let reply = edge.get("shop.example", "/stored").await;
        if reply.is_hit() {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;
}
