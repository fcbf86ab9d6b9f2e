//! Clients that wait for their next request: `latencify-idle-clients plain|tls|http2 ADDRESS CA.PEM`. See
//! `latencify_tests::idle`.

#![allow(clippy::unwrap_used)] // a program of tests

use latencify_tests::idle::hold_until_told;
use std::path::Path;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [spoken, server, trust] = arguments.as_slice() else {
        panic!("plain|tls|http2 ADDRESS CA.PEM");
    };
    hold_until_told(
        spoken.parse().unwrap(),
        server.parse().unwrap(),
        Path::new(trust),
    )
    .await;
}
