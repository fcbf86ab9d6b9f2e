//! The task that sweeps.

use super::{
    locks::{wait, write},
    *,
};
use pingora::cache::lock::{CacheKeyLock, LockStatus};

#[tokio::test(start_paused = true)]
async fn the_task_takes_out_what_is_dead_and_forgets_marks_without_a_look_up() {
    let storage = open();
    for path in ["/a", "/b"] {
        let meta = meta(*storage.begin_fetch(), header(&[]), &[]);
        put(storage, &key(path), &meta, "body").await;
    }
    storage.marks().local_purge(&url("/a"), Mode::Hard);
    let task = tokio::spawn(keep_swept(storage));
    tokio::time::sleep(Duration::from_secs(5)).await;
    task.abort();
    let (count, marks) = (storage.count(), storage.marks().count());
    assert_eq!((count.objects, count.swept), (1, 1), "{count:?}");
    assert_eq!((marks.marks, marks.under_way), (1, 0), "{marks:?}");
    assert_eq!(count.sweep_rounds, 1, "and then it rests");
    assert!(find(storage, &key("/b")).await.is_some());
}

#[tokio::test]
async fn marks_that_are_forgotten_keep_nobody_from_waiting_for_a_fetch_under_way() {
    let storage = open();
    storage.marks().local_purge(&url("/a"), Mode::Hard);
    let lock = storage.lock();
    let leads = write(lock.lock(&key("/a"), false));
    let fetching = storage.begin_fetch();
    let mut sweep = storage.sweep();
    while !sweep.step(1).is_end() {}
    assert_eq!(storage.marks().count().marks, 1, "forgotten");
    let joins = wait(lock.lock(&key("/a"), false));
    storage.marks().local_purge(&url("/b"), Mode::Hard);
    let too = wait(lock.lock(&key("/a"), false));
    storage.marks().local_purge(&url("/a"), Mode::Hard);
    let other = write(lock.lock(&key("/a"), false));
    lock.release(&key("/a"), leads, LockStatus::Done);
    assert!(!joins.locked() && !too.locked());
    lock.release(&key("/a"), other, LockStatus::Done);
    drop(fetching);
    assert_eq!(lock.held(), 0);
}
