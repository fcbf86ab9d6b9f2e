//! A file system in memory. It remembers every act, so that it can be cut off after any of them, without what was not synced.

use crate::layer::{Layer, LayerFile};
use std::{
    any::Any,
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// A block of a disk: written whole or not at all.
const BLOCK: usize = 64;

/// The file system.
#[derive(Clone, Default)]
pub(super) struct Model(Arc<Inner>);

#[derive(Default)]
struct Inner {
    world: Mutex<World>,
    stall: Mutex<Stall>,
    go_on: Condvar,
    nonce: AtomicU64,
}

/// How operations on the disk stand still.
#[derive(Default)]
struct Stall {
    /// So many more go on; none: all.
    left: Option<u64>,
    standing: usize,
}

#[derive(Default)]
struct World {
    names: BTreeMap<PathBuf, usize>,
    files: Vec<Vec<u8>>,
    acts: Vec<Act>,
    is_locked: bool,
    trouble: Trouble,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trouble {
    /// Every operation on names fails so, and with `writes` all that change something.
    pub(super) names: Option<io::ErrorKind>,
    pub(super) writes: Option<io::ErrorKind>,
    pub(super) reads: Option<io::ErrorKind>,
    /// Bytes of each file that can't be read.
    pub(super) unreadable: Option<(u64, u64)>,
    /// More bytes than that do not fit.
    pub(super) bytes_max: Option<usize>,
}

#[derive(Debug, Clone)]
enum Act {
    Create(PathBuf, usize),
    Write(usize, usize, Vec<u8>),
    Truncate(usize, usize),
    Sync(usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncFolder,
}

struct ModelFile(Model, usize);

struct Lock(Model);

impl Model {
    /// The same files; nothing wrong with it, nobody has its lock.
    pub(super) fn copy(&self) -> Self {
        let world = self.0.world.lock().unwrap();
        let copy = Self::default();
        copy.0.nonce.store(1 << 32, Ordering::Relaxed);
        *copy.0.world.lock().unwrap() = World {
            names: world.names.clone(),
            files: world.files.clone(),
            ..World::default()
        };
        copy
    }

    pub(super) fn acts(&self) -> usize {
        self.0.world.lock().unwrap().acts.len()
    }

    /// What a power loss after so many acts may leave: what was synced, and of the rest whatever chance says.
    pub(super) fn cut(&self, acts: usize, seed: u64) -> Self {
        let world = self.0.world.lock().unwrap();
        let acts = &world.acts[..acts.min(world.acts.len())];
        let mut chance = Chance(seed.wrapping_mul(2).wrapping_add(1));
        let mut left = World::default();
        let is_synced = |from: usize, id: usize| {
            acts[from..]
                .iter()
                .any(|act| matches!(act, Act::Sync(synced) if *synced == id))
        };
        for (at, act) in acts.iter().enumerate() {
            let names_synced = || acts[at..].iter().any(|act| matches!(act, Act::SyncFolder));
            match act {
                Act::Create(path, id) => {
                    left.files
                        .resize_with(left.files.len().max(id + 1), Vec::new);
                    if names_synced() || chance.one_in(2) {
                        left.names.insert(path.clone(), *id);
                    }
                }
                Act::Write(id, offset, bytes) => {
                    let synced = is_synced(at, *id);
                    for (number, block) in bytes.chunks(BLOCK).enumerate() {
                        if synced || !chance.one_in(3) {
                            write(&mut left.files[*id], offset + number * BLOCK, block);
                        }
                    }
                }
                Act::Truncate(id, bytes) => {
                    if is_synced(at, *id) || chance.one_in(2) {
                        left.files[*id].truncate(*bytes);
                    }
                }
                Act::Rename(from, to) => {
                    if (names_synced() || chance.one_in(2))
                        && let Some(id) = left.names.remove(from)
                    {
                        left.names.insert(to.clone(), id);
                    }
                }
                Act::Remove(path) => {
                    if names_synced() || chance.one_in(2) {
                        left.names.remove(path);
                    }
                }
                Act::Sync(_) | Act::SyncFolder => {}
            }
        }
        let model = Self::default();
        model.0.nonce.store(1 << 40, Ordering::Relaxed);
        *model.0.world.lock().unwrap() = left;
        model
    }

    pub(super) fn trouble(&self, trouble: Trouble) {
        self.0.world.lock().unwrap().trouble = trouble;
    }

    /// From now on, whoever reads, writes or syncs waits.
    pub(super) fn stall(&self) {
        self.stall_after(0);
    }

    /// The same after so many more operations.
    pub(super) fn stall_after(&self, operations: u64) {
        self.0.stall.lock().unwrap().left = Some(operations);
    }

    /// Whether somebody waits.
    pub(super) fn is_standing(&self) -> bool {
        self.0.stall.lock().unwrap().standing > 0
    }

    pub(super) fn go_on(&self) {
        self.0.stall.lock().unwrap().left = None;
        self.0.go_on.notify_all();
    }

    fn wait(&self) {
        let mut stall = self.0.stall.lock().unwrap();
        stall.standing += 1;
        let stands = |stall: &mut Stall| stall.left == Some(0);
        stall = self.0.go_on.wait_while(stall, stands).unwrap();
        stall.standing -= 1;
        stall.left = stall.left.map(|left| left - 1);
    }

    pub(super) fn names(&self) -> Vec<String> {
        let world = self.0.world.lock().unwrap();
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        world.names.keys().map(name).collect()
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        let world = self.0.world.lock().unwrap();
        world.files[world.names[&Path::new("/tier").join(name)]].clone()
    }

    /// Puts a file there, or changes it, as somebody else would.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) {
        let mut world = self.0.world.lock().unwrap();
        let path = Path::new("/tier").join(name);
        if let Some(id) = world.names.get(&path).copied() {
            world.files[id] = bytes.to_vec();
        } else {
            let id = world.files.len();
            world.files.push(bytes.to_vec());
            world.names.insert(path, id);
        }
    }

    pub(super) fn remove_file(&self, name: &str) {
        let mut world = self.0.world.lock().unwrap();
        world.names.remove(&Path::new("/tier").join(name)).unwrap();
    }

    /// The bytes of all files that have a name.
    pub(super) fn bytes(&self) -> u64 {
        let world = self.0.world.lock().unwrap();
        world.bytes()
    }

    pub(super) fn segments(&self) -> Vec<String> {
        let mut names = self.names();
        names.retain(|name| name.contains(".log"));
        names
    }
}

impl World {
    fn bytes(&self) -> u64 {
        self.names
            .values()
            .map(|&id| self.files[id].len() as u64)
            .sum()
    }

    fn may_change(&self, more: usize) -> io::Result<()> {
        if let Some(kind) = self.trouble.writes {
            return Err(kind.into());
        }
        let is_full = |max| more > 0 && self.bytes() as usize + more > max;
        if self.trouble.bytes_max.is_some_and(is_full) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn may_name(&self) -> io::Result<()> {
        self.trouble.names.map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl Layer for Model {
    fn lock(&self, _: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let mut world = self.0.world.lock().unwrap();
        world.may_name()?;
        world.may_change(0)?;
        if world.is_locked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        world.is_locked = true;
        Ok(Box::new(Lock(self.clone())))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LayerFile>> {
        let mut world = self.0.world.lock().unwrap();
        world.may_name()?;
        world.may_change(0)?;
        if world.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = world.files.len();
        world.files.push(Vec::new());
        world.names.insert(path.to_owned(), id);
        world.acts.push(Act::Create(path.to_owned(), id));
        Ok(Arc::new(ModelFile(self.clone(), id)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LayerFile>> {
        let world = self.0.world.lock().unwrap();
        world.may_name()?;
        let id = world.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(ModelFile(self.clone(), *id)))
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        self.0.world.lock().unwrap().may_name()?;
        Ok(self.names())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.0.world.lock().unwrap();
        world.may_name()?;
        world.may_change(0)?;
        let id = world.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        world.names.insert(to.to_owned(), id);
        world.acts.push(Act::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.0.world.lock().unwrap();
        world.may_name()?;
        world.may_change(0)?;
        world.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        world.acts.push(Act::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.wait();
        let mut world = self.0.world.lock().unwrap();
        world.may_name()?;
        world.acts.push(Act::SyncFolder);
        Ok(())
    }

    fn nonce(&self) -> u64 {
        self.0.nonce.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl LayerFile for ModelFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.wait();
        let world = self.0.0.world.lock().unwrap();
        if let Some(kind) = world.trouble.reads {
            return Err(kind.into());
        }
        let is_asked = |(start, end)| offset < end && offset + into.len() as u64 > start;
        if world.trouble.unreadable.is_some_and(is_asked) {
            return Err(io::ErrorKind::Other.into());
        }
        let rest = world.files[self.1].get(offset as usize..).unwrap_or(&[]);
        let bytes = rest.len().min(into.len());
        into[..bytes].copy_from_slice(&rest[..bytes]);
        Ok(bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.wait();
        let mut world = self.0.0.world.lock().unwrap();
        let end = offset as usize + bytes.len();
        let more = end.saturating_sub(world.files[self.1].len());
        if let Err(error) = world.may_change(more) {
            // A disk that is full takes a part.
            let half = &bytes[..bytes.len() / 2];
            write(&mut world.files[self.1], offset as usize, half);
            world
                .acts
                .push(Act::Write(self.1, offset as usize, half.to_vec()));
            return Err(error);
        }
        write(&mut world.files[self.1], offset as usize, bytes);
        world
            .acts
            .push(Act::Write(self.1, offset as usize, bytes.to_vec()));
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let mut world = self.0.0.world.lock().unwrap();
        world.may_change(0)?;
        world.files[self.1].truncate(bytes as usize);
        world.acts.push(Act::Truncate(self.1, bytes as usize));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.wait();
        let mut world = self.0.0.world.lock().unwrap();
        world.may_change(0)?;
        world.acts.push(Act::Sync(self.1));
        Ok(())
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.0.world.lock().unwrap().files[self.1].len() as u64)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.0.world.lock().unwrap().is_locked = false;
    }
}

fn write(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    file.resize(file.len().max(end), 0);
    file[offset..end].copy_from_slice(bytes);
}

/// Small numbers by chance, the same for the same seed.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, max: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % max
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}
