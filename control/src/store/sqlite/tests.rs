use super::*;
use sea_orm::TransactionTrait as _;

async fn count(writable: &Writable) -> usize {
    let rows = writable.connection().await.unwrap();
    rows.query_all_raw(sea_orm::Statement::from_string(
        sea_orm::DbBackend::Sqlite,
        "select x from t",
    ))
    .await
    .unwrap()
    .len()
}

/// `max_page_count` is SQLite's own full disk.
#[tokio::test]
async fn after_a_full_disk_another_connection_commits_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let writable = Writable::open(&folder.path().join("a.db"), "test")
        .await
        .unwrap();
    let first = writable.connection().await.unwrap();
    first
        .execute_unprepared("create table t (x blob)")
        .await
        .unwrap();
    first
        .execute_unprepared("pragma max_page_count = 4")
        .await
        .unwrap();
    let transaction = first.begin().await.unwrap();
    let error = transaction
        .execute_unprepared("insert into t values (zeroblob(100000))")
        .await
        .unwrap_err();
    drop(transaction);
    writable.failed(&error).await;
    let fault = writable.condition().fault().unwrap();
    assert_eq!(fault.kind, Kind::DiskFull, "{fault}");
    assert!(
        fault.detail.contains("a.db") && fault.detail.contains("make room"),
        "{fault}"
    );

    // On the same connection, this rollback would leave a savepoint open, and what is committed then would be lost.
    let given_up = writable.connection().await.unwrap().begin().await.unwrap();
    given_up
        .execute_unprepared("insert into t values (0)")
        .await
        .unwrap();
    given_up.rollback().await.unwrap();
    let transaction = writable.connection().await.unwrap().begin().await.unwrap();
    transaction
        .execute_unprepared("insert into t values (1)")
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    writable.succeeded();
    assert_eq!(writable.condition().fault(), None);
    let elsewhere = Writable::open(&folder.path().join("a.db"), "test")
        .await
        .unwrap();
    assert_eq!(
        count(&elsewhere).await,
        1,
        "what was committed is seen by others"
    );
}

#[tokio::test]
async fn a_database_that_was_shut_is_closed_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let writable = Writable::open(&file, "test").await.unwrap();
    let failed = writable.connection().await.unwrap();
    failed
        .execute_unprepared("create table t (x blob)")
        .await
        .unwrap();
    drop(failed);
    writable.failed(&DbErr::Custom("it broke".to_owned())).await;
    count(&writable).await;
    let wal = folder.path().join("a.db-wal");
    assert!(wal.exists());
    writable.clone().shut().await;
    assert!(!wal.exists(), "a connection is open still");
    assert!(writable.connection().await.is_err());
    writable.failed(&DbErr::Custom("again".to_owned())).await;
    assert!(writable.connection().await.is_err());
}

#[tokio::test]
async fn a_file_that_is_gone_is_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let writable = Writable::open(&file, "test").await.unwrap();
    writable.failed(&DbErr::Custom("it broke".to_owned())).await;
    for name in ["a.db", "a.db-wal", "a.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join(name));
    }
    assert!(writable.connection().await.is_err());
    assert!(!file.exists());
    assert!(writable.has_room().await.is_ok());
    assert!(!folder.path().join(ROOM_FILE).exists());
}
