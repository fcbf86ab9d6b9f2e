//! The thread that takes what has gathered to the file.

use super::lanes::Lanes;
use prometheus::IntCounter;
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{Thread, park_timeout},
    time::Duration,
};
use tracing::{error, info};

/// A record reaches the file within this time.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// What the file did not take is kept up to this size, and written when it can be.
const KEPT_BYTES_MAX: usize = 512 << 10;
/// At the end, so long is waited for who reads the records (a pipe, a terminal), or for the disk.
const FINISH_TIME_MAX: Duration = Duration::from_secs(5);

/// The thread that writes. Nobody waits for it but [`AccessLogWriter::finish`], and that only so long: whoever reads the
/// records may hang.
pub struct AccessLogWriter {
    told: Arc<Told>,
    lanes: Arc<Lanes>,
    dropped: IntCounter,
    thread: Thread,
    /// Ends with the thread.
    ended: Receiver<()>,
}

/// What the thread and its owner tell each other. The end is told by the lanes, which are closed.
#[derive(Default)]
struct Told {
    reopen: AtomicBool,
    /// Records that were taken to be written, and are neither written nor given up.
    in_hand: AtomicU64,
}

enum Sink {
    Stdout(io::Stdout),
    File(PathBuf, File),
}

/// What the thread keeps between two turns.
struct Writing {
    sink: Sink,
    told: Arc<Told>,
    lanes: Arc<Lanes>,
    dropped: IntCounter,
    spare: Vec<u8>,
    /// Whole lines that the file did not take yet.
    kept: Vec<u8>,
    /// The file ends within a line, whose rest is lost.
    is_torn: bool,
    /// Said once, until everything has been written.
    failing: bool,
}

impl AccessLogWriter {
    pub(super) fn start(path: &Path, lanes: Arc<Lanes>, dropped: IntCounter) -> io::Result<Self> {
        let told = Arc::new(Told::default());
        let (alive, ended) = sync_channel(0);
        let mut writing = Writing {
            sink: Sink::open(path)?,
            told: Arc::clone(&told),
            lanes: Arc::clone(&lanes),
            dropped: dropped.clone(),
            spare: Vec::new(),
            kept: Vec::new(),
            is_torn: false,
            failing: false,
        };
        let thread = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || writing.go_on(alive))?
            .thread()
            .clone();
        lanes.written_by(thread.clone());
        Ok(Self {
            told,
            lanes,
            dropped,
            thread,
            ended,
        })
    }

    /// Opens the file anew: it has been moved away. What was recorded before goes where it has been moved.
    pub fn reopen(&self) {
        self.told.reopen.store(true, Ordering::Release);
        self.thread.unpark();
    }

    /// Writes what has gathered and ends. What can't be written in time is lost, and counted.
    pub fn finish(self) {
        self.finish_within(FINISH_TIME_MAX);
    }

    pub(super) fn finish_within(self, time_max: Duration) {
        self.lanes.close();
        self.thread.unpark();
        if self.ended.recv_timeout(time_max) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        let mut lost = self.told.in_hand.load(Ordering::Relaxed);
        self.lanes
            .drain(&mut Vec::new(), |lines| lost += lines_in(lines));
        self.dropped.inc_by(lost);
        error!(
            lost,
            "access log: nothing takes its records, and the last ones are lost; look at who reads them, or at the disk"
        );
    }
}

impl Writing {
    /// Writes until the lanes are closed; `_alive` is dropped with that.
    fn go_on(&mut self, _alive: SyncSender<()>) {
        loop {
            // What was recorded before an order was given is written before it is obeyed.
            let is_last = self.lanes.is_closed();
            let reopens = self.told.reopen.swap(false, Ordering::Acquire);
            self.write_gathered();
            if reopens {
                self.reopen();
            }
            if is_last {
                return self.dropped.inc_by(lines_in(&self.kept));
            }
            park_timeout(WRITE_EVERY);
        }
    }

    fn write_gathered(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        self.write(&kept);
        let mut spare = std::mem::take(&mut self.spare);
        let lanes = Arc::clone(&self.lanes);
        lanes.drain(&mut spare, |lines| self.write(lines));
        self.spare = spare;
        if self.kept.is_empty() && std::mem::take(&mut self.failing) {
            info!("access log: records are written again");
        }
    }

    /// Writes whole lines, unless earlier ones wait; keeps what the file does not take, within bounds.
    fn write(&mut self, lines: &[u8]) {
        let in_hand = lines_in(lines) + lines_in(&self.kept);
        self.told.in_hand.store(in_hand, Ordering::Relaxed);
        let rest = if self.kept.is_empty() {
            self.put(lines)
        } else {
            lines
        };
        if self.kept.len() + rest.len() <= KEPT_BYTES_MAX {
            self.kept.extend_from_slice(rest);
        } else {
            self.dropped.inc_by(lines_in(rest));
        }
        let in_hand = lines_in(&self.kept);
        self.told.in_hand.store(in_hand, Ordering::Relaxed);
    }

    /// The lines that the file did not take. One that it took in part is lost.
    fn put<'a>(&mut self, lines: &'a [u8]) -> &'a [u8] {
        if self.is_torn && !lines.is_empty() {
            if let (_, Err(error)) = self.sink.write(b"\n") {
                self.fail(&error);
                return lines;
            }
            self.is_torn = false;
        }
        let (rest, done) = self.sink.write(lines);
        let Err(error) = done else { return rest };
        self.fail(&error);
        let taken = lines.len() - rest.len();
        if taken == 0 || lines.get(taken - 1) == Some(&b'\n') {
            return rest;
        }
        self.is_torn = true;
        self.dropped.inc();
        let end = rest.iter().position(|byte| *byte == b'\n');
        end.and_then(|end| rest.get(end + 1..)).unwrap_or_default()
    }

    fn reopen(&mut self) {
        match self.sink.reopen() {
            Ok(()) => {
                self.is_torn = false;
                self.write_gathered();
            }
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            error!(
                %error,
                "access log: records are being lost; free space or move the file, then send SIGHUP"
            );
        }
    }
}

impl Sink {
    fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout(io::stdout()));
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self::File(path.to_owned(), file))
    }

    /// Writes until all is taken or something fails. Returns what was not taken.
    fn write<'a>(&mut self, mut bytes: &'a [u8]) -> (&'a [u8], io::Result<()>) {
        while !bytes.is_empty() {
            let taken = match self {
                Self::Stdout(stdout) => stdout.write(bytes),
                Self::File(_, file) => file.write(bytes),
            };
            match taken {
                Ok(0) => return (bytes, Err(io::ErrorKind::WriteZero.into())),
                Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (bytes, Err(error)),
            }
        }
        let done = match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(..) => Ok(()),
        };
        (bytes, done)
    }

    /// Opens the file anew; if that fails, the old one stays.
    fn reopen(&mut self) -> io::Result<()> {
        if let Self::File(path, _) = self {
            *self = Self::open(&path.clone())?;
        }
        Ok(())
    }
}

fn lines_in(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
