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
use tracing::{error, info};

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
        let counter = dropped.clone();
        let thread = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write(sink, &records, counter))?;
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

    /// Opens the file anew, whatever becomes of what was buffered for the old one.
    fn reopen(&mut self) -> io::Result<()> {
        if let Self::File(path, _) = self {
            *self = Self::open(&path.clone())?;
        }
        Ok(())
    }
}

/// What the thread keeps between messages.
struct Writing {
    sink: Sink,
    dropped: IntCounter,
    /// Records in the sink's buffer.
    buffered: u64,
    /// One record as a line: it goes into the buffer whole or not at all.
    line: Vec<u8>,
    /// Said once, until what was buffered has been written.
    failing: bool,
}

fn write(sink: Sink, messages: &Receiver<Message>, dropped: IntCounter) {
    let mut unflushed_since: Option<Instant> = None;
    let mut writing = Writing {
        sink,
        dropped,
        buffered: 0,
        line: Vec::new(),
        failing: false,
    };
    loop {
        let wait = unflushed_since.map_or(FLUSH_EVERY, |since| {
            FLUSH_EVERY.saturating_sub(since.elapsed())
        });
        match messages.recv_timeout(wait) {
            Ok(Message::Record(record)) => {
                unflushed_since.get_or_insert_with(Instant::now);
                writing.record(&record);
            }
            Ok(Message::Reopen) => writing.reopen(),
            Err(RecvTimeoutError::Timeout) => {
                unflushed_since = None;
                writing.flush();
            }
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return writing.flush(),
        }
    }
}

impl Writing {
    fn record(&mut self, record: &AccessRecord) {
        self.line.clear();
        let done = serde_json::to_writer(&mut self.line, record).map_err(io::Error::from);
        self.line.push(b'\n');
        match done.and_then(|()| self.sink.writer().write_all(&self.line)) {
            Ok(()) => self.buffered += 1,
            Err(error) => self.lost(1, &error),
        }
    }

    fn flush(&mut self) {
        match self.sink.writer().flush() {
            Ok(()) => {
                self.buffered = 0;
                if std::mem::take(&mut self.failing) {
                    info!("access log: records are written again");
                }
            }
            // They stay in the buffer: nothing is lost yet.
            Err(error) => self.lost(0, &error),
        }
    }

    fn reopen(&mut self) {
        if let Err(error) = self.sink.writer().flush() {
            self.lost(self.buffered, &error);
        }
        self.buffered = 0;
        match self.sink.reopen() {
            Ok(()) => self.failing = false,
            Err(error) => self.lost(0, &error),
        }
    }

    fn lost(&mut self, records: u64, error: &io::Error) {
        self.dropped.inc_by(records);
        if !std::mem::replace(&mut self.failing, true) {
            error!(
                %error,
                "access log: records are being lost; free space or move the file, then send SIGHUP"
            );
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

    #[test]
    fn what_a_full_disk_does_not_take_is_counted_and_a_reopen_helps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let dropped = IntCounter::new("dropped", "dropped").unwrap();
        let (log, writer) = AccessLog::open(&path, dropped.clone()).unwrap();
        for _ in 0..10 {
            log.record(record("/lost"));
        }
        std::fs::remove_file(&path).unwrap();
        writer.reopen();
        log.record(record("/kept"));
        writer.finish();
        let lines = std::fs::read_to_string(path).unwrap();
        assert_eq!((lines.lines().count(), dropped.get()), (1, 10), "{lines}");
    }
}
