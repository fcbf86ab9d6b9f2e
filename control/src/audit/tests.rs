use super::*;
use sea_orm::{ConnectionTrait as _, Database};

fn event(by: &str, action: &'static str, outcome: AuditOutcome) -> Event {
    Event {
        by: by.to_owned(),
        from: Some(IpAddr::from([192, 0, 2, 1])),
        action,
        target: "POST /v1/x".to_owned(),
        outcome,
        why: None,
        request_id: None,
        note: Note::default(),
    }
}

/// What somebody with the file does to it, and where that is found.
#[tokio::test]
async fn whatever_is_altered_added_or_taken_away_is_found() {
    let cases = [
        (
            "update audit set record = replace(record, 'user:b', 'user:x') where seq = 2",
            Some(2),
        ),
        ("update audit set outcome = 'done' where seq = 3", Some(3)),
        ("update audit set caller = 'user:x' where seq = 1", Some(1)),
        ("update audit set at_ms = at_ms + 1 where seq = 1", Some(1)),
        ("delete from audit where seq = 2", Some(2)),
        ("delete from audit where seq = 1", Some(1)),
        ("update audit set hash = x'00' where seq = 2", Some(2)),
        ("update audit set seq = 9 where seq = 3", Some(3)),
        ("update audit set seq = seq", None),
    ];
    for (done, broken_at) in cases {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let audit = Audit::new(store.clone());
        for (by, outcome) in [
            ("user:a", AuditOutcome::Done),
            ("user:b", AuditOutcome::Failed),
            ("user:c", AuditOutcome::Refused),
        ] {
            audit.record(event(by, "users.write", outcome)).await;
        }
        let whole = audit.verify(Some(2)).await.unwrap();
        assert_eq!((whole.records, whole.broken_at), (3, None));
        assert!(whole.at.is_some_and(|at| at != whole.head));
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let other = Database::connect(url).await.unwrap();
        other.execute_unprepared(done).await.unwrap();
        other.close().await.unwrap();
        let found = audit.verify(None).await.unwrap();
        assert_eq!(found.broken_at, broken_at, "{done}");
        store.shut().await;
    }
}

#[tokio::test]
async fn records_are_found_by_who_what_how_and_when() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::new(Store::open(folder.path()).await.unwrap());
    let many = event("user:a", "users.write", AuditOutcome::Done);
    many.note.before(&json!({"x": 1}));
    many.note.after(&"y".repeat(SIDE_BYTES_MAX));
    audit.record(many).await;
    audit
        .record(event("user:b", "purges.write", AuditOutcome::Refused))
        .await;
    let all = Filter {
        limit: 10,
        ..Filter::default()
    };
    let records = audit.list(all.clone()).await.unwrap().records;
    assert_eq!(
        records.iter().map(|record| record.seq).collect::<Vec<_>>(),
        [2, 1]
    );
    assert_eq!(records[1].before, Some(json!({"x": 1})));
    assert!(
        records[1].after.as_ref().unwrap()["digest"].is_string(),
        "too large is a digest"
    );
    let cases = [
        (
            Filter {
                caller: Some("user:b".into()),
                ..all.clone()
            },
            vec![2],
        ),
        (
            Filter {
                action: Some("users.write".into()),
                ..all.clone()
            },
            vec![1],
        ),
        (
            Filter {
                outcome: Some("refused".into()),
                ..all.clone()
            },
            vec![2],
        ),
        (
            Filter {
                before: Some(2),
                ..all.clone()
            },
            vec![1],
        ),
        (
            Filter {
                since_ms: Some(i64::MAX),
                ..all.clone()
            },
            vec![],
        ),
        (
            Filter {
                limit: 1,
                ..all.clone()
            },
            vec![2],
        ),
    ];
    for (filter, expected) in cases {
        let found = audit.list(filter.clone()).await.unwrap().records;
        let found: Vec<_> = found.iter().map(|record| record.seq).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn strangers_do_not_fill_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::new(Store::open(folder.path()).await.unwrap());
    for _ in 0..50 {
        audit
            .record(event(STRANGER, "authenticate", AuditOutcome::Refused))
            .await;
    }
    let records = audit.verify(None).await.unwrap().records;
    assert_eq!(records, u64::from(quiet::RECORDED_PER_ADDRESS));
}
