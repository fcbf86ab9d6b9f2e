//! The edge's state folder: the last good policy, with which an edge starts while control is away; and, by
//! [`saved`](super::saved), what it obeys. One process at a time writes into it.

use latencify_cache::History;
use latencify_conf::{
    bundle::Bundle,
    change::{LogId, Revision, SiteId},
    digest::Digest,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::watch;

/// The most bytes of a saved policy: a bundle as JSON, whose texts may need escapes.
const SAVED_BYTES_MAX: u64 = 3 * latencify_conf::bundle::BUNDLE_BYTES_MAX as u64;
/// The version of the file's format that is written. Every former version stays readable.
const FORMAT: u32 = 2;
const FILE: &str = "policy.json";

/// Held, by a lock of the system, by the one process that writes into the folder.
const LOCK_FILE: &str = "lock";

/// The folder. Clones share its lock.
#[derive(Debug, Clone)]
pub struct StateFolder {
    path: PathBuf,
    lock: Arc<Lock>,
}

#[derive(Debug)]
struct Lock {
    file: Mutex<Option<File>>,
    is_ours: watch::Sender<bool>,
}

/// A policy that was in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedPolicy {
    /// The log that its revision is of.
    pub log: LogId,
    /// The history that the ids of its sites are of.
    pub history: History,
    /// Its number.
    pub revision: Revision,
    /// The digest of its bundle.
    pub digest: Digest,
    /// The ids of its sites.
    pub sites: BTreeMap<String, SiteId>,
    /// Its files.
    pub bundle: Bundle,
}

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    log: LogId,
    history: History,
    revision: Revision,
    digest: Digest,
    sites: &'a BTreeMap<String, SiteId>,
    bundle: &'a Bundle,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    format: u32,
    log: LogId,
    /// Format 1 did not say.
    #[serde(default)]
    history: History,
    revision: Revision,
    digest: Digest,
    sites: BTreeMap<String, SiteId>,
    bundle: Bundle,
}

impl StateFolder {
    /// Opens the folder, making it if need be. Policies may hold secrets: only this user may read it.
    pub fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self {
            path: path.to_owned(),
            lock: Arc::new(Lock {
                file: Mutex::new(None),
                is_ours: watch::Sender::new(false),
            }),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes this process the one that writes here, and says whether it is; false: another one is. The lock ends with the
    /// process. An error: nobody can write here now, on a full or read-only disk, say.
    pub fn own(&self) -> io::Result<bool> {
        let mut held = self.lock.file.lock();
        if held.is_some() {
            return Ok(true);
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path.join(LOCK_FILE))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        *held = Some(file);
        drop(held);
        self.lock.is_ours.send_replace(true);
        Ok(true)
    }

    /// Whether this process writes here, and when that changes.
    pub fn is_ours(&self) -> watch::Receiver<bool> {
        self.lock.is_ours.subscribe()
    }

    /// Puts these bytes in the place of a file: whoever reads finds the former ones or these, whole, even after a power cut.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = self.path.join(format!("{name}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.path.join(name))?;
        File::open(&self.path)?.sync_all()
    }

    /// The saved policy; none: nothing was saved yet. A file that can't be trusted is an error that says why.
    pub fn load(&self) -> Result<Option<SavedPolicy>, String> {
        let path = self.path.join(FILE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let mut text = Vec::new();
        file.take(SAVED_BYTES_MAX + 1)
            .read_to_end(&mut text)
            .map_err(|error| error.to_string())
            .and_then(|_| read(&text))
            .map(Some)
            .map_err(|reason| format!("{}: {reason}", path.display()))
    }

    /// Saves a policy: whoever reads finds the former one or this one, whole, even after a power cut.
    pub fn save(&self, saved: &SavedPolicy) -> io::Result<()> {
        self.replace(FILE, &write(saved)?)
    }
}

fn write(saved: &SavedPolicy) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Written {
        format: FORMAT,
        log: saved.log,
        history: saved.history,
        revision: saved.revision,
        digest: saved.digest,
        sites: &saved.sites,
        bundle: &saved.bundle,
    })
}

fn read(text: &[u8]) -> Result<SavedPolicy, String> {
    if text.len() as u64 > SAVED_BYTES_MAX {
        return Err(format!("larger than {SAVED_BYTES_MAX} bytes"));
    }
    let found: Found = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if !(1..=FORMAT).contains(&found.format) {
        return Err(format!(
            "format {} is of another version of this program; this one reads 1 to {FORMAT}",
            found.format
        ));
    }
    let digest = found.bundle.digest();
    if digest != found.digest {
        return Err(format!(
            "its files have the digest {digest}, but {} was saved",
            found.digest
        ));
    }
    Ok(SavedPolicy {
        log: found.log,
        history: found.history,
        revision: found.revision,
        digest,
        sites: found.sites,
        bundle: found.bundle,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// As version 1 was written, and is read forever.
    const FORMAT_1: &str = include_str!("state/policy.v1.json");
    /// As version 2 is written.
    const FORMAT_2: &str = include_str!("state/policy.v2.json");

    fn saved() -> SavedPolicy {
        let bundle = Bundle::single("shop.yaml", "version: 1\n# \"ü\"\n");
        SavedPolicy {
            log: LogId(Uuid::from_u128(7)),
            history: History::default(),
            revision: Revision(3),
            digest: bundle.digest(),
            sites: [("shop".to_owned(), SiteId(4))].into(),
            bundle,
        }
    }

    #[test]
    fn a_saved_policy_is_found_again_and_replaces_the_former_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let state = StateFolder::open(&path).unwrap();
        assert_eq!(state.load(), Ok(None));
        state.save(&saved()).unwrap();
        let newer = SavedPolicy {
            revision: Revision(4),
            ..saved()
        };
        state.save(&newer).unwrap();
        assert_eq!(StateFolder::open(&path).unwrap().load(), Ok(Some(newer)));
        let names: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, [FILE], "nothing temporary is left");
    }

    #[test]
    fn a_file_that_can_not_be_trusted_is_refused_with_the_reason() {
        let good = String::from_utf8(write(&saved()).unwrap()).unwrap();
        let cases = [
            (String::new(), "EOF"),
            (good[..good.len() / 2].to_owned(), "EOF"),
            (good.replace("version: 1", "version: 2"), "digest"),
            (good.replace("\"format\":2", "\"format\":9"), "format 9"),
            (good.replace("\"log\"", "\"lag\""), "lag"),
            ("\0".repeat(100), "expected value"),
        ];
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(folder.path()).unwrap();
        for (text, reason) in cases {
            fs::write(folder.path().join(FILE), &text).unwrap();
            let error = state.load().unwrap_err();
            assert!(error.contains(reason) && error.contains(FILE), "{error}");
        }
        fs::write(folder.path().join(FILE), good).unwrap();
        assert_eq!(state.load(), Ok(Some(saved())));
    }

    #[test]
    fn every_format_ever_written_is_read() {
        assert_eq!(read(FORMAT_1.as_bytes()), Ok(saved()));
        let told: SavedPolicy = read(FORMAT_2.as_bytes()).unwrap();
        assert_ne!(told.history, History::default());
        assert_eq!(write(&told).unwrap(), FORMAT_2.trim_end().as_bytes());
    }
}
