//! The file in the tier's folder. Whoever adds to it holds its lock for that moment: two processes may, while one takes over
//! from the other.
//!
//! It begins with a [head](super::head) that says how many bytes of it are on disk. What is added is written and synced behind
//! them, and only then the head says so: what lies behind is no part of the file, whatever an attempt that failed or
//! was interrupted left there, and a file that is shorter than its head says is not what was written.

use super::{
    head::{self, HEAD_BYTES},
    record::{self, Line, Run},
};
use latencify_disk::OWNERS_PREFIX;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// The most bytes of the file. Before it would be longer, fewer lines take the place of all.
pub const BYTES_MAX: u64 = 16 << 20;
/// The most bytes of them after that. Of more, only that what is older than they is dead.
const KEPT_BYTES_MAX: usize = 8 << 20;
/// The most marks that are told apart after that.
const MARKS_MAX: usize = 32 * 1024;

/// The file.
#[derive(Debug, Clone)]
pub struct MarksFile {
    folder: PathBuf,
    run: Run,
}

impl MarksFile {
    /// The file in that folder, for a run.
    pub fn new(folder: &Path, run: Run) -> Self {
        Self {
            folder: folder.to_owned(),
            run,
        }
    }

    /// Whose run it is.
    pub fn run(&self) -> Run {
        self.run
    }

    /// Reads all lines; none: there is no file. A file that is not what was written is an error of its own.
    pub fn read(&self) -> io::Result<Option<Result<Vec<Line>, String>>> {
        self.locked(|| self.read_locked())
    }

    /// Adds lines, and comes back when they are on disk. `highest`: no mark that this run has ever noted has a higher number.
    /// A file that is not there is not made: it would say that nothing was purged before.
    pub fn append(&self, lines: &[Line], highest: u64) -> io::Result<()> {
        let bytes = record::write(lines)?;
        self.locked(|| {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(self.path(""))?;
            let fits = read_head(&file)?
                .ok()
                .filter(|end| end + bytes.len() as u64 <= BYTES_MAX);
            if let Some(end) = fits {
                file.write_all_at(&bytes, end)?;
                file.sync_data()?;
                file.write_all_at(&head::write(end + bytes.len() as u64), 0)?;
                return file.sync_data();
            }
            match self.read_locked()? {
                Some(Ok(mut all)) => {
                    all.extend_from_slice(lines);
                    self.replace_locked(&all)
                }
                // What it said, of whichever process, is older than this.
                _ => self
                    .replace_locked(&[Line::floor(self.run.number, highest.max(number_of_now()))]),
            }
        })
    }

    /// Reads all lines as [`read`](Self::read) does, and puts what is made of them in their place before anybody adds to them: of
    /// what is added in between, that it is on disk would be said and not be true. What else was made is returned beside whether it was
    /// written.
    pub fn renew<T>(
        &self,
        make: impl FnOnce(Option<Result<Vec<Line>, String>>) -> (Vec<Line>, T),
    ) -> io::Result<(T, io::Result<()>)> {
        self.locked(|| {
            let (lines, made) = make(self.read_locked()?);
            Ok((made, self.replace_locked(&lines)))
        })
    }

    /// Puts these lines, or fewer that say the same or more strictly, in the place of what there is.
    pub fn replace(&self, lines: &[Line]) -> io::Result<()> {
        self.locked(|| self.replace_locked(lines))
    }

    fn read_locked(&self) -> io::Result<Option<Result<Vec<Line>, String>>> {
        let file = match File::open(self.path("")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let end = match read_head(&file)? {
            Ok(end) if end > BYTES_MAX => return Ok(Some(Err("it is too long".to_owned()))),
            Ok(end) => end,
            Err(why) => return Ok(Some(Err(why))),
        };
        let mut bytes = Vec::new();
        file.take(end).read_to_end(&mut bytes)?;
        let lines = bytes.get(HEAD_BYTES..).unwrap_or_default();
        Ok(Some(record::read(lines)))
    }

    fn replace_locked(&self, lines: &[Line]) -> io::Result<()> {
        let mut bytes = self.compacted(lines, MARKS_MAX)?;
        if bytes.len() > KEPT_BYTES_MAX {
            bytes = self.compacted(lines, 0)?;
        }
        let new = self.path(".new");
        let file = File::create(&new)?;
        let end = (HEAD_BYTES + bytes.len()) as u64;
        file.write_all_at(&head::write(end), 0)?;
        file.write_all_at(&bytes, HEAD_BYTES as u64)?;
        file.sync_all()?;
        fs::rename(&new, self.path(""))?;
        File::open(&self.folder)?.sync_all()
    }

    fn compacted(&self, lines: &[Line], marks_max: usize) -> serde_json::Result<Vec<u8>> {
        let mut lines = record::compact(lines, self.run.number, marks_max);
        lines.push(Line::begun(self.run));
        record::write(&lines)
    }

    fn locked<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path(".lock"))?;
        lock.lock()?;
        work()
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.folder
            .join(format!("{OWNERS_PREFIX}local-marks{suffix}"))
    }
}

/// Where the file ends, as its head says; it is as long as that.
fn read_head(file: &File) -> io::Result<Result<u64, String>> {
    let mut bytes = [0; HEAD_BYTES];
    match file.read_exact_at(&mut bytes, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Ok(Err("it is cut off in its head".to_owned()));
        }
        read => read?,
    }
    let length = file.metadata()?.len();
    Ok(head::read(&bytes).and_then(|end| {
        if length < end {
            Err(format!("it is cut off: {length} bytes are left of {end}"))
        } else {
            Ok(end)
        }
    }))
}

fn number_of_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    latencify_cache::number_at(since.unwrap_or_default())
}
