//! The writer's task: takes every append that waits, commits them together, publishes the new head, then answers.
//!
//! # What a failed write leaves
//! Before COMMIT nothing is kept, and the appends are [refused](AppendError::Refused). A COMMIT that fails may have put
//! all its frames into the write-ahead log: whoever opens the file after a crash may find them. So whatever the error,
//! its appends are [not known](AppendError::Unknown). Then nothing more is appended until the file has been opened anew, is
//! still this log, and takes a commit.

use super::{AppendError, first, insert, newest};
use crate::{
    fault::{Fault, Kind},
    log::origin_of,
    store::sqlite::Writable,
};
use bytes::Bytes;
use latencify_conf::change::{Epoch, LogId};
use sea_orm::{DatabaseConnection, DbErr, TransactionTrait};
use std::time::Duration;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Appends that share one transaction, and so one wait for the disk.
const APPENDS_A_COMMIT_MAX: usize = 256;
/// Between two attempts to write again after one that failed.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// A commit that changes nothing and still has to reach the disk.
const CHANGES_NOTHING: &str =
    "update changes set bytes = bytes where epoch = (select min(epoch) from changes)";

/// An entry on its way.
pub struct Append {
    /// As its writer encoded it.
    pub bytes: Bytes,
    /// Where its writer waits.
    pub answer: oneshot::Sender<Result<Epoch, AppendError>>,
}

/// How a batch failed.
#[derive(Debug)]
enum Failed {
    /// Nothing of it is kept.
    Before(DbErr),
    /// It may be kept.
    Commit(DbErr),
}

/// Writes until the log is dropped, or until `stop`; what was handed over by then is written.
pub async fn keep_writing(
    write: Writable,
    log: LogId,
    mut waiting: mpsc::Receiver<Append>,
    publish: watch::Sender<Epoch>,
    stop: CancellationToken,
) {
    let mut batch = Vec::with_capacity(APPENDS_A_COMMIT_MAX);
    let mut try_at = None::<Instant>;
    loop {
        let received = tokio::select! {
            received = waiting.recv_many(&mut batch, APPENDS_A_COMMIT_MAX) => received,
            () = stop.cancelled(), if !waiting.is_closed() => {
                waiting.close();
                continue;
            }
            () = tokio::time::sleep_until(try_at.unwrap_or_else(Instant::now)), if try_at.is_some() => {
                let works = try_again(&write, log, &publish).await;
                try_at = (!works).then(|| Instant::now() + TRY_AGAIN);
                continue;
            }
        };
        if received == 0 {
            return;
        }
        if try_at.is_some() {
            let why = write
                .condition()
                .fault()
                .map_or_else(String::new, |fault| fault.to_string());
            answer_all(&mut batch, || AppendError::Refused(why.clone()));
            continue;
        }
        match commit(&write, &batch).await {
            Ok(epochs) => {
                publish.send_replace(epochs.last().copied().unwrap_or_default());
                for (append, epoch) in batch.drain(..).zip(epochs) {
                    // The writer may have given up waiting; the entry is kept all the same.
                    let _ = append.answer.send(Ok(epoch));
                }
            }
            Err(Failed::Before(error)) => {
                write.failed(&error).await;
                answer_all(&mut batch, || AppendError::Refused(error.to_string()));
                try_at = Some(Instant::now());
            }
            Err(Failed::Commit(error)) => {
                write.failed(&error).await;
                answer_all(&mut batch, || AppendError::Unknown(error.to_string()));
                try_at = Some(Instant::now());
            }
        }
    }
}

fn answer_all(batch: &mut Vec<Append>, error: impl Fn() -> AppendError) {
    for append in batch.drain(..) {
        // As above.
        let _ = append.answer.send(Err(error()));
    }
}

async fn commit(write: &Writable, batch: &[Append]) -> Result<Vec<Epoch>, Failed> {
    let connection = write.connection().await.map_err(Failed::Before)?;
    let transaction = connection.begin().await.map_err(Failed::Before)?;
    let mut epochs = Vec::with_capacity(batch.len());
    for append in batch {
        let inserted = insert(&transaction, &append.bytes).await;
        epochs.push(inserted.map_err(Failed::Before)?);
    }
    transaction.commit().await.map_err(Failed::Commit)?;
    Ok(epochs)
}

/// Whether the file takes commits again and is still this log. What a commit kept whose answer was lost is published: it
/// must not wait for the next append.
async fn try_again(write: &Writable, log: LogId, publish: &watch::Sender<Epoch>) -> bool {
    if !write.try_again(CHANGES_NOTHING).await {
        return false;
    }
    let looked = match write.connection().await {
        Ok(connection) => look(&connection).await,
        Err(error) => Err(error),
    };
    let (is_this, kept) = match looked {
        Ok((first, kept)) => (
            first.is_some_and(|first| origin_of(&first).is_ok_and(|origin| origin.log == log)),
            kept,
        ),
        Err(error) => {
            write.failed(&error).await;
            return false;
        }
    };
    let fault = if !is_this {
        Some(Fault::new(
            Kind::Replaced,
            "another file was put in the place of changes.db: start control again",
        ))
    } else if kept < *publish.borrow() {
        Some(Fault::new(
            Kind::Rewound,
            "an older copy was put in the place of changes.db: put the newer one back and start control again",
        ))
    } else {
        None
    };
    if let Some(fault) = fault {
        write.condition().raise(fault);
        return false;
    }
    publish.send_if_modified(|head| {
        let is_news = kept > *head;
        *head = kept.max(*head);
        is_news
    });
    write.succeeded();
    true
}

async fn look(connection: &DatabaseConnection) -> Result<(Option<Vec<u8>>, Epoch), DbErr> {
    Ok((first(connection).await?, newest(connection).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{ChangeLog as _, Opening, sqlite::SqliteLog};

    #[tokio::test]
    async fn what_a_commit_kept_whose_answer_was_lost_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let log = SqliteLog::open(folder.path(), Opening::Follow(None))
            .await
            .unwrap();
        let (identity, file) = (log.identity(), folder.path().join(super::super::FILE));
        drop(log);
        let write = Writable::open(&file, "test").await.unwrap();
        let connection = write.connection().await.unwrap();
        let (publish, head) = watch::channel(newest(&connection).await.unwrap());
        assert_eq!(*head.borrow(), Epoch(1));
        insert(&connection, b"x").await.unwrap();
        assert!(try_again(&write, identity, &publish).await);
        assert_eq!(*head.borrow(), Epoch(2));

        let another = LogId(uuid::Uuid::nil());
        assert!(!try_again(&write, another, &publish).await);
        assert_eq!(write.condition().fault().unwrap().kind, Kind::Replaced);
        publish.send_replace(Epoch(9));
        assert!(!try_again(&write, identity, &publish).await);
        assert_eq!(write.condition().fault().unwrap().kind, Kind::Rewound);
    }
}
