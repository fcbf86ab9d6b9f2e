use super::{audit::Found, certificates::Invitation, sessions::Used, *};
use sea_orm::ConnectionTrait as _;

/// `max_page_count` is SQLite's own full disk: it ends the transaction by itself, and sqlx goes on counting it as open. Of
/// the two that wait for the connection meanwhile, the first gives its transaction up, and the second commits.
#[tokio::test]
async fn what_is_written_behind_a_failed_transaction_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let connection = store.writer().await.unwrap();
    connection
        .execute_unprepared("pragma max_page_count = 1")
        .await
        .unwrap();
    let found = Found {
        at_ms: 1,
        caller: "ada".to_owned(),
        action: "test".to_owned(),
        outcome: "done",
    };
    let invitation = Invitation {
        hash: "11".repeat(32),
        edge: "tokyo".to_owned(),
        by: "ada".to_owned(),
        expires_ms: i64::MAX,
        used_for: None,
    };
    // Each is polled in this order, so that they wait in this order.
    let (too_much, unknown, invited) = tokio::join!(
        store.add_audit(found, |_| "x".repeat(1 << 20)),
        store.use_refresh_token("of nobody", "next".to_owned(), 1),
        store.invite(invitation.clone(), 1),
    );
    assert!(too_much.is_err());
    assert!(matches!(unknown, Ok(Used::Unknown)));
    invited.unwrap();
    let kept = store.invitation(&invitation.hash).await.unwrap();
    assert_eq!(kept, Some(invitation), "it was answered, and is lost");
    store.shut().await;
}
