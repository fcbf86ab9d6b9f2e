//! The file in the tier's folder. Whoever adds to it holds its lock for that moment: two processes may, while one takes over
//! from the other.

use super::record::{self, Line};
use latencify_conf::change::Epoch;
use latencify_disk::OWNERS_PREFIX;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

/// A file that is longer becomes shorter.
pub const BYTES_MAX: u64 = 16 << 20;
/// The most marks that are told apart after that.
const MARKS_MAX: usize = 32 * 1024;

/// The file.
#[derive(Debug, Clone)]
pub struct MarksFile {
    folder: PathBuf,
    run: (u64, Epoch),
}

impl MarksFile {
    /// The file in that folder, for a run: where its numbers begin, and the last epoch that it knew then.
    pub fn new(folder: &Path, run: (u64, Epoch)) -> Self {
        Self {
            folder: folder.to_owned(),
            run,
        }
    }

    /// Whose run it is.
    pub fn run(&self) -> u64 {
        self.run.0
    }

    /// Reads all lines; none: there is no file. A file that is not what was written is an error of its own.
    pub fn read(&self) -> io::Result<Option<Result<Vec<Line>, String>>> {
        self.locked(|| self.read_locked())
    }

    /// Adds lines, and comes back when they are on disk. A file that is not there is not made: it would say that nothing
    /// was purged before.
    pub fn append(&self, lines: &[Line]) -> io::Result<()> {
        let bytes = record::write(lines)?;
        self.locked(|| {
            let mut file = OpenOptions::new().append(true).open(self.path(""))?;
            file.write_all(&bytes)?;
            file.sync_data()?;
            if file.metadata()?.len() > BYTES_MAX
                && let Some(Ok(lines)) = self.read_locked()?
            {
                self.replace_locked(&lines)?;
            }
            Ok(())
        })
    }

    /// Puts these lines, or fewer that say the same, in the place of what there is.
    pub fn replace(&self, lines: &[Line]) -> io::Result<()> {
        self.locked(|| self.replace_locked(lines))
    }

    fn read_locked(&self) -> io::Result<Option<Result<Vec<Line>, String>>> {
        let file = match File::open(self.path("")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(2 * BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > 2 * BYTES_MAX {
            return Ok(Some(Err("it is too long".to_owned())));
        }
        Ok(Some(record::read(&bytes)))
    }

    fn replace_locked(&self, lines: &[Line]) -> io::Result<()> {
        let mut lines = record::compact(lines, self.run.0, MARKS_MAX);
        lines.push(Line::begun(self.run));
        let new = self.path(".new");
        let mut file = File::create(&new)?;
        file.write_all(&record::write(&lines)?)?;
        file.sync_all()?;
        fs::rename(&new, self.path(""))?;
        File::open(&self.folder)?.sync_all()
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
