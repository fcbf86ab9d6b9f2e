//! One mapped MMDB file: the only place of latencify that has `unsafe` code.

use crate::{Place, record::Record};
use maxminddb::{MaxMindDbError, Mmap, Reader};
use std::{
    fs, io,
    net::IpAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A GeoIP file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum GeoIpError {
    /// It can't be opened.
    #[error("GeoIP file {}: {source}; check the path and its permissions", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not a database.
    #[error(
        "GeoIP file {}: not an MMDB file: {source}; fetch it again, and replace it by rename, not in place",
        path.display()
    )]
    NotMmdb {
        /// Which.
        path: PathBuf,
        /// Why.
        source: MaxMindDbError,
    },
}

/// What tells a file from the one that replaces it under the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    modified_s: i64,
    modified_ns: i64,
}

impl Identity {
    pub(crate) fn of(path: &Path) -> Result<Self, GeoIpError> {
        let meta = fs::metadata(path).map_err(|source| GeoIpError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            device: meta.dev(),
            inode: meta.ino(),
            bytes: meta.size(),
            modified_s: meta.mtime(),
            modified_ns: meta.mtime_nsec(),
        })
    }
}

/// One file.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) identity: Identity,
    reader: Reader<Mmap>,
}

impl File {
    pub(crate) fn open(path: &Path) -> Result<Self, GeoIpError> {
        // Taken before the file is opened: if it is replaced in between, the next look finds the difference.
        let identity = Identity::of(path)?;
        Ok(Self {
            path: path.to_owned(),
            identity,
            reader: map(path)?,
        })
    }

    /// The place of an address, if the file has a record for it. A file of IPv4 alone knows no IPv6 address.
    pub(crate) fn lookup(&self, address: IpAddr) -> Result<Option<Place>, MaxMindDbError> {
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return Ok(None);
        }
        let record: Option<Record<'_>> = self.reader.lookup(address)?.decode()?;
        Ok(record.map(|record| record.place()))
    }
}

#[allow(unsafe_code)]
fn map(path: &Path) -> Result<Reader<Mmap>, GeoIpError> {
    // SAFETY: a mapping is sound while nobody changes or shortens the mapped file. Set-up and the documented way to
    // update replace these files by rename, so the inode that is mapped here never changes and lives as long as the map.
    let opened = unsafe { Reader::open_mmap(path) };
    opened.map_err(|source| match source {
        MaxMindDbError::Io(source) => GeoIpError::Unreadable {
            path: path.to_owned(),
            source,
        },
        source => GeoIpError::NotMmdb {
            path: path.to_owned(),
            source,
        },
    })
}
