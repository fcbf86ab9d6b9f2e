use super::*;

fn record(path: &str) -> AccessRecord<'static> {
    let line = serde_json::json!({
        "time": "2026-01-01T00:00:00Z", "request_id": "r", "client": "127.0.0.1", "method": "GET", "scheme": "http",
        "host": "h", "path": path, "protocol": "HTTP/1.1", "status": 200, "bytes_in": 0, "bytes_out": 2,
        "duration_us": 5, "cache": "miss", "attempts": 1, "decisions": ["site:main"],
    });
    serde_json::from_value(line).unwrap()
}

fn counter() -> IntCounter {
    IntCounter::new("dropped", "dropped").unwrap()
}

#[test]
fn records_follow_the_file_after_a_reopen_and_all_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let dropped = counter();
    let (log, writer) = AccessLog::open(&path, dropped.clone()).unwrap();
    log.record(record("/a"));
    // Reopen is in order with records: /a is in the file that was moved away.
    let moved = folder.path().join("access.log.1");
    std::fs::rename(&path, &moved).unwrap();
    writer.reopen();
    for _ in 0..100 {
        if path.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    log.record(record("/b"));
    writer.finish();
    assert!(std::fs::read_to_string(moved).unwrap().contains("\"/a\""));
    let after = std::fs::read_to_string(path).unwrap();
    assert!(
        after.contains("\"/b\"") && !after.contains("\"/a\""),
        "{after}"
    );
    log.record(record("/c"));
    assert_eq!(dropped.get(), 1, "a record without a writer is counted");
}

#[test]
fn what_a_full_disk_does_not_take_is_kept_for_the_next_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let dropped = counter();
    let (log, writer) = AccessLog::open(&path, dropped.clone()).unwrap();
    for _ in 0..10 {
        log.record(record("/kept"));
    }
    std::fs::remove_file(&path).unwrap();
    writer.reopen();
    log.record(record("/after"));
    writer.finish();
    let lines = std::fs::read_to_string(path).unwrap();
    assert_eq!((lines.lines().count(), dropped.get()), (11, 0), "{lines}");
}

#[test]
fn beyond_what_is_kept_records_are_counted_as_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let dropped = counter();
    let (log, writer) = AccessLog::open(&path, dropped.clone()).unwrap();
    let large = "/".repeat(4 << 10);
    for _ in 0..1_000 {
        log.record(record(&large));
    }
    writer.finish();
    assert_eq!(dropped.get(), 1_000);
}

#[test]
fn many_threads_lose_nothing() {
    const THREADS: usize = 8;
    const EACH: usize = 5_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let dropped = counter();
    let (log, writer) = AccessLog::open(&path, dropped.clone()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for number in 0..EACH {
                    log.record(record(&format!("/{number}")));
                }
            });
        }
    });
    writer.finish();
    let text = std::fs::read_to_string(path).unwrap();
    let whole = text
        .lines()
        .filter(|line| serde_json::from_str::<AccessRecord<'_>>(line).is_ok());
    let dropped = usize::try_from(dropped.get()).unwrap();
    assert_eq!(whole.count() + dropped, THREADS * EACH);
}

#[test]
fn a_reader_that_hangs_holds_nobody_up() {
    const RECORDS: u64 = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    // Opened for both, so that the other end is there before the log is opened.
    let reader = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let dropped = counter();
    let (log, writer) = AccessLog::open(&path, dropped.clone()).unwrap();
    // Far more than a pipe holds.
    let large = "/".repeat(1 << 10);
    for _ in 0..RECORDS {
        log.record(record(&large));
        writer.reopen();
    }
    writer.finish_within(std::time::Duration::from_millis(500));
    let lost = dropped.get();
    assert!((1..=RECORDS).contains(&lost), "{lost}");
    drop(reader);
}
