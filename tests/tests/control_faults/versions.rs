//! What is stored shows its version, so that an older one is seen.

use crate::writers::SOON;
use latencify_tests::{Edge, Origin, reply, wait_until};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// An origin that says its version.
pub async fn versioned() -> (Origin, Arc<AtomicUsize>) {
    let version = Arc::new(AtomicUsize::new(1));
    let answered = Arc::clone(&version);
    let origin = Origin::serve(move |_| {
        let version = answered.load(Ordering::SeqCst);
        async move { reply::text(format!("v{version}")).max_age(3600).done() }
    })
    .await;
    (origin, version)
}

/// Waits until an edge answers from its store.
pub async fn uses_what_it_stores(edge: &Edge) {
    wait_until("the edge uses what it stores", SOON, async || {
        edge.get("shop.example", "/kept").await;
        let reply = edge.get("shop.example", "/kept").await;
        if reply.is_hit() {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;
}
