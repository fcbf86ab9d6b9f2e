//! The files that are in force, and their replacement.

use crate::{
    Place,
    file::{File, GeoIpError, Identity},
};
use arc_swap::ArcSwap;
use std::{
    fmt,
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Looks addresses up; shared by all workers, and never blocked by a reload.
pub struct GeoIp {
    files: ArcSwap<Vec<Arc<File>>>,
    failures: AtomicU64,
}

/// What [`GeoIp::reload_if_changed`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// Every file is the one that is mapped.
    Unchanged,
    /// At least one had been replaced, and the new one is in force.
    Reloaded,
}

impl GeoIp {
    /// Opens files; an address is looked up in each, in this order, until one knows it. No files: no place is known.
    pub fn open(paths: &[PathBuf]) -> Result<Self, GeoIpError> {
        let files = paths
            .iter()
            .map(|path| File::open(path).map(Arc::new))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            files: ArcSwap::from_pointee(files),
            failures: AtomicU64::new(0),
        })
    }

    /// Where an address is. An IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`) is looked up as IPv4. A record that
    /// can't be read counts as unknown, and is [counted](Self::failures).
    pub fn lookup(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        self.files.load().iter().find_map(|file| {
            file.lookup(address).unwrap_or_else(|_| {
                self.failures.fetch_add(1, Ordering::Relaxed);
                None
            })
        })
    }

    /// How many look-ups met a record that can't be read: a damaged file. Fetch it again.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Opens the files again that were replaced (another inode, time or size). All or nothing: on an error the files
    /// that were in force stay.
    pub fn reload_if_changed(&self) -> Result<Reload, GeoIpError> {
        let old = self.files.load_full();
        let mut reload = Reload::Unchanged;
        let mut new = Vec::with_capacity(old.len());
        for file in old.iter() {
            if Identity::of(&file.path)? == file.identity {
                new.push(Arc::clone(file));
            } else {
                new.push(Arc::new(File::open(&file.path)?));
                reload = Reload::Reloaded;
            }
        }
        if reload == Reload::Reloaded {
            self.files.store(Arc::new(new));
        }
        Ok(reload)
    }
}

impl fmt::Debug for GeoIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.load();
        f.debug_struct("GeoIp")
            .field(
                "files",
                &files.iter().map(|file| &file.path).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}
