//! Clients that ask without a pause while something happens to the fleet.

use latencify_tests::{Client, Edge, body};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// Hammers all edges, and checks for every answer that it is no older than the newest version whose purge had been
/// acknowledged when the request was sent.
pub struct Hammer {
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<u64>>,
}

impl Hammer {
    /// Two clients an edge; `acknowledged` is the newest version whose purge has its receipt.
    pub fn start(edges: &[Edge], path: &'static str, acknowledged: &Arc<AtomicU64>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = edges.iter().flat_map(|edge| [edge.http(); 2]).map(|http| {
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(acknowledged));
            tokio::spawn(async move {
                let mut sent = 0;
                let mut connection = Client::new().connect(http).await.unwrap();
                while !stop.load(Ordering::SeqCst) {
                    let promised = acknowledged.load(Ordering::SeqCst);
                    let request = Client::request("GET", "shop.example", path).body(body::empty());
                    let reply = connection.send(request.unwrap()).await.unwrap();
                    assert_eq!(reply.status, 200, "{reply:?}");
                    let got: u64 = reply.text().parse().unwrap();
                    assert!(
                        got >= promised,
                        "{got} after the receipt for {promised}: {reply:?}"
                    );
                    sent += 1;
                }
                sent
            })
        });
        let clients = clients.collect();
        Self { stop, clients }
    }

    /// Ends it; how many requests it sent.
    pub async fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        let mut sent = 0;
        for client in self.clients {
            sent += client.await.unwrap();
        }
        sent
    }
}
