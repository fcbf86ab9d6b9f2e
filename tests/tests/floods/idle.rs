//! What connections cost that wait for their next request.

use latencify_tests::idle::{Spoken, cost, possible};

#[track_caller]
fn within(cost: usize, bound: usize) {
    assert!(
        cost <= bound,
        "{cost} octets a connection; the bound is {bound}"
    );
}

/// As many as the machine has descriptors for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_idle_connections_cost_little() {
    within(cost(Spoken::Plain, possible(20_000)).await, 8 << 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_over_tls_cost_little() {
    within(cost(Spoken::Tls, possible(2_000)).await, 40 << 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_over_http2_cost_little() {
    within(cost(Spoken::Http2, possible(2_000)).await, 64 << 10);
}
