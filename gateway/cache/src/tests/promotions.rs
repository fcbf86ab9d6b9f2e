//! What another tier had comes back into memory, and never over something newer.

use super::*;
use bytes::Bytes;

fn record(name: &str, fetch: Fetch) -> Record<()> {
    Record::of_fetch(identity(name, &[]), fetch, ())
}

/// Fetched by an earlier run.
fn earlier() -> Fetch {
    Fetch {
        stamp: Stamp::default(),
        generation: 0,
    }
}

fn promote(
    cache: &Cache<()>,
    promotion: Promotion,
    name: &str,
    fetch: Fetch,
) -> Result<(), Refusal> {
    let body = Bytes::from_static(b"promoted");
    cache.promote(promotion, key(name), record(name, fetch), &body)
}

#[test]
fn what_is_promoted_is_found_with_its_stamp_and_generation() {
    let cache = cache(PLENTY);
    for name in ["/a", "/b"] {
        let promotion = cache.begin_promotion(key(name));
        assert_eq!(promote(&cache, promotion, name, earlier()), Ok(()));
        assert_eq!(body(&cache, name).unwrap(), b"promoted");
        assert_eq!(cache.find(key(name)).unwrap().record.fetch, earlier());
    }
    assert_eq!((cache.count().promoted, cache.count().objects), (2, 2));
    put(&cache, "/a", "newer").unwrap();
    assert_eq!(body(&cache, "/a").unwrap(), b"newer");
    let huge = Bytes::from(vec![0; 300]);
    let small = super::cache(1_000);
    let promotion = small.begin_promotion(key("/a"));
    let refused = small.promote(promotion, key("/a"), record("/a", earlier()), &huge);
    assert_eq!(refused, Err(Refusal::TooLarge));
}

#[test]
fn what_left_memory_may_come_back_again_and_again() {
    let cache = cache(PLENTY);
    put(&cache, "/a", "stored").unwrap();
    let fetch = cache.find(key("/a")).unwrap().record.fetch;
    for _ in 0..3 {
        assert!(cache.index.evict());
        let promotion = cache.begin_promotion(key("/a"));
        assert_eq!(promote(&cache, promotion, "/a", fetch), Ok(()));
    }
}

#[test]
fn nothing_newer_is_replaced_whether_it_is_there_or_has_left_meanwhile() {
    let cache = cache(PLENTY);
    let promotion = cache.begin_promotion(key("/a"));
    put(&cache, "/a", "newer").unwrap();
    assert_eq!(
        promote(&cache, promotion, "/a", earlier()),
        Err(Refusal::Older)
    );
    assert_eq!(body(&cache, "/a").unwrap(), b"newer");
    assert!(cache.index.evict());
    assert_eq!(
        promote(&cache, promotion, "/a", earlier()),
        Err(Refusal::Older)
    );
    assert!(cache.find(key("/a")).is_none());
}

#[test]
fn what_was_purged_is_not_promoted_nor_found_when_it_is_purged_afterwards() {
    let cache = cache(PLENTY);
    let fetch = *cache.begin_fetch();
    let promotion = cache.begin_promotion(key("/a"));
    cache.marks().local_purge(&url("/a"), Mode::Hard);
    assert_eq!(
        promote(&cache, promotion, "/a", fetch),
        Err(Refusal::Purged)
    );
    let fetch = *cache.begin_fetch();
    assert_eq!(promote(&cache, promotion, "/a", fetch), Ok(()));
    cache.marks().local_purge(&url("/a"), Mode::Hard);
    assert!(cache.find(key("/a")).is_none());
}
