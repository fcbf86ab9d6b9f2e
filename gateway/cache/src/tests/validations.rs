//! A 304 renews the body that it was about, and brings nothing back.

use super::*;

#[test]
fn a_validation_renews_the_body_that_it_was_about_and_no_other() {
    let cache = cache(PLENTY);
    put(&cache, "/a", "first").unwrap();
    let base = cache.find(key("/a")).unwrap().record;
    let validate = |fetch| {
        cache.revalidate(
            key("/a"),
            Record::of_validation(&base, identity("/a", &[]), fetch, ()),
        )
    };

    let (early, later) = (cache.begin_fetch(), cache.begin_fetch());
    validate(*later).unwrap();
    assert_eq!(
        cache.find(key("/a")).unwrap().record.fetch,
        *later,
        "the stamp is the validation's"
    );
    assert_eq!(validate(*early).unwrap_err(), Refusal::Older, "a late 304");
    assert_eq!(body(&cache, "/a").unwrap(), b"first");

    let before_purge = cache.begin_fetch();
    cache.marks().local_purge(&url("/a"), Mode::Hard);
    assert_eq!(validate(*before_purge).unwrap_err(), Refusal::Purged);
    assert!(
        cache.find(key("/a")).is_none(),
        "a validation under way does not bring it back"
    );

    put(&cache, "/a", "second").unwrap();
    assert_eq!(
        validate(*cache.begin_fetch()).unwrap_err(),
        Refusal::Gone,
        "it was about another body"
    );
    assert_eq!(body(&cache, "/a").unwrap(), b"second");
}

#[test]
fn a_validation_lifts_a_soft_purged_object_to_its_own_start() {
    let cache = cache(PLENTY);
    put(&cache, "/a", "body").unwrap();
    cache.marks().local_purge(&url("/a"), Mode::Soft);
    let stale = cache.find(key("/a")).expect("still served as stale");
    assert!(matches!(stale.liveness, Liveness::SoftPurged { .. }));
    let fetch = cache.begin_fetch();
    cache.marks().local_purge(&url("/a"), Mode::Soft);
    let renew = |fetch| {
        let record = Record::of_validation(&stale.record, identity("/a", &[]), fetch, ());
        cache.revalidate(key("/a"), record).unwrap();
        cache.find(key("/a")).unwrap().liveness
    };
    assert!(
        matches!(renew(*fetch), Liveness::SoftPurged { .. }),
        "purged again since it began"
    );
    assert_eq!(renew(*cache.begin_fetch()), Liveness::Live);
}

/// Between a look-up and the stamp of its validation a whole purge may pass, receipt included: connecting takes time,
/// and a second origin is tried.
#[test]
fn a_validation_that_begins_after_a_purge_does_not_bring_back_what_was_found_before_it() {
    type Change = fn(&Marks);
    let changes: [(&str, Change); 4] = [
        ("of this edge", |marks| {
            marks.local_purge(&url("/a"), Mode::Hard);
        }),
        ("of the log", |marks| {
            marks.apply(&tag("news"), Mode::Hard, Epoch(5));
            marks.obey(&position(log(1), 5));
        }),
        ("by a floor", |marks| {
            marks.raise_floor(&position(log(1), 5));
        }),
        ("by another log", |marks| {
            marks.obey(&position(log(2), 4));
        }),
    ];
    for (case, change) in changes {
        let cache = cache(PLENTY);
        cache.marks().obey(&position(log(1), 4));
        let record = Record::of_fetch(identity("/a", &["news"]), *cache.begin_fetch(), ());
        cache
            .fill(key("/a"), record, ANY_SIZE)
            .unwrap()
            .finish()
            .unwrap();
        let base = cache.find(key("/a")).unwrap().record;
        change(cache.marks());
        let record = Record::of_validation(&base, base.identity(), *cache.begin_fetch(), ());
        assert_eq!(
            cache.revalidate(key("/a"), record).unwrap_err(),
            Refusal::Purged,
            "purged {case}"
        );
        assert!(cache.find(key("/a")).is_none(), "purged {case}");
    }
}

#[test]
fn what_has_too_many_tags_is_not_stored_and_a_renewal_to_too_many_takes_it_out() {
    let names: Vec<String> = (0..=TAGS_MAX).map(|n| format!("t{n}")).collect();
    let tagged = |count| {
        let names: Vec<&str> = names.iter().map(String::as_str).take(count).collect();
        identity("/a", &names)
    };
    let cache = cache(PLENTY);
    let fill = |count| {
        let record = Record::of_fetch(tagged(count), *cache.begin_fetch(), ());
        cache.fill(key("/a"), record, ANY_SIZE)?.finish()
    };
    assert_eq!(fill(TAGS_MAX + 1), Err(Refusal::TooManyTags));
    fill(TAGS_MAX).unwrap();
    let base = cache.find(key("/a")).unwrap().record;
    let renew = |count| {
        let record = Record::of_validation(&base, tagged(count), *cache.begin_fetch(), ());
        cache.revalidate(key("/a"), record)
    };
    renew(TAGS_MAX).unwrap();
    assert_eq!(renew(TAGS_MAX + 1), Err(Refusal::TooManyTags));
    assert!(
        cache.find(key("/a")).is_none(),
        "a purge of the last tag would miss it"
    );
}
