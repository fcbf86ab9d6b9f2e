//! Where the files of `latencify dev` lie.

use crate::failure::Failure;
use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// The file that says that a folder is ours, and that is locked while it is in use.
const LOCK: &str = ".latencify-dev";
/// What a run leaves, and the next run from scratch clears.
const CLEARED: [&str; 9] = [
    "control",
    "edges",
    "kafka",
    "logs",
    "ports",
    "certificates",
    "geoip",
    "dev.json",
    "env",
];

/// Synthetic places of loopback addresses: 127.10.0.0/16 Paris, 127.20.0.0/16 Tokyo, 127.30.0.0/16 New York.
const LOOPBACK_PLACES: &[u8] = include_bytes!("../../../../geoip/fixtures/loopback.mmdb");
/// `${LATENCIFY_CACHE:-~/.cache/latencify}`: what set-up installs, and where runs lie.
pub fn cache_folder() -> PathBuf {
    let named = env::var_os("LATENCIFY_CACHE")
        .filter(|name| !name.is_empty())
        .map(PathBuf::from);
    named.unwrap_or_else(|| {
        PathBuf::from(env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache/latencify")
    })
}

/// The folder of a run.
pub struct Layout {
    /// Absolute.
    pub dir: PathBuf,
    /// The API token.
    pub api_token: String,
    /// The token that edges join with.
    pub join_token: String,
    _lock: File,
}

impl Layout {
    /// Takes the folder, clears what the last run left unless it is kept, and writes what a run starts with.
    pub fn prepare(dir: Option<PathBuf>, keep: bool) -> Result<Self, Failure> {
        let dir = dir.unwrap_or_else(|| cache_folder().join("dev"));
        make_private(&dir)?;
        let dir = dir
            .canonicalize()
            .map_err(|error| Failure::file("use", &dir, &error))?;
        let lock = take(&dir)?;
        if !keep {
            clear(&dir)?;
        }
        let api_token = token(&dir.join("api-token"), keep)?;
        let join_token = token(&dir.join("join-token"), keep)?;
        let layout = Self {
            dir,
            api_token,
            join_token,
            _lock: lock,
        };
        for folder in ["control", "edges", "logs", "ports", "certificates", "geoip"] {
            make_private(&layout.dir.join(folder))?;
        }
        // Of an earlier run: whoever waits for them must not find them.
        clear_folder(&layout.dir.join("ports"))?;
        write(&layout.loopback_places(), LOOPBACK_PLACES)?;
        Ok(layout)
    }

    /// The API token's file.
    pub fn api_token_file(&self) -> PathBuf {
        self.dir.join("api-token")
    }

    /// The join token's file.
    pub fn join_token_file(&self) -> PathBuf {
        self.dir.join("join-token")
    }

    /// The MMDB file with places of loopback addresses.
    pub fn loopback_places(&self) -> PathBuf {
        self.dir.join("geoip/loopback.mmdb")
    }

    /// The demo policy, as applied.
    pub fn policy(&self) -> PathBuf {
        self.dir.join("policy.yaml")
    }

    /// Certificates of the demo's hosts, their keys and their CA.
    pub fn certificates(&self) -> PathBuf {
        self.dir.join("certificates")
    }

    /// Where a child says which addresses it has bound.
    pub fn ports(&self, child: &str) -> PathBuf {
        self.dir.join("ports").join(format!("{child}.json"))
    }

    /// What a child prints.
    pub fn log(&self, child: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{child}.log"))
    }
}

/// Writes a file that only its owner reads.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| Failure::file("write", path, &error))
}

/// Replaces a file at once: whoever reads it sees the old or the new one.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut new = path.to_owned().into_os_string();
    new.push(".new");
    let new = PathBuf::from(new);
    write(&new, bytes)?;
    fs::rename(&new, path).map_err(|error| Failure::file("write", path, &error))
}

fn make_private(folder: &Path) -> Result<(), Failure> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.map_err(|error| Failure::file("make", folder, &error))
}

/// Locks the folder for this run. A folder with somebody else's files in it is left alone.
fn take(dir: &Path) -> Result<File, Failure> {
    let lock_file = dir.join(LOCK);
    let is_empty = fs::read_dir(dir)
        .map_err(|error| Failure::file("read", dir, &error))?
        .next()
        .is_none();
    if !is_empty && !lock_file.exists() {
        return Err(Failure::failed(format!(
            "{} holds files that are not of `latencify dev`",
            dir.display()
        ))
        .with_help("name a new or empty folder with --dir"));
    }
    let open = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_file);
    let lock = open.map_err(|error| Failure::file("write", &lock_file, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Failure::failed(format!(
            "another `latencify dev` runs in {}",
            dir.display()
        ))
        .with_help("end it, or name another folder with --dir")),
        Err(TryLockError::Error(error)) => Err(Failure::file("lock", &lock_file, &error)),
    }
}

fn clear(dir: &Path) -> Result<(), Failure> {
    for name in CLEARED {
        let path = dir.join(name);
        let cleared = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match cleared {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::file("clear", &path, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn clear_folder(folder: &Path) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).map_err(|error| Failure::file("read", folder, &error))?;
    for entry in entries.flatten() {
        fs::remove_file(entry.path())
            .map_err(|error| Failure::file("clear", &entry.path(), &error))?;
    }
    Ok(())
}

/// A token of 244 random bits, in a file that only its owner reads.
fn token(path: &Path, keep: bool) -> Result<String, Failure> {
    if keep && let Ok(token) = fs::read_to_string(path) {
        return Ok(token.trim().to_owned());
    }
    let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    write(path, token.as_bytes())?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_cleared_or_kept_and_never_shared() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("dev");
        let first = Layout::prepare(Some(dir.clone()), false).unwrap();
        write(&first.log("control"), b"x").unwrap();
        assert!(Layout::prepare(Some(dir.clone()), false).is_err(), "in use");
        let token = first.api_token.clone();
        drop(first);
        let kept = Layout::prepare(Some(dir.clone()), true).unwrap();
        assert_eq!(kept.api_token, token);
        assert!(kept.log("control").exists());
        drop(kept);
        let fresh = Layout::prepare(Some(dir.clone()), false).unwrap();
        assert_ne!(fresh.api_token, token);
        assert!(!fresh.log("control").exists());
    }

    #[test]
    fn a_folder_with_other_files_is_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("thesis.tex"), "…").unwrap();
        assert!(Layout::prepare(Some(scratch.path().to_owned()), false).is_err());
        assert!(!scratch.path().join("api-token").exists());
    }
}
