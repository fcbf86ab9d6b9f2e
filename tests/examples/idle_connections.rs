//! What an idle connection costs the edge in memory, for each of the protocols: `make bench`.

#![allow(clippy::print_stdout)] // a measuring program

use latencify_tests::idle::{Spoken, cost};

const CONNECTIONS: usize = 20_000;

#[tokio::main]
async fn main() {
    for spoken in [Spoken::Plain, Spoken::Tls, Spoken::Http2] {
        for cost in cost(spoken, CONNECTIONS).await {
            println!(
                "{:6} {} idle connections in one of the edges: {:.1} KiB each, {} MiB in all",
                format!("{spoken:?}"),
                cost.connections,
                cost.octets_each as f64 / 1024.0,
                (cost.octets_each * cost.connections) >> 20
            );
        }
    }
}
