//! One process after another, and not one request that fails: binary upgrades, restarts with sockets that systemd holds,
//! drains.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

mod bare;
mod clients;
mod drains;
mod fleet;
mod leaving;
mod refused;
mod restarts;
mod speech;
mod units;
mod upgrades;

use clients::Clients;
use latencify_tests::{
    Authority, Call, Edge, EdgeOptions, Origin,
    body::{self, Body},
    reply,
};
use std::time::Duration;

const SOON: Duration = Duration::from_mins(1);
/// So often one process takes over from another.
const TIMES: usize = 20;
/// What every client asks for, and what it must get: from the origin, and from memory.
const SMALL: &str = "/small";
const STORED: &str = "/stored";
const SMALLS: [&str; 2] = [SMALL, STORED];
const SMALL_BODY: &str = "small, but whole";
const LONG: &str = "/long";
const LONG_OCTET: u8 = b'x';
const LONG_BYTES: u64 = 4 << 20;
const HOST: &str = "shop.example";

async fn origin() -> Origin {
    Origin::serve(answer).await
}

async fn answer(call: Call) -> http::Response<Body> {
    if call.path() == LONG {
        return reply::of(body::repeated(LONG_OCTET, LONG_BYTES))
            .no_store()
            .done();
    }
    let small = reply::text(SMALL_BODY);
    if call.path() == STORED {
        return small.max_age(600).done();
    }
    small.no_store().done()
}

fn edge(origin: &Origin, authority: &Authority) -> EdgeOptions {
    let policy = format!(
        "version: 1\n\
         origins: {{app: {{url: '{}'}}}}\n\
         certificates: {{shop: {{chain: shop.pem, key: shop.key}}}}\n\
         sites: {{main: {{hosts: ['{HOST}'], certificate: shop, routes: [{{match: {{path: {STORED}}}, origins: [app], cache: true}}, {{origins: [app]}}]}}}}\n",
        origin.url()
    );
    Edge::alone(&policy).certificate(authority, "shop", &[HOST])
}

/// Every kind of client was answered from memory, too, and by whoever serves now before Pingora saw the request.
async fn was_answered_from_memory(edge: &Edge) {
    let records = edge.access_log();
    for (scheme, protocol) in [
        ("http", "HTTP/1.1"),
        ("https", "HTTP/1.1"),
        ("https", "HTTP/2"),
    ] {
        let hits = records.iter().filter(|record| {
            record["path"] == STORED
                && record["cache"] == "hit"
                && record["scheme"] == scheme
                && record["protocol"] == protocol
        });
        assert!(hits.count() > 0, "{scheme} {protocol}");
    }
    let hot = edge.metric("latencify_gateway_hot_answers_total").await;
    assert!(hot > 0.0, "{hot}");
}

/// As many clients of each kind as find every gap, and leave two cores some room.
fn clients(edge: &Edge, authority: &Authority) -> Clients {
    let mut clients = Clients::new(edge.http(), edge.https(), authority);
    clients.plain(12);
    clients.tls(4);
    clients.http2(2, 4);
    clients.downloads();
    clients
}
