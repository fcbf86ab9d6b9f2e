//! What the tier asks of a file system. Everything goes through here, so that a test can lose, delay and refuse.

use std::{
    any::Any,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

/// A file system.
pub trait Layer: Send + Sync + 'static {
    /// Takes the lock that lies at `path`, for as long as what is returned lives. `WouldBlock`: somebody has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>>;

    /// Makes a file that is not there yet, to be written and read.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn LayerFile>>;

    /// Opens a file to be read.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LayerFile>>;

    /// The names in a folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Gives a file another name, taking it from whatever had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Deletes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// When this returns, the names in the folder are on the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// A number that nobody could have guessed.
    fn nonce(&self) -> u64;
}

/// An open file.
pub trait LayerFile: Send + Sync + 'static {
    /// Reads at an offset; fewer bytes than asked: the file ends there.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of it at an offset.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts it off.
    fn truncate(&self, bytes: u64) -> io::Result<()>;

    /// When this returns, what was written is on the disk.
    fn sync(&self) -> io::Result<()>;

    /// Its length.
    fn bytes(&self) -> io::Result<u64>;
}

/// The machine's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSystem;

impl Layer for FileSystem {
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LayerFile>> {
        let file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            .open(path)?;
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LayerFile>> {
        Ok(Arc::new(File::open(path)?))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn nonce(&self) -> u64 {
        uuid::Uuid::new_v4().as_u64_pair().1
    }
}

impl LayerFile for File {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match FileExt::read_at(self, rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}
