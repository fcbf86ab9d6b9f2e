//! Origins from policy to policy, and what requests do to them.

use super::*;
use std::fs;

#[test]
fn what_did_not_change_is_the_same_object_and_the_rest_keeps_what_still_holds() {
    let old = build(
        [
            origin("a", "http://127.0.0.1:1"),
            origin("b", "http://127.0.0.1:2"),
        ],
        None,
    );
    for _ in 0..EJECT_AFTER_FAILURES {
        old.report(FIRST, Outcome::NoResponse);
        old.report(OriginId(1), Outcome::NoResponse);
    }
    let heavier = Origin {
        weight: 7,
        ..origin("a", "http://127.0.0.1:1")
    };
    let moved = origin("b", "http://127.0.0.1:3");
    let new = build(
        [moved, heavier, origin("c", "http://127.0.0.1:1")],
        Some(&old),
    );
    let seen: Vec<_> = new
        .snapshot()
        .into_iter()
        .map(|state| (state.health, state.ejections))
        .collect();
    assert_eq!(
        seen,
        [
            (Health::Healthy, 1),
            (Health::Ejected, 1),
            (Health::Healthy, 0)
        ]
    );
    let newer = build([origin("c", "http://127.0.0.1:1")], Some(&new));
    assert!(Arc::ptr_eq(&newer.upstreams[0], &new.upstreams[2]));
}

#[test]
fn what_can_not_be_built_is_refused_with_all_reasons() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text.pem"), "no certificate").unwrap();
    let with_ca = |name, ca: &str| {
        let mut origin = origin(name, "https://a.example:443");
        origin.tls.ca = Some(ca.into());
        origin
    };
    let policy = policy([
        with_ca("missing", "missing.pem"),
        origin("good", "https://a.example:443"),
        with_ca("text", "text.pem"),
        origin("unnamed", "https://127.0.0.1:443"),
    ]);
    let errors = Origins::build(&policy, folder.path(), &Secrets::default(), None)
        .err()
        .unwrap();
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let expected = [
        ("origin missing:", "missing.pem"),
        ("origin text:", "no certificate"),
        ("origin unnamed:", "tls.sni"),
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:?}");
    for (error, (name, reason)) in errors.iter().zip(expected) {
        assert!(error.contains(name) && error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn failed_requests_eject_an_origin_and_failed_addresses_rest() {
    let origins = build([origin("a", "http://127.0.0.1:1")], None);
    let peer = origins.peer(FIRST, &Timeouts::default()).await.unwrap();
    let address = address_of(&peer);
    assert_eq!(address, Some("127.0.0.1:1".parse().unwrap()));
    for failures in 1..=EJECT_AFTER_FAILURES {
        assert_eq!(origins.health(FIRST), Health::Healthy);
        origins.report(
            FIRST,
            if failures % 2 == 0 {
                Outcome::Responded(503)
            } else {
                Outcome::ConnectFailed(address)
            },
        );
    }
    assert_eq!(origins.health(FIRST), Health::Ejected);
    assert_eq!(origins.usable_addresses(FIRST), 0);
    assert!(
        origins.peer(FIRST, &Timeouts::default()).await.is_ok(),
        "what is ejected can still be asked"
    );
    origins.report(FIRST, Outcome::Connected(address.unwrap()));
    assert_eq!(origins.usable_addresses(FIRST), 1);

    let unknown = origins.peer(OriginId(9), &Timeouts::default()).await;
    assert!(matches!(unknown, Err(OriginError::Unknown(OriginId(9)))));
}

#[test]
fn statuses_that_are_the_origins_own_do_not_eject() {
    let origins = build([origin("a", "http://127.0.0.1:1")], None);
    for (status, ejected) in [
        (200, false),
        (404, false),
        (500, false),
        (501, false),
        (502, true),
    ] {
        for _ in 0..EJECT_AFTER_FAILURES {
            origins.report(FIRST, Outcome::Responded(status));
        }
        assert_eq!(
            origins.health(FIRST) == Health::Ejected,
            ejected,
            "{status}"
        );
    }
}
