//! Bodies under way: who may follow them, what followers get, and what is stored in the end.

use super::*;
use crate::stream::{Broken, CHUNK_BYTES_MAX, WINDOW_BYTES_MAX};
use bytes::Bytes;
use proptest::prelude::*;
use std::time::Duration;

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(5), future)
            .await
            .expect("hangs")
    })
}

fn known(bytes: u64) -> Expectation {
    Expectation {
        bytes: Some(bytes),
        bytes_max: u64::MAX,
    }
}

#[test]
fn what_is_stored_is_found_with_all_of_its_bytes() {
    let cache = cache(PLENTY);
    assert!(cache.find(key("/a")).is_none());
    put(&cache, "/a", "hello").unwrap();
    assert_eq!(body(&cache, "/a").unwrap(), b"hello");
    assert!(body(&cache, "/b").is_none());
    put(&cache, "/empty", "").unwrap();
    assert_eq!(body(&cache, "/empty").unwrap(), b"");
    put(&cache, "/a", "again").unwrap();
    assert_eq!(body(&cache, "/a").unwrap(), b"again");
    assert_eq!(cache.count().objects, 2);
}

#[test]
fn keys_are_told_apart_by_all_of_their_bytes_and_their_variance() {
    let cache = cache(PLENTY);
    let keys = [
        KeyRef {
            primary: b"a",
            variance: None,
        },
        KeyRef {
            primary: b"a",
            variance: Some([0; 16]),
        },
        KeyRef {
            primary: b"a",
            variance: Some([1; 16]),
        },
        KeyRef {
            primary: b"a\0",
            variance: None,
        },
    ];
    for (number, key) in keys.into_iter().enumerate() {
        assert!(cache.find(key).is_none(), "{key:?}");
        let record = Record::of_fetch(identity("/a", &[]), *cache.begin_fetch(), ());
        let mut writer = cache.fill(key, record, ANY_SIZE).unwrap();
        writer.write(&Bytes::from(vec![number as u8])).unwrap();
        writer.finish().unwrap();
    }
    for (number, key) in keys.into_iter().enumerate() {
        assert_eq!(
            run(cache.find(key).unwrap().read_all()).unwrap(),
            [number as u8]
        );
    }
}

#[test]
fn a_follower_waits_for_what_is_to_come_and_ends_with_the_body() {
    let cache = cache(PLENTY);
    let mut writer = begin(&cache, "/a", ANY_SIZE).unwrap();
    let mut found = cache.find(key("/a")).expect("an open fill is found");
    assert!(found.is_filling());
    run(async {
        let write = async {
            for piece in ["one ", "two ", "three"] {
                tokio::task::yield_now().await;
                writer.write(&piece.into()).unwrap();
            }
            tokio::task::yield_now().await;
            writer.finish().unwrap();
        };
        let (read, ()) = tokio::join!(found.read_all(), write);
        assert_eq!(read.unwrap(), b"one two three");
    });
    assert_eq!(body(&cache, "/a").unwrap(), b"one two three");
}

#[test]
fn a_dropped_fill_wakes_its_followers_with_an_error() {
    let cache = cache(PLENTY);
    let mut writer = begin(&cache, "/a", ANY_SIZE).unwrap();
    writer.write(&"half".into()).unwrap();
    let mut found = cache.find(key("/a")).unwrap();
    run(async {
        assert_eq!(found.reader.read().await.unwrap().unwrap(), "half");
        let drop_later = async {
            tokio::task::yield_now().await;
            drop(writer);
        };
        let (read, ()) = tokio::join!(found.reader.read(), drop_later);
        assert_eq!(read.unwrap_err(), Broken::Aborted);
    });
    assert!(cache.find(key("/a")).is_none());
    drop(found);
    assert_eq!((cache.count().fills, cache.count().bytes), (0, 0));
}

#[test]
fn a_body_of_another_length_than_announced_is_not_stored_and_never_ends_well() {
    for (announced, sent) in [(10, 5), (5, 10), (1, 0)] {
        let cache = cache(PLENTY);
        let mut writer = begin(&cache, "/a", known(announced)).unwrap();
        let mut found = cache.find(key("/a")).unwrap();
        writer.write(&Bytes::from(vec![0; sent])).unwrap();
        assert_eq!(
            writer.finish().unwrap_err(),
            Refusal::WrongLength,
            "{sent} of {announced}"
        );
        assert_eq!(run(found.read_all()).unwrap_err(), Broken::WrongLength);
        assert!(cache.find(key("/a")).is_none());
    }
}

#[test]
fn a_purge_during_a_fill_keeps_it_from_new_readers_and_from_being_stored() {
    for target in [
        url("/a"),
        prefix("/"),
        Target::Site { site: SITE },
        Target::All,
    ] {
        let cache = cache(PLENTY);
        let mut writer = begin(&cache, "/a", ANY_SIZE).unwrap();
        writer.write(&"old".into()).unwrap();
        let mut before = cache.find(key("/a")).expect("sent before the purge");
        cache.marks().local_purge(&target, Mode::Hard);
        assert!(
            cache.find(key("/a")).is_none(),
            "sent after the purge of {target:?}"
        );
        assert_eq!(writer.finish().unwrap_err(), Refusal::Purged);
        assert_eq!(
            run(before.read_all()).unwrap(),
            b"old",
            "who read already is not broken off"
        );
        assert!(cache.find(key("/a")).is_none());
    }
}

#[test]
fn the_fetch_that_brings_a_body_follows_it_even_when_purged() {
    let cache = cache(PLENTY);
    let mut writer = begin(&cache, "/a", ANY_SIZE).unwrap();
    cache.marks().local_purge(&Target::All, Mode::Hard);
    let mut own = cache.follow(key("/a"), writer.id()).expect("its own fill");
    writer.write(&"body".into()).unwrap();
    writer.finish().unwrap_err();
    assert_eq!(run(own.read_all()).unwrap(), b"body");
}

#[test]
fn a_dead_fill_does_not_hide_a_live_object() {
    let cache = cache(PLENTY);
    put(&cache, "/a", "untagged").unwrap();
    let record = Record::of_fetch(identity("/a", &["t"]), *cache.begin_fetch(), ());
    let _fill = cache.fill(key("/a"), record, ANY_SIZE).unwrap();
    assert!(cache.find(key("/a")).unwrap().is_filling());
    cache.marks().local_purge(&tag("t"), Mode::Hard);
    assert_eq!(body(&cache, "/a").unwrap(), b"untagged");
}

#[test]
fn a_late_commit_never_replaces_a_newer_one_even_if_that_one_has_left() {
    for leaves in [false, true] {
        let cache = cache(PLENTY);
        let mut late = begin(&cache, "/a", ANY_SIZE).unwrap();
        late.write(&"old".into()).unwrap();
        put(&cache, "/a", "new").unwrap();
        assert_eq!(
            body(&cache, "/a").unwrap(),
            b"new",
            "a newer object is found before an older fill"
        );
        if leaves {
            assert!(cache.index.evict());
            assert!(
                cache.find(key("/a")).is_none(),
                "an older fill is not joined either"
            );
        }
        assert_eq!(late.finish().unwrap_err(), Refusal::Older);
        assert_eq!(body(&cache, "/a"), (!leaves).then(|| b"new".to_vec()));
    }
}

#[test]
fn too_large_a_body_passes_through_to_all_who_follow_it() {
    let cache = cache(PLENTY);
    let limit = Expectation {
        bytes: None,
        bytes_max: 100_000,
    };
    let mut writer = begin(&cache, "/a", limit).unwrap();
    let mut own = cache.follow(key("/a"), writer.id()).unwrap();
    let mut joined = cache.find(key("/a")).unwrap();
    let piece = Bytes::from((0..=255).cycle().take(30_000).collect::<Vec<u8>>());
    run(async {
        let mut read = Vec::new();
        for _ in 0..20 {
            writer.write(&piece).unwrap();
            read.extend_from_slice(&own.reader.read().await.unwrap().unwrap());
        }
        assert_eq!(writer.finish().unwrap_err(), Refusal::TooLarge);
        read.extend(own.read_all().await.unwrap());
        assert_eq!(read, piece.repeat(20));
        assert_eq!(joined.read_all().await.unwrap(), piece.repeat(20));
    });
    assert!(cache.find(key("/a")).is_none() && cache.is_uncacheable(key("/a")));
    assert_eq!(
        begin(
            &cache,
            "/b",
            Expectation {
                bytes: Some(100_001),
                ..limit
            }
        )
        .unwrap_err(),
        Refusal::TooLarge
    );
    drop((own, joined));
    assert_eq!((cache.count().bytes, cache.count().passing_bytes), (0, 0));
}

#[test]
fn a_passing_body_holds_a_bounded_window_and_ends_when_nobody_reads() {
    let cache = cache(1 << 20);
    let mut writer = begin(&cache, "/a", ANY_SIZE).unwrap();
    let mut own = cache.follow(key("/a"), writer.id()).unwrap();
    let mut asleep = cache.find(key("/a")).unwrap();
    let piece = Bytes::from(vec![5; CHUNK_BYTES_MAX]);
    run(async {
        for _ in 0..2 * WINDOW_BYTES_MAX / CHUNK_BYTES_MAX as u64 {
            writer.write(&piece).unwrap();
            own.reader.read().await.unwrap().unwrap();
            assert!(cache.count().passing_bytes <= WINDOW_BYTES_MAX);
        }
        assert_eq!(asleep.reader.read().await.unwrap_err(), Broken::TooSlow);
        assert!(
            cache.count().passing_bytes < 1 << 20,
            "what all have read is let go"
        );
    });
    drop(own);
    assert_eq!(
        writer.write(&piece).unwrap_err(),
        Abandoned(Refusal::TooLarge)
    );
}

#[test]
fn few_fills_of_one_key_are_kept_at_once() {
    let cache = cache(PLENTY);
    let fills: Vec<_> = (0..index::FILLS_PER_KEY_MAX)
        .map(|_| begin(&cache, "/a", ANY_SIZE).unwrap())
        .collect();
    assert_eq!(
        begin(&cache, "/a", ANY_SIZE).unwrap_err(),
        Refusal::TooManyFills
    );
    drop(fills);
    assert!(begin(&cache, "/a", ANY_SIZE).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a body arrives and is read, each follower gets exactly its bytes, or an error if it broke off.
    #[test]
    fn followers_get_exactly_the_bytes_or_an_error(
        pieces in prop::collection::vec(0_usize..90_000, 0..8),
        range in (0_u64..200_000, 0_u64..200_000),
        announced in any::<bool>(),
        ends in prop_oneof![4 => Just(true), 1 => Just(false)],
        bytes_max in prop_oneof![3 => Just(u64::MAX), 1 => 1_u64..200_000],
        joins_after in 0_usize..8,
    ) {
        let cache = cache(PLENTY);
        let whole: Vec<u8> = (0..pieces.iter().sum::<usize>()).map(|at| (at % 251) as u8).collect();
        let length = whole.len() as u64;
        let expectation = Expectation { bytes: announced.then_some(length), bytes_max };
        let begun = begin(&cache, "/a", expectation);
        prop_assume!(begun.is_ok());
        let mut writer = begun.unwrap();
        let mut own = cache.follow(key("/a"), writer.id()).unwrap();
        let mut late = None;
        let (own_read, late_read) = run(async {
            let write = async {
                let mut rest = Bytes::from(whole.clone());
                for (number, piece) in pieces.iter().enumerate() {
                    if number == joins_after {
                        late = cache.find(key("/a"));
                    }
                    // Nobody reading is no error while the own follower lives.
                    writer.write(&rest.split_to(*piece)).unwrap();
                    tokio::task::yield_now().await;
                }
                if ends { let _ = writer.finish(); } else { drop(writer) }
            };
            let (own_read, ()) = tokio::join!(own.read_all(), write);
            let (start, end) = (range.0.min(range.1), range.0.max(range.1));
            let mut late_read = None;
            if let Some(found) = &mut late {
                if found.reader.seek(start, Some(end)).is_ok() {
                    late_read = Some((start, end, found.read_all().await));
                } else {
                    assert!(start > length);
                }
            }
            (own_read, late_read)
        });
        prop_assert_eq!(own_read.is_ok(), ends);
        if let Ok(read) = own_read {
            prop_assert!(read == whole);
        }
        if let Some((start, end, Ok(read))) = late_read {
            let cut = |at: u64| at.min(length) as usize;
            prop_assert!(read == whole[cut(start)..cut(end)]);
        }
        let fits = length <= bytes_max;
        prop_assert_eq!(cache.find(key("/a")).is_some(), ends && fits);
    }
}
