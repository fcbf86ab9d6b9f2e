//! The session of a login, kept between commands: one file a server in the user's configuration folder, which nobody else may
//! read.
//!
//! The access token is refreshed when it is about to expire. A refresh token counts once, and shown again it ends the session;
//! so whoever refreshes holds the file's lock, and looks first whether another command has done it meanwhile.

use crate::{failure::Failure, output};
use latencify_conf::{
    api::{LoggedIn, Refresh},
    digest::Digest,
};
use serde::{Deserialize, Serialize};
use std::{
    env, fs,
    fs::File,
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};
use url::Url;

/// The folder, unless the system's convention is to hold.
const CONFIG_VARIABLE: &str = "LATENCIFY_CONFIG";
/// An access token that counts for less is refreshed before it is used. Seconds.
const REFRESH_BEFORE_S: u64 = 60;
/// Who may read the file, and the folder.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// What is kept of a login. It holds tokens, so it has no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Session {
    /// The server that it is of.
    server: String,
    /// The account.
    pub user: String,
    access_token: String,
    /// Seconds since 1970.
    access_expires: u64,
    refresh_token: String,
    /// Seconds since 1970.
    pub expires: u64,
}

/// Where the session of a server is kept.
#[derive(Clone)]
pub struct Place {
    server: String,
    file: PathBuf,
}

impl Place {
    /// Of this server; none: there is no folder for it.
    pub fn of(server: &Url) -> Option<Self> {
        let folder = folder()?;
        let name = Digest::of_text(server.as_str()).to_string();
        let name: String = name
            .trim_start_matches("sha256:")
            .chars()
            .take(16)
            .collect();
        Some(Self {
            server: server.to_string(),
            file: folder.join("sessions").join(format!("{name}.json")),
        })
    }

    /// The session that is kept; none: there is none. A file that others may read is mended, and told of.
    pub fn read(&self) -> Result<Option<Session>, Failure> {
        let unreadable = |error| Failure::file("read the session in", &self.file, &error);
        let text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(unreadable(error)),
        };
        let mode = fs::metadata(&self.file)
            .map_err(unreadable)?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(&self.file, fs::Permissions::from_mode(FILE_MODE))
                .map_err(unreadable)?;
            output::remark(&format!(
                "{} could be read by others (mode {:o}) and can't any more; if somebody may have, end the session: latencify logout",
                self.file.display(),
                mode & 0o777
            ));
        }
        let session: Option<Session> = serde_json::from_str(&text).ok();
        Ok(session.filter(|session| session.server == self.server))
    }

    /// Keeps what a login or a refresh gave.
    pub fn keep(&self, user: &str, given: &LoggedIn) -> Result<Session, Failure> {
        let now = now();
        let session = Session {
            server: self.server.clone(),
            user: user.to_owned(),
            access_token: given.access_token.clone(),
            access_expires: now + given.expires_in,
            refresh_token: given.refresh_token.clone(),
            expires: now + given.refresh_expires_in,
        };
        let unwritable = |error| Failure::file("keep the session in", &self.file, &error);
        self.make_folder().map_err(unwritable)?;
        let text = serde_json::to_vec(&session)
            .map_err(|error| Failure::failed(format!("the session can't be encoded: {error}")))?;
        write(&self.file, &text).map_err(unwritable)?;
        Ok(session)
    }

    /// Forgets the session.
    pub fn forget(&self) -> Result<(), Failure> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Failure::file("remove the session in", &self.file, &error))
            }
            _ => Ok(()),
        }
    }

    /// One command at a time has this.
    pub fn lock(&self) -> Result<File, Failure> {
        let unlockable = |error| Failure::file("lock the session in", &self.file, &error);
        self.make_folder().map_err(unlockable)?;
        let lock = fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(self.file.with_extension("lock"))
            .map_err(unlockable)?;
        lock.lock().map_err(unlockable)?;
        Ok(lock)
    }

    fn make_folder(&self) -> std::io::Result<()> {
        let Some(folder) = self.file.parent() else {
            return Ok(());
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(folder)
    }
}

impl Session {
    /// The access token, if it counts for long enough.
    pub fn access(&self) -> Option<String> {
        let counts = self.access_expires > now() + REFRESH_BEFORE_S;
        counts.then(|| self.access_token.clone())
    }

    /// What asks for the next tokens.
    pub fn refresh(&self) -> Refresh {
        Refresh {
            refresh_token: self.refresh_token.clone(),
        }
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn folder() -> Option<PathBuf> {
    let variable = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable(CONFIG_VARIABLE)
        .or_else(|| variable("XDG_CONFIG_HOME").map(|folder| folder.join("latencify")))
        .or_else(|| variable("HOME").map(|home| home.join(".config/latencify")))
}

/// All at once, and never readable by others, whatever the file was before.
fn write(file: &Path, text: &[u8]) -> std::io::Result<()> {
    let fresh = file.with_extension(format!("new-{}", std::process::id()));
    let _ = fs::remove_file(&fresh);
    let mut opened = fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(FILE_MODE)
        .open(&fresh)?;
    opened.write_all(text)?;
    opened.sync_all()?;
    fs::rename(fresh, file)
}
