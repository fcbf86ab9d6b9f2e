//! What is said of the disk tier.

use super::{duration, size};
use crate::{disk, fleet};
use clap::{ArgMatches, Args, parser::ValueSource};
use std::{path::PathBuf, time::Duration};

/// Flags of the disk tier.
#[derive(Debug, Args)]
pub(super) struct DiskTier {
    /// Existing folder, for it alone, of the disk tier: stored responses that a restart survives. Without it, there is none.
    /// Empty the folder if this edge has run without it: what was purged then is not known there. What is larger than a quarter of
    /// --cache-memory is stored there alone.
    #[arg(long, env = "LATENCIFY_DISK", value_name = "DIR")]
    disk: Option<PathBuf>,
    /// The most bytes of all files in that folder.
    #[arg(long, env = "LATENCIFY_DISK_BYTES", value_name = "SIZE", default_value = "10GiB", value_parser = size)]
    disk_bytes: u64,
    /// How long a request waits for the disk tier to find something before it goes to the origin, like 500ms; four times as long for a
    /// body to be verified before it is sent, and for a purge of this edge alone to be on disk.
    #[arg(long, env = "LATENCIFY_DISK_WAIT", value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    disk_wait: Duration,
}

impl DiskTier {
    /// The disk tier; none: there is none.
    ///
    /// # Errors
    /// The folder, its size or the wait can't be used.
    pub(super) fn options(self, in_fleet: bool) -> Result<Option<disk::Options>, String> {
        let options = self.disk.map(|folder| disk::Options {
            folder,
            bytes_max: self.disk_bytes,
            wait: self.disk_wait,
            in_fleet,
        });
        options.as_ref().map_or(Ok(()), disk::Options::check)?;
        Ok(options)
    }
}

/// What is said of a disk tier has to go with one.
pub(super) fn with_disk(matches: &ArgMatches) -> Result<(), String> {
    let source = |flag: &str| matches.value_source(flag);
    if !matches.contains_id("disk") {
        let is_typed = |flag: &&&str| source(flag) == Some(ValueSource::CommandLine);
        return match ["disk_bytes", "disk_wait"].iter().find(is_typed) {
            Some(flag) => Err(format!(
                "--{} has no effect without --disk DIR: leave it out, or name the folder of a disk tier",
                flag.replace('_', "-")
            )),
            None => Ok(()),
        };
    }
    let acks = matches.get_one("acks");
    let is_said = source("acks") != Some(ValueSource::DefaultValue);
    if is_said && acks == Some(&fleet::Acks::Obeyed) {
        return Err(
            "--acks obeyed can't be with --disk: a purge that was acknowledged must hold after a restart; leave --acks out"
                .into(),
        );
    }
    Ok(())
}
