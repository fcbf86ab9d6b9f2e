//! Look-up, fill and validation through Pingora's traits.

use super::*;
use latencify_cache::Liveness;
use pingora::cache::storage::HandleMiss;

#[tokio::test]
async fn a_stored_meta_comes_back_as_it_was() {
    let storage = open();
    let mut stored = meta(
        *storage.begin_fetch(),
        header(&[("etag", "\"1\""), ("set-cookie", "a"), ("set-cookie", "b")]),
        &["t"],
    );
    let epoch = SystemTime::now() - Duration::from_secs(30);
    stored.set_epoch_override(epoch);
    stored.set_variance([3; 16]);
    put(storage, &key("/a"), &stored, "body").await;

    let (found, mut hit) = find(storage, &key("/a")).await.unwrap();
    assert_eq!(read(&mut hit).await.unwrap(), "body");
    assert_eq!(found.fresh_until(), stored.fresh_until());
    assert_eq!((found.epoch(), found.variance()), (epoch, Some([3; 16])));
    assert_eq!(
        (
            found.stale_while_revalidate_sec(),
            found.stale_if_error_sec()
        ),
        (5, 6)
    );
    assert_eq!(found.headers().get_all("set-cookie").iter().count(), 2);
    assert_eq!(
        found.headers()["content-length"],
        "4",
        "so that ranges can be served"
    );
    let object = super::hit(&found).unwrap();
    assert_eq!(
        (object.liveness(), object.is_filling()),
        (Liveness::Live, false)
    );
    assert_eq!(object.record().meta.lifetime(), Some(lifetime()));
    assert_eq!(&*object.identity().path, "/a");
}

#[tokio::test]
async fn a_chunked_answer_is_stored_with_a_length_and_without_its_transfer_encoding() {
    let storage = open();
    let stored = meta(
        *storage.begin_fetch(),
        header(&[("transfer-encoding", "chunked")]),
        &[],
    );
    put(storage, &key("/a"), &stored, "12345").await;
    let (found, _) = find(storage, &key("/a")).await.unwrap();
    assert_eq!(found.headers()["content-length"], "5");
    assert!(!found.headers().contains_key("transfer-encoding"));
}

#[tokio::test]
async fn ranges_are_read_by_seeking() {
    let storage = open();
    put(
        storage,
        &key("/a"),
        &meta(*storage.begin_fetch(), header(&[]), &[]),
        "0123456789",
    )
    .await;
    let (_, mut hit) = find(storage, &key("/a")).await.unwrap();
    assert!(hit.can_seek());
    for (start, end, expected) in [
        (2, Some(5), "234"),
        (7, None, "789"),
        (0, Some(99), "0123456789"),
        (10, None, ""),
    ] {
        hit.seek(start, end).unwrap();
        assert_eq!(read(&mut hit).await.unwrap(), expected);
    }
    assert!(hit.seek(11, None).is_err());
}

#[tokio::test]
async fn the_fetching_request_reads_its_own_fill_and_others_join_it() {
    let storage = open();
    let stored = meta(
        *storage.begin_fetch(),
        header(&[("content-length", "6")]),
        &[],
    );
    let mut miss = begin(storage, &key("/a"), &stored).await.unwrap();
    let tag = miss.streaming_write_tag().unwrap().to_vec();
    let span = Span::inactive().handle();
    let own = storage
        .lookup_streaming_write(&key("/a"), Some(&tag), &span)
        .await
        .unwrap();
    let (_, mut own) = own.expect("Pingora panics without it");
    let (joined_meta, mut joined) = find(storage, &key("/a")).await.unwrap();
    assert!(super::hit(&joined_meta).unwrap().is_filling());
    assert!(joined.can_seek(), "its length was announced");
    joined.seek(4, Some(6)).unwrap();
    let write = async {
        miss.write_body(Bytes::from("one"), false).await.unwrap();
        tokio::task::yield_now().await;
        miss.write_body(Bytes::from("two"), true).await.unwrap();
        miss.finish().await.unwrap();
    };
    let (own, joined, ()) = tokio::join!(read(&mut own), read(&mut joined), write);
    assert_eq!(
        (own.unwrap().as_str(), joined.unwrap().as_str()),
        ("onetwo", "wo")
    );
    assert!(
        storage
            .lookup_streaming_write(&key("/a"), Some(&tag), &span)
            .await
            .is_err(),
        "an error, not a panic"
    );
}

#[tokio::test]
async fn a_fill_that_breaks_off_is_an_error_to_those_who_joined() {
    let storage = open();
    let mut miss = begin(
        storage,
        &key("/a"),
        &meta(*storage.begin_fetch(), header(&[]), &[]),
    )
    .await
    .unwrap();
    miss.write_body(Bytes::from("half"), false).await.unwrap();
    let (_, mut joined) = find(storage, &key("/a")).await.unwrap();
    assert!(!joined.can_seek(), "no length was announced");
    drop(miss);
    assert!(read(&mut joined).await.is_err());
    assert!(find(storage, &key("/a")).await.is_none());
}

#[tokio::test]
async fn a_late_or_purged_or_short_fill_finishes_well_and_is_not_stored() {
    let storage = open();
    let length = |bytes: &str| header(&[("content-length", bytes)]);
    let purged = begin(
        storage,
        &key("/purged"),
        &meta(*storage.begin_fetch(), length("0"), &[]),
    )
    .await
    .unwrap();
    let short = begin(
        storage,
        &key("/short"),
        &meta(*storage.begin_fetch(), length("9"), &[]),
    )
    .await
    .unwrap();
    let late = begin(
        storage,
        &key("/late"),
        &meta(*storage.begin_fetch(), length("0"), &[]),
    )
    .await
    .unwrap();
    put(
        storage,
        &key("/late"),
        &meta(*storage.begin_fetch(), length("3"), &[]),
        "new",
    )
    .await;
    storage.marks().local_purge(&url("/purged"), Mode::Hard);
    for miss in [purged, short, late] {
        assert!(
            HandleMiss::finish(miss).await.is_ok(),
            "an error would break off the client"
        );
    }
    assert!(find(storage, &key("/purged")).await.is_none());
    assert!(find(storage, &key("/short")).await.is_none());
    let (_, mut hit) = find(storage, &key("/late")).await.unwrap();
    assert_eq!(read(&mut hit).await.unwrap(), "new");
    let refused = storage.count().refused;
    for name in ["purged", "wrong_length", "older"] {
        assert!(refused.contains(&(name, 1)), "{name} in {refused:?}");
    }
}

#[tokio::test]
async fn an_answer_too_large_or_without_a_stamp_is_refused_before_its_body() {
    let storage = open();
    let large = meta(
        *storage.begin_fetch(),
        header(&[("content-length", "1048577")]),
        &[],
    );
    assert!(begin(storage, &key("/large"), &large).await.is_err());
    assert!(
        storage.is_uncacheable(&key("/large")),
        "its requests do not queue"
    );
    let now = SystemTime::now();
    let unstamped = CacheMeta::new(now, now, 0, 0, header(&[]));
    assert!(begin(storage, &key("/a"), &unstamped).await.is_err());
    let unnamed = CacheKey::new("/a", "");
    assert!(
        begin(
            storage,
            &unnamed,
            &meta(*storage.begin_fetch(), header(&[]), &[])
        )
        .await
        .is_err()
    );
}

/// What Pingora hands to `update_meta`: the new meta with the old one's extensions under its own.
fn validated(old: &CacheMeta, fetch: Fetch, header: ResponseHeader) -> CacheMeta {
    let mut new = meta(fetch, header, &[]);
    let mut extensions = old.extensions().clone();
    extensions.extend(new.extensions().clone());
    *new.extensions_mut() = extensions;
    new
}

#[tokio::test]
async fn a_304_renews_the_head_keeps_tags_and_length_and_is_refused_when_late() {
    let (storage, span) = (open(), Span::inactive().handle());
    put(
        storage,
        &key("/a"),
        &meta(*storage.begin_fetch(), header(&[]), &["t"]),
        "body",
    )
    .await;
    let (old, _) = find(storage, &key("/a")).await.unwrap();
    let (early, later) = (storage.begin_fetch(), storage.begin_fetch());
    let renewed = header(&[("etag", "\"2\""), ("content-length", "0")]);
    assert!(
        storage
            .update_meta(&key("/a"), &validated(&old, *later, renewed), &span)
            .await
            .unwrap()
    );
    assert!(
        !storage
            .update_meta(&key("/a"), &validated(&old, *early, header(&[])), &span)
            .await
            .unwrap()
    );

    let (found, mut hit) = find(storage, &key("/a")).await.unwrap();
    assert_eq!(read(&mut hit).await.unwrap(), "body");
    assert_eq!(
        (&found.headers()["etag"], &found.headers()["content-length"]),
        (&"\"2\"".parse().unwrap(), &"4".parse().unwrap())
    );
    assert_eq!(super::hit(&found).unwrap().fetch(), *later);

    let under_way = storage.begin_fetch();
    storage.marks().local_purge(
        &Target::Tag {
            site: SITE,
            tag: "t".into(),
        },
        Mode::Hard,
    );
    assert!(
        storage.liveness(&found).is_dead(),
        "serving stale asks again"
    );
    assert!(
        !storage
            .update_meta(
                &key("/a"),
                &validated(&found, *under_way, header(&[])),
                &span
            )
            .await
            .unwrap()
    );
    assert!(
        find(storage, &key("/a")).await.is_none(),
        "the 304 took no tag away and brought nothing back"
    );
}

#[tokio::test]
async fn variants_and_the_primary_slot_do_not_meet() {
    let storage = open();
    let mut variant = key("/a");
    variant.set_variance_key([1; 16]);
    put(
        storage,
        &key("/a"),
        &meta(*storage.begin_fetch(), header(&[]), &[]),
        "primary",
    )
    .await;
    assert!(find(storage, &variant).await.is_none());
    put(
        storage,
        &variant,
        &meta(*storage.begin_fetch(), header(&[]), &[]),
        "variant",
    )
    .await;
    for (key, expected) in [(key("/a"), "primary"), (variant.clone(), "variant")] {
        let (_, mut hit) = find(storage, &key).await.unwrap();
        assert_eq!(read(&mut hit).await.unwrap(), expected);
    }
    storage.marks().local_purge(&url("/a"), Mode::Hard);
    assert!(find(storage, &key("/a")).await.is_none() && find(storage, &variant).await.is_none());
}
