//! How long a purge takes until three edges obey it: `make bench`.
//!
//! One purge after the other, each of a URL that all edges hold. Two clocks: control's, from acceptance to the last
//! edge's ack (what a receipt says), and the client's, from sending the purge to having the complete receipt.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a measuring program

use latencify_conf::api::{PurgeReceipt, PurgeTarget};
use latencify_tests::{Control, Origin, policy::one_route, reply};
use std::time::{Duration, Instant};

const PURGES: usize = 1_000;

#[tokio::main]
async fn main() {
    let origin = Origin::serve(|_| async { reply::text("hello").max_age(600).done() }).await;
    let control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let edges = control.edges(["paris", "tokyo", "new-york"]).await;

    let (mut at_control, mut at_client) = (Vec::new(), Vec::new());
    for index in 0..PURGES {
        let path = format!("/{}", index % 50);
        for edge in &edges {
            edge.get("shop.example", &path).await;
        }
        let began = Instant::now();
        let target = PurgeTarget::Url(format!("http://shop.example{path}"));
        let purge = control.purge(vec![target]).await;
        let receipt: PurgeReceipt = control
            .get(&format!("/v1/purges/{}?wait=10s", purge.id))
            .await;
        at_client.push(began.elapsed());
        assert!(receipt.complete, "{receipt:#?}");
        let slowest = receipt
            .edges
            .iter()
            .filter_map(|edge| edge.latency_us)
            .max()
            .unwrap();
        at_control.push(Duration::from_micros(slowest));
    }
    println!("{PURGES} purges, {} edges", edges.len());
    report("acceptance to the last ack", at_control);
    report("request to complete receipt", at_client);
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!(
        "{what:28} p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, most {:.1?}",
        at(50),
        at(90),
        at(99),
        at(100)
    );
}
