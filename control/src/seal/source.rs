//! Where the ring of keys comes from, and the file that is made where nothing is said.

use super::{
    SealError, command,
    key::{self, KEY_BYTES, Key},
};
use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use std::{
    env, fs, io,
    io::{Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The file in the data folder, where nothing is said.
pub const FILE: &str = "seal.key";
/// The variable of the environment that may hold the ring.
pub const VARIABLE: &str = "LATENCIFY_SEAL_KEY";
/// The most octets of a file of keys, or of a wrapped key.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// A file of keys is nobody's but the owner's.
const FILE_MODE: u32 = 0o600;
/// What group and others may do.
const OTHERS: u32 = 0o077;

/// Where the keys are that secrets and private keys are sealed with in the store.
///
/// A key is 32 random octets in base64 (`openssl rand -base64 32`); several stand one a line, the newest first: it seals, the
/// others only open. They may also stand in the environment, in LATENCIFY_SEAL_KEY, set apart by commas.
#[derive(Debug, Clone, Default, Args)]
pub struct SealSettings {
    /// File of the keys that secrets and private keys are sealed with in the store: 32 random octets in base64, one a line,
    /// the newest first. Nobody but its owner may read it. With --seal-key-command: the wrapped key, for its standard input.
    /// Without any of these flags and LATENCIFY_SEAL_KEY, a file in the data folder, which is made.
    #[arg(long, env = "LATENCIFY_SEAL_KEY_FILE", value_name = "FILE")]
    pub seal_key_file: Option<PathBuf>,
    /// Command whose standard output is the keys, for example one that asks a KMS; it is run by /bin/sh -c at start, for 30 s
    /// at the most.
    #[arg(long, env = "LATENCIFY_SEAL_KEY_COMMAND", value_name = "COMMAND")]
    pub seal_key_command: Option<String>,
}

/// The ring: what the operator gives, and behind it the file of the data folder if that is there, so that what an earlier run
/// sealed with it can be opened.
pub fn read(settings: &SealSettings, data_folder: &Path) -> Result<Vec<Key>, SealError> {
    let made = data_folder.join(FILE);
    let Some(mut keys) = given(settings)? else {
        return own(&made);
    };
    if made.exists() {
        let own = file("the key of the data folder", &made)?;
        keys.extend(key::read(&made.display().to_string(), &own)?);
    }
    Ok(keys)
}

fn given(settings: &SealSettings) -> Result<Option<Vec<Key>>, SealError> {
    if let Some(line) = &settings.seal_key_command {
        let wrapped = settings.seal_key_file.as_ref();
        let wrapped = wrapped
            .map(|path| octets("--seal-key-file", path))
            .transpose()?;
        let printed = command::run(line, wrapped.unwrap_or_default())?;
        return key::read("the output of --seal-key-command", &printed).map(Some);
    }
    if let Some(path) = &settings.seal_key_file {
        let text = file("--seal-key-file", path)?;
        return key::read(&path.display().to_string(), &text).map(Some);
    }
    match env::var(VARIABLE).map(Zeroizing::new) {
        Ok(text) => key::read(VARIABLE, &text).map(Some),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => key::read(VARIABLE, "not base64").map(Some),
    }
}

/// The file of the data folder, made if it is missing.
fn own(path: &Path) -> Result<Vec<Key>, SealError> {
    let what = "the key of the data folder";
    let failed = |error: io::Error| broken(what, path, error.to_string());
    if !path.exists() {
        let mut octets = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(&mut octets[..])?;
        let text = Zeroizing::new(format!("{}\n", STANDARD.encode(&octets[..])));
        let fresh = path.with_extension("key.new");
        // Left by a run that was killed meanwhile; nothing is sealed with it.
        let _ = fs::remove_file(&fresh);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&fresh)
            .map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&fresh, path).map_err(failed)?;
        if let Some(folder) = path.parent() {
            fs::File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(failed)?;
        }
    }
    tracing::warn!(
        file = %path.display(),
        "secrets and private keys are sealed with a key that lies beside them: whoever copies the data folder can open them. \
         Better: --seal-key-file on another disk, {VARIABLE}, or --seal-key-command that asks a KMS; what is there is then \
         sealed anew"
    );
    key::read(&path.display().to_string(), &file(what, path)?)
}

/// A file of keys, if nobody but its owner may read it.
fn file(what: &'static str, path: &Path) -> Result<Zeroizing<String>, SealError> {
    let octets = octets(what, path)?;
    let text = std::str::from_utf8(&octets)
        .map_err(|_| broken(what, path, "it is no text: write keys in base64"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn octets(what: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let failed = |error: io::Error| broken(what, path, error.to_string());
    let file = fs::File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    let mode = about.permissions().mode();
    if mode & OTHERS != 0 {
        let path_text = path.display();
        let why = format!(
            "others on this machine may read it (mode {:03o}): chmod 600 {path_text}",
            mode & 0o777
        );
        return Err(broken(what, path, why));
    }
    let mut octets = Zeroizing::new(Vec::with_capacity(1024));
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut octets)
        .map_err(failed)?;
    if octets.len() as u64 > FILE_BYTES_MAX {
        return Err(broken(what, path, "it is larger than 64 KiB"));
    }
    Ok(octets)
}

fn broken(what: &'static str, path: &Path, why: impl Into<String>) -> SealError {
    SealError::File {
        what,
        path: path.display().to_string(),
        why: why.into(),
    }
}
