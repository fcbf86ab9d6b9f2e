//! Access records lie in files and stores that outlive the version that wrote them: these lines are read for ever.

use super::*;
use serde_json::Value;

/// One record with every field, one with none that may be left out. Lines are only ever added.
const WRITTEN: &str = include_str!("v1.jsonl");

fn meant() -> [AccessRecord<'static>; 2] {
    let some = |text: &'static str| Some(Cow::Borrowed(text));
    let time =
        |text| OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap();
    let bare = AccessRecord {
        time: time("2026-11-23T01:02:04Z"),
        request_id: "018f0000000070008000000000000002".into(),
        client: "192.0.2.1".parse().unwrap(),
        country: None,
        site: None,
        route: None,
        method: "BREW".into(),
        scheme: "http".into(),
        host: "".into(),
        path: "/".into(),
        query: None,
        protocol: "HTTP/1.1".into(),
        status: 0,
        bytes_in: 0,
        bytes_out: 0,
        duration_us: 0,
        ttfb_us: None,
        cache: CacheOutcome::None,
        cache_reason: None,
        age: None,
        origin: None,
        origin_status: None,
        attempts: 0,
        revision: None,
        policy: None,
        epoch: None,
        mark_epoch: None,
        decisions: Vec::new(),
        error: None,
        error_detail: None,
        user_agent: None,
        referer: None,
    };
    let full = AccessRecord {
        time: time("2026-11-23T01:02:03.000004Z"),
        request_id: "018f0000000070008000000000000001".into(),
        client: "2001:db8::1".parse().unwrap(),
        country: some("FR"),
        site: some("shop"),
        route: some("static"),
        method: "GET".into(),
        scheme: "https".into(),
        host: "shop.example".into(),
        path: "/a%20b".into(),
        query: some("q=1"),
        protocol: "HTTP/2".into(),
        status: 200,
        bytes_in: 1,
        bytes_out: 2,
        duration_us: 3,
        ttfb_us: Some(4),
        cache: CacheOutcome::Stale,
        cache_reason: Some("origin_failed".into()),
        age: Some(5),
        origin: some("paris"),
        origin_status: Some(503),
        attempts: 2,
        revision: Some(Revision(6)),
        policy: Some(
            "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
                .parse()
                .unwrap(),
        ),
        epoch: Some(Epoch(7)),
        mark_epoch: Some(Epoch(8)),
        decisions: vec!["site:shop".into(), "cache:stale".into()],
        error: Some("origin_status".into()),
        error_detail: some("it answered 503"),
        user_agent: some("curl"),
        referer: some("https://other.example/"),
    };
    [full, bare]
}

#[test]
fn records_of_version_1_are_read_and_still_written_so() {
    assert_eq!(WRITTEN.lines().count(), meant().len());
    for (line, meant) in WRITTEN.lines().zip(meant()) {
        let read: AccessRecord<'_> =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(read, meant);
        // Names and values, not their order: fields may be added anywhere.
        let again: Value = serde_json::to_value(&meant).unwrap();
        assert_eq!(again, serde_json::from_str::<Value>(line).unwrap());
    }
}

#[test]
fn a_field_that_is_not_known_yet_is_passed_over() {
    let line = WRITTEN.lines().last().unwrap();
    let newer = line.replacen('{', r#"{"added_later":{"x":1},"#, 1);
    assert!(serde_json::from_str::<AccessRecord<'_>>(&newer).is_ok());
}

#[test]
fn outcomes_keep_their_names() {
    let names = [
        (CacheOutcome::None, "none"),
        (CacheOutcome::Hit, "hit"),
        (CacheOutcome::Stale, "stale"),
        (CacheOutcome::Revalidated, "revalidated"),
        (CacheOutcome::Miss, "miss"),
        (CacheOutcome::Expired, "expired"),
        (CacheOutcome::Uncacheable, "uncacheable"),
        (CacheOutcome::Absent, "absent"),
    ];
    for (outcome, name) in names {
        assert_eq!(outcome.as_str(), name);
        assert_eq!(serde_json::to_value(outcome).unwrap(), Value::from(name));
        assert_eq!(
            serde_json::from_value::<CacheOutcome>(name.into()).unwrap(),
            outcome
        );
    }
}
