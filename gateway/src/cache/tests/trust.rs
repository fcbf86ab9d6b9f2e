//! An isolated edge: what a request may use, and who waits for whom.

use super::{
    locks::{wait, write},
    *,
};
use latencify_cache::{Judged, Liveness, StaleRefusal, Trust};
use pingora::cache::{
    CacheMeta,
    lock::{CacheKeyLock, LockStatus},
};

fn is_usable(storage: &MemoryStorage, found: &CacheMeta, trust: Trust) -> bool {
    let hit = hit(found).expect("it is of a look-up");
    let judged = storage.engine().judge(hit.record(), || trust);
    matches!(judged, Judged::Usable(_))
}

async fn store(storage: &'static MemoryStorage, fetch: Fetch) {
    let meta = meta(fetch, header(&[]), &[]);
    put(storage, &key("/a"), &meta, "body").await;
}

#[tokio::test]
async fn what_was_there_before_the_request_came_is_validated_and_not_served_stale() {
    let storage = open();
    store(storage, *storage.begin_fetch()).await;
    let arrival = storage.arrive();
    let (found, _) = find(storage, &key("/a")).await.unwrap();
    let isolated = Trust::Isolated(arrival);
    assert!(!is_usable(storage, &found, isolated));
    assert!(is_usable(storage, &found, Trust::Marks));
    let stored = hit(&found).expect("it is of a look-up");
    let ask = |trust| {
        storage
            .engine()
            .ask_before_stale(stored.record(), stored.liveness(), trust)
    };
    assert_eq!(ask(isolated), Err(StaleRefusal::Isolated));
    assert_eq!(ask(Trust::Marks), Ok(Liveness::Live));

    store(storage, *storage.begin_fetch()).await;
    let (found, _) = find(storage, &key("/a")).await.unwrap();
    assert!(is_usable(storage, &found, isolated));
    assert!(!is_usable(
        storage,
        &found,
        Trust::Isolated(storage.arrive())
    ));
}

/// A waiting request looks again by the same rule: it may find that the fetch that it waited for began before it came, and
/// then waits for, or makes, the one after that. Nobody waits a third time.
#[tokio::test]
async fn those_who_come_during_a_fetch_elect_one_of_them_for_the_next() {
    let storage = open();
    let lock = storage.lock();
    let first = write(lock.lock(&key("/a"), false));
    let fetching = storage.begin_fetch();
    let crowd: Vec<_> = (0..8)
        .map(|_| (storage.arrive(), wait(lock.lock(&key("/a"), false))))
        .collect();
    store(storage, *fetching).await;
    lock.release(&key("/a"), first, LockStatus::Done);

    let (found, _) = find(storage, &key("/a")).await.unwrap();
    let mut waiting = Vec::new();
    let mut second = None;
    for (arrival, waited) in crowd {
        waited.wait().await;
        assert!(!is_usable(storage, &found, Trust::Isolated(arrival)));
        match &second {
            None => second = Some(write(lock.lock(&key("/a"), false))),
            Some(_) => waiting.push((arrival, wait(lock.lock(&key("/a"), false)))),
        }
    }
    assert_eq!((lock.held(), waiting.len()), (1, 7));
    store(storage, *storage.begin_fetch()).await;
    lock.release(&key("/a"), second.unwrap(), LockStatus::Done);
    for (arrival, waited) in waiting {
        waited.wait().await;
        let (found, _) = find(storage, &key("/a")).await.unwrap();
        assert!(is_usable(storage, &found, Trust::Isolated(arrival)));
    }
}
