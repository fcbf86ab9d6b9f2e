//! What connections cost that wait for their next request.

use latencify_tests::idle::{Spoken, cost};

/// Edges hold 20,000 at a time. As many edges as the descriptors of one are too few for; the bound is for each of them.
#[track_caller]
fn within(costs: &[latencify_tests::idle::Cost], bound: usize) {
    let held: usize = costs.iter().map(|cost| cost.connections).sum();
    assert_eq!(held, 20_000, "{costs:?}");
    for cost in costs {
        assert!(cost.octets_each <= bound, "the bound is {bound}: {costs:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_idle_connections_cost_little() {
    within(&cost(Spoken::Plain, 20_000).await, 8 << 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_idle_connections_over_tls_cost_little() {
    within(&cost(Spoken::Tls, 20_000).await, 28 << 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_idle_connections_over_http2_cost_little() {
    within(&cost(Spoken::Http2, 20_000).await, 48 << 10);
}
