//! The access log: records go through a bounded channel to one thread that writes them. A full channel drops the
//! record and counts it; it never holds a request.

use latencify_conf::record::AccessRecord;
use prometheus::IntCounter;
use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tracing::error;

/// Records between the requests and the writer.
const QUEUE_RECORDS_MAX: usize = 16_384;
/// What is buffered reaches the file within this time.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
const BUFFER_BYTES: usize = 256 * 1024;

enum Message {
    Record(Box<AccessRecord>),
    Reopen,
    End,
}

/// Where requests leave their records.
#[derive(Clone)]
pub struct AccessLog {
    queue: Option<SyncSender<Message>>,
    dropped: IntCounter,
}

/// The thread that writes.
pub struct AccessLogWriter {
    queue: SyncSender<Message>,
    thread: JoinHandle<()>,
}

enum Sink {
    Stdout(BufWriter<io::Stdout>),
    File(PathBuf, BufWriter<File>),
}

impl AccessLog {
    /// No access log.
    pub fn off(dropped: IntCounter) -> Self {
        Self {
            queue: None,
            dropped,
        }
    }

    /// Opens the file (`-`: standard output) and starts the thread that writes it.
    pub fn open(path: &Path, dropped: IntCounter) -> io::Result<(Self, AccessLogWriter)> {
        let sink = Sink::open(path)?;
        let (queue, records) = sync_channel(QUEUE_RECORDS_MAX);
        let thread = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write(sink, &records))?;
        Ok((
            Self {
                queue: Some(queue.clone()),
                dropped,
            },
            AccessLogWriter { queue, thread },
        ))
    }

    /// Whether records are wanted at all.
    pub fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Leaves a record; drops and counts it when the writer is behind.
    pub fn record(&self, record: AccessRecord) {
        let Some(queue) = &self.queue else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            queue.try_send(Message::Record(Box::new(record)))
        {
            self.dropped.inc();
        }
    }
}

impl AccessLogWriter {
    /// Opens the file anew: it has been moved away.
    pub fn reopen(&self) {
        // A full queue means that records are being dropped; waiting for room here harms no request.
        let _ = self.queue.send(Message::Reopen);
    }

    /// Writes what is queued and ends.
    pub fn finish(self) {
        let _ = self.queue.send(Message::End);
        if self.thread.join().is_err() {
            error!("the access log's writer panicked; its last records are lost");
        }
    }
}

impl Sink {
    fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout(BufWriter::with_capacity(
                BUFFER_BYTES,
                io::stdout(),
            )));
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self::File(
            path.to_owned(),
            BufWriter::with_capacity(BUFFER_BYTES, file),
        ))
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Stdout(writer) => writer,
            Self::File(_, writer) => writer,
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.writer().flush()?;
        if let Self::File(path, _) = self {
            *self = Self::open(&path.clone())?;
        }
        Ok(())
    }
}

fn write(mut sink: Sink, messages: &Receiver<Message>) {
    let mut unflushed_since: Option<Instant> = None;
    let mut failing = false;
    loop {
        let wait = unflushed_since.map_or(FLUSH_EVERY, |since| {
            FLUSH_EVERY.saturating_sub(since.elapsed())
        });
        let done = match messages.recv_timeout(wait) {
            Ok(Message::Record(record)) => {
                unflushed_since.get_or_insert_with(Instant::now);
                serde_json::to_writer(sink.writer(), &record)
                    .map_err(io::Error::from)
                    .and_then(|()| sink.writer().write_all(b"\n"))
            }
            Ok(Message::Reopen) => sink.reopen(),
            Err(RecvTimeoutError::Timeout) => {
                unflushed_since = None;
                sink.writer().flush()
            }
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => {
                if let Err(error) = sink.writer().flush() {
                    error!(%error, "access log");
                }
                return;
            }
        };
        // Said once, not for each record, until it works again.
        match done {
            Err(error) if !failing => {
                failing = true;
                error!(%error, "access log: records are being lost; free space or move the file, then send SIGHUP");
            }
            Err(_) => {}
            Ok(()) => failing = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(path: &str) -> AccessRecord {
        let line = serde_json::json!({
            "time": "2026-01-01T00:00:00Z", "request_id": "r", "client": "127.0.0.1", "method": "GET", "scheme": "http",
            "host": "h", "path": path, "protocol": "HTTP/1.1", "status": 200, "bytes_in": 0, "bytes_out": 2,
            "duration_us": 5, "cache": "miss", "attempts": 1, "decisions": ["site:main"],
        });
        serde_json::from_value(line).unwrap()
    }

    #[test]
    fn records_follow_the_file_after_a_reopen_and_all_arrive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let dropped = IntCounter::new("dropped", "dropped").unwrap();
        let (log, writer) = AccessLog::open(&path, dropped.clone()).unwrap();
        log.record(record("/a"));
        // Reopen is in order with records: /a is in the file that was moved away.
        let moved = folder.path().join("access.log.1");
        std::fs::rename(&path, &moved).unwrap();
        writer.reopen();
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
}
