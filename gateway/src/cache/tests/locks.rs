//! Who fetches and who waits.

use super::*;
use pingora::cache::lock::{CacheKeyLock, LockStatus, Locked, ReadLock, WritePermit};

pub(super) fn write(locked: Locked) -> WritePermit {
    match locked {
        Locked::Write(permit) => permit,
        Locked::Read(_) => panic!("waits instead of fetching"),
    }
}

pub(super) fn wait(locked: Locked) -> ReadLock {
    match locked {
        Locked::Read(lock) => lock,
        Locked::Write(mut permit) => {
            permit.unlock(LockStatus::Done);
            panic!("fetches instead of waiting")
        }
    }
}

#[tokio::test]
async fn one_fetches_and_the_others_wait_for_it() {
    let lock = open().lock();
    let permit = write(lock.lock(&key("/a"), false));
    let reader = wait(lock.lock(&key("/a"), false));
    let other = write(lock.lock(&key("/b"), false));
    assert!(reader.locked());
    lock.release(&key("/a"), permit, LockStatus::Done);
    reader.wait().await;
    assert_eq!(reader.lock_status(), LockStatus::Done);
    lock.release(&key("/b"), other, LockStatus::Done);
    assert_eq!(lock.held(), 0);
}

#[tokio::test]
async fn who_comes_after_a_purge_does_not_wait_for_a_fetch_of_before_it() {
    let targets = [
        url("/a"),
        Target::Prefix {
            site: SITE,
            path: "/".into(),
        },
        Target::Tag {
            site: SITE,
            tag: "unknown before the answer".into(),
        },
        Target::Site { site: SITE },
        Target::All,
    ];
    for (target, mode) in targets
        .iter()
        .flat_map(|target| [(target, Mode::Hard), (target, Mode::Soft)])
    {
        let storage = open();
        let lock = storage.lock();
        let before = write(lock.lock(&key("/a"), false));
        storage.marks().local_purge(target, mode);
        let after = write(lock.lock(&key("/a"), false));
        let joins = wait(lock.lock(&key("/a"), false));
        lock.release(&key("/a"), before, LockStatus::Done);
        assert!(joins.locked(), "the release of before finds its own slot");
        lock.release(&key("/a"), after, LockStatus::Done);
        assert!(!joins.locked());
        assert_eq!(lock.held(), 0);
    }
}

#[tokio::test]
async fn nobody_waits_for_an_answer_that_was_uncacheable() {
    let storage = open();
    let lock = storage.lock();
    storage.remember_uncacheable(&key("/a"), Duration::from_secs(10));
    let permits: Vec<_> = (0..200)
        .map(|_| write(lock.lock(&key("/a"), false)))
        .collect();
    for permit in permits {
        lock.release(&key("/a"), permit, LockStatus::GiveUp);
    }
    put(
        storage,
        &key("/a"),
        &meta(*storage.begin_fetch(), header(&[]), &[]),
        "cacheable after all",
    )
    .await;
    assert!(!storage.is_uncacheable(&key("/a")));
}

#[tokio::test]
async fn a_background_refresh_never_waits_for_its_parent() {
    let lock = open().lock();
    let parent = write(lock.lock(&key("/a"), true));
    let mut refresh = key("/a");
    mark_background(&mut refresh);
    // With the stale object there, Pingora swaps the parent's permit for this answer.
    drop(wait(lock.lock(&refresh, true)));
    // With the object purged meanwhile, it would wait for itself.
    let own = write(lock.lock(&refresh, false));
    lock.release(&refresh, own, LockStatus::Done);
    assert_eq!(lock.held(), 1, "the parent's slot is the parent's");
    lock.release(&key("/a"), parent, LockStatus::Done);
    assert_eq!(lock.held(), 0);
}

#[tokio::test]
async fn a_fetch_that_takes_too_long_is_no_longer_waited_for() {
    let options = Options {
        bytes_max: 1 << 20,
        eviction: Eviction::default(),
        fill_lock_age: Duration::ZERO,
    };
    let lock = MemoryStorage::open(options, Marks::new()).lock();
    let stuck = write(lock.lock(&key("/a"), false));
    let next = write(lock.lock(&key("/a"), false));
    lock.release(&key("/a"), stuck, LockStatus::Done);
    assert_eq!(lock.held(), 1, "the slot is the next one's");
    lock.release(&key("/a"), next, LockStatus::Done);
    assert_eq!(lock.held(), 0);
}
