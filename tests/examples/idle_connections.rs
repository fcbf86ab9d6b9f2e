//! What an idle connection costs the edge in memory, for each of the protocols: `make bench`.

#![allow(clippy::print_stdout)] // a measuring program

use latencify_tests::idle::{Spoken, cost, possible};

const CONNECTIONS: usize = 20_000;

#[tokio::main]
async fn main() {
    let count = possible(CONNECTIONS);
    if count < CONNECTIONS {
        println!("this machine has descriptors for {count} of {CONNECTIONS} connections");
    }
    for spoken in [Spoken::Plain, Spoken::Tls, Spoken::Http2] {
        let octets = cost(spoken, count).await;
        println!(
            "{:6} {count} idle connections: {:.1} KiB each, {} MiB in all",
            format!("{spoken:?}"),
            octets as f64 / 1024.0,
            (octets * count) >> 20
        );
    }
}
