//! What every change log promises.

use bytes::Bytes;
use latencify_conf::change::{Change, Entry, Epoch};
use latencify_control::log::{ChangeLog, READ_MAX, Reader, Record};
use std::{sync::Arc, time::Duration};

const WAIT: Duration = Duration::from_mins(1);

/// Runs the suite; `open` opens the same log every time.
pub async fn run(open: impl AsyncFn() -> Arc<dyn ChangeLog>) {
    let log = open().await;
    the_first_entry_is_the_identity(&*log).await;
    epochs_grow_and_what_was_answered_is_read(&*log).await;
    a_reader_waits_for_what_comes(&*log).await;
    writers_side_by_side_share_one_order(&log).await;
    a_reader_starts_where_it_is_told(&*log).await;
    let (identity, entries) = (log.identity(), all(&*log).await);
    drop(log);
    let again = open().await;
    assert_eq!(
        again.identity(),
        identity,
        "the identity outlives the program"
    );
    assert_eq!(all(&*again).await, entries, "and so does every entry");
    let next = again.append(Bytes::from_static(b"after")).await.unwrap();
    assert!(
        next > entries.last().unwrap().epoch,
        "epochs are not given twice"
    );
}

async fn the_first_entry_is_the_identity(log: &dyn ChangeLog) {
    let first = read(log, Epoch(0), 1).await.remove(0);
    let entry = Entry::decode(&first.bytes).unwrap();
    assert_eq!(
        entry.change,
        Change::LogCreated {
            log: log.identity(),
            from: None,
        }
    );
    assert_eq!(first.epoch, Epoch(1));
}

async fn epochs_grow_and_what_was_answered_is_read(log: &dyn ChangeLog) {
    let mut written = Vec::new();
    for text in ["a", "", "c"] {
        let bytes = Bytes::from_static(text.as_bytes());
        let epoch = log.append(bytes.clone()).await.unwrap();
        written.push(Record { epoch, bytes });
    }
    assert!(
        written.is_sorted_by(|a, b| a.epoch < b.epoch),
        "{written:?}"
    );
    let head = log.head().await.unwrap();
    assert!(
        head >= written[2].epoch,
        "the head is not behind what was answered"
    );
    let read = all(log).await;
    assert_eq!(read[read.len() - 3..], written);
    let end = log.end().await.unwrap();
    assert_eq!(end, head, "what was read is there still");
}

async fn a_reader_waits_for_what_comes(log: &dyn ChangeLog) {
    let mut reader = log.reader(log.head().await.unwrap()).await.unwrap();
    let nothing = reader.next(Duration::from_millis(50)).await.unwrap();
    assert_eq!(nothing, [], "an empty wait is no error");
    let (records, epoch) = tokio::join!(reader.next(WAIT), log.append(Bytes::from_static(b"live")));
    let expected = Record {
        epoch: epoch.unwrap(),
        bytes: Bytes::from_static(b"live"),
    };
    assert_eq!(records.unwrap(), [expected]);
}

async fn writers_side_by_side_share_one_order(log: &Arc<dyn ChangeLog>) {
    let before = log.head().await.unwrap();
    let writers = (0..200_u32).map(|number| {
        let log = log.clone();
        tokio::spawn(async move {
            let bytes = Bytes::from(number.to_be_bytes().to_vec());
            Record {
                epoch: log.append(bytes.clone()).await.unwrap(),
                bytes,
            }
        })
    });
    let mut answered = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        answered.push(writer.await.unwrap());
    }
    answered.sort_by_key(|record| record.epoch);
    let (one, two) = tokio::join!(read(&**log, before, 200), read(&**log, before, 200));
    assert_eq!(one, two, "every reader sees the same order");
    assert_eq!(
        one, answered,
        "every entry stands where its writer was told"
    );
}

async fn a_reader_starts_where_it_is_told(log: &dyn ChangeLog) {
    let entries = all(log).await;
    for at in [0, 1, entries.len() / 2, entries.len() - 1] {
        let rest = read(log, entries[at].epoch, entries.len() - at - 1).await;
        assert_eq!(rest, entries[at + 1..]);
    }
}

async fn all(log: &dyn ChangeLog) -> Vec<Record> {
    let head = log.head().await.unwrap();
    let mut records = Vec::new();
    let mut reader = log.reader(Epoch(0)).await.unwrap();
    while records
        .last()
        .is_none_or(|record: &Record| record.epoch < head)
    {
        records.extend(some(&mut *reader).await);
    }
    records
}

async fn read(log: &dyn ChangeLog, after: Epoch, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let mut reader = log.reader(after).await.unwrap();
    while records.len() < count {
        records.extend(some(&mut *reader).await);
    }
    records
}

async fn some(reader: &mut dyn Reader) -> Vec<Record> {
    let records = reader.next(WAIT).await.unwrap();
    assert!(!records.is_empty(), "nothing came in time");
    assert!(records.len() <= READ_MAX);
    records
}
