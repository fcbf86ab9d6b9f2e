//! The disk on which an edge keeps its marks: two files, which the shipped keeper writes and the shipped reader believes or not;
//! and what may become of them meanwhile.

use crate::random::Random;
use latencify_gateway::fleet::saved::{
    Loaded, Unfit,
    image::{self, JOURNAL, SNAPSHOT},
};
use std::{collections::BTreeMap, io, time::Duration};

type Files = BTreeMap<&'static str, Vec<u8>>;

/// A disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// What whoever reads finds.
    seen: Files,
    /// What is left of it when the power goes.
    durable: Files,
    /// Until then nothing can be written.
    pub full_until: Duration,
    /// Until then it says of what it is to keep that it is kept, and it is not.
    pub lies_until: Duration,
    now: Duration,
    /// The machine dies within the write after so many.
    dies_after: Option<u64>,
    has_died: bool,
}

impl Disk {
    /// What an earlier run saved, as the shipped reader finds it.
    pub fn load(&self) -> Result<Option<Loaded>, Unfit> {
        let file = |name| self.seen.get(name).map(Vec::as_slice);
        image::read(file(SNAPSHOT), file(JOURNAL))
    }

    /// It is so late.
    pub fn turn(&mut self, now: Duration) {
        self.now = now;
    }

    /// Whether the machine died within a write.
    pub fn has_died(&self) -> bool {
        self.has_died
    }

    /// The machine will die within the write after so many.
    pub fn dies_after(&mut self, writes: u64) {
        self.dies_after = Some(writes);
    }

    /// The machine has died, or has not: another run may write.
    pub fn revives(&mut self) {
        self.dies_after = None;
        self.has_died = false;
    }

    /// The power goes. Says whether that took what had been said to be kept.
    pub fn loses_power(&mut self) -> bool {
        let is_less = self.seen != self.durable;
        self.seen.clone_from(&self.durable);
        is_less
    }

    /// Alters one bit of a file; says whether there is one.
    pub fn flips_a_bit(&mut self, random: &mut Random) -> bool {
        let name = if random.permille(700) {
            JOURNAL
        } else {
            SNAPSHOT
        };
        let Some(bytes) = self.seen.get_mut(name) else {
            return false;
        };
        let (at, bit) = (random.index(bytes.len()), random.below(8));
        let Some(byte) = bytes.get_mut(at) else {
            return false;
        };
        *byte ^= 1 << bit;
        self.durable.clone_from(&self.seen);
        true
    }

    fn is_full(&self) -> bool {
        self.now < self.full_until
    }

    fn dies_within(&mut self) -> bool {
        match &mut self.dies_after {
            None => false,
            Some(0) => {
                self.has_died = true;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }

    fn written(&mut self) {
        if self.now >= self.lies_until {
            self.durable.clone_from(&self.seen);
        }
    }
}

impl image::Disk for Disk {
    fn replace(&mut self, file: &'static str, bytes: &[u8]) -> io::Result<()> {
        if self.is_full() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if self.dies_within() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.seen.insert(file, bytes.to_vec());
        self.written();
        Ok(())
    }

    fn append(&mut self, file: &'static str, bytes: &[u8]) -> io::Result<()> {
        let is_torn = self.dies_within();
        // A full disk takes the beginning of a line, too.
        let is_whole = !is_torn && !self.is_full();
        let kept = if is_whole {
            bytes.len()
        } else {
            bytes.len() / 2
        };
        let written = bytes.get(..kept).unwrap_or_default();
        self.seen.entry(file).or_default().extend(written);
        self.written();
        if is_whole {
            Ok(())
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
}
