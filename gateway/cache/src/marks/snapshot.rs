//! The marks as they are written to disk, so that an edge that starts again judges what it stored before as it would have
//! judged it without a stop. Pure: who writes it where, how often, and with which checksum, is the caller's.
//!
//! **Version 2** is text, one JSON object a line. The first says the version and where the edge stands; each further one is
//! the mark of one target. Marks come in the order of what they name, so that equal marks are equal bytes. Version 1 did not
//! say which history is obeyed.
//!
//! **Local marks** are numbered by this edge alone, and no log repeats them. A snapshot holds them, their floor and the last
//! number, and the numbers go on from there. What was made after the last snapshot that reached the disk is lost in a crash;
//! see [`LocalMarks`].
//!
//! **Soft purges** keep the times at which they were made, on the edge's clock of then.

use super::{History, Marks, Rules, mark::Mark};
use crate::stamp::{Floor, Stamp};
use latencify_conf::change::{Epoch, Position, Target};
use serde::{Deserialize, Serialize};

/// The version that is written. Every former one is read.
const VERSION: u32 = 2;
/// The most bytes that are read back: more than [`MarkBounds`](super::MarkBounds) let a snapshot have, names escaped.
pub const SNAPSHOT_BYTES_MAX: usize = 1 << 30;
/// A run makes fewer local marks than this after its last snapshot.
const LOCAL_LEAP: u64 = 1 << 40;

/// All marks at one moment, and what was obeyed then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarksSnapshot {
    head: Head,
    marks: Vec<Line>,
}

/// What has become of local marks that were made after the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalMarks {
    /// There are none: nothing was stored or purged between the snapshot and the stop.
    Known,
    /// Some may be lost: whatever was stored before is dead, for any of them could have named it.
    Lost,
}

/// A snapshot that can't be read. Nothing of it may be believed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Larger than [`SNAPSHOT_BYTES_MAX`].
    #[error("a snapshot of marks of {0} bytes is larger than {SNAPSHOT_BYTES_MAX}")]
    TooLarge(usize),
    /// No line, or none that ends: it was cut off.
    #[error("a snapshot of marks that is cut off")]
    CutOff,
    /// Of another version.
    #[error("a snapshot of marks of version {0}: this program reads versions 1 to {VERSION}")]
    Version(u32),
    /// A line that is not what its version says.
    #[error("line {line} of a snapshot of marks: {why}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        why: serde_json::Error,
    },
}

/// What every version begins with.
#[derive(Deserialize)]
struct Versioned {
    marks: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// The version.
    marks: u32,
    obeyed: Option<Position>,
    #[serde(default)]
    history: History,
    /// The last local number.
    local: u64,
    floor_epoch: Epoch,
    floor_local: u64,
    /// Lines that follow.
    lines: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    target: Target,
    mark: Mark,
}

impl MarksSnapshot {
    /// What was obeyed.
    pub fn obeyed(&self) -> Option<Position> {
        self.head.obeyed
    }

    /// How many marks it holds.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether it holds no mark.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// As it is written.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(&self.head)?;
        for line in &self.marks {
            bytes.push(b'\n');
            serde_json::to_writer(&mut bytes, line)?;
        }
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        if bytes.len() > SNAPSHOT_BYTES_MAX {
            return Err(SnapshotError::TooLarge(bytes.len()));
        }
        let whole = bytes.strip_suffix(b"\n").ok_or(SnapshotError::CutOff)?;
        let mut lines = (1..).zip(whole.split(|byte| *byte == b'\n'));
        let (_, first) = lines.next().ok_or(SnapshotError::CutOff)?;
        let at = |line| move |why| SnapshotError::Line { line, why };
        let Versioned { marks: version } = serde_json::from_slice(first).map_err(at(1))?;
        if !(1..=VERSION).contains(&version) {
            return Err(SnapshotError::Version(version));
        }
        let mut head: Head = serde_json::from_slice(first).map_err(at(1))?;
        head.marks = VERSION;
        let marks = lines
            .map(|(line, text)| serde_json::from_slice(text).map_err(at(line)))
            .collect::<Result<Vec<Line>, _>>()?;
        if marks.len() != head.lines {
            return Err(SnapshotError::CutOff);
        }
        Ok(Self { head, marks })
    }
}

impl<R: Rules> Marks<R> {
    /// All marks and what is obeyed, at one moment.
    pub fn snapshot(&self) -> MarksSnapshot {
        let state = self.state.read();
        let mut marks: Vec<Line> = state
            .index
            .entries()
            .map(|(target, mark)| Line { target, mark })
            .collect();
        // What is in memory does not outlive the process.
        let floor = state.kept.as_ref().map_or(state.floor, |kept| kept.floor);
        let head = Head {
            marks: VERSION,
            obeyed: state.obeyed,
            history: self.history(),
            local: state.now.local,
            floor_epoch: floor.epoch,
            floor_local: floor.local,
            lines: marks.len(),
        };
        drop(state);
        marks.sort_unstable_by(|a, b| a.target.cmp(&b.target));
        MarksSnapshot { head, marks }
    }

    /// Takes the place of everything that these marks said and obeyed. To be called before anything is fetched or stored:
    /// what was stored before the snapshot is judged as it was judged then. More marks than the bounds allow are widened.
    pub fn restore(&self, snapshot: MarksSnapshot, locals: LocalMarks) {
        let MarksSnapshot { head, marks } = snapshot;
        let number = self.number_of_now();
        self.change(|state| {
            state.index.clear();
            state.resets += 1;
            self.set_history(head.history);
            state.obeyed = head.obeyed;
            state.now = Stamp {
                log: head.obeyed.map(|obeyed| obeyed.log),
                epoch: head.obeyed.map_or(Epoch(0), |obeyed| obeyed.epoch),
                local: head.local,
            };
            state.floor = Floor {
                epoch: head.floor_epoch,
                local: head.floor_local,
            };
            for Line { target, mark } in marks {
                state.index.restore(&target, mark);
            }
            if locals == LocalMarks::Lost {
                // No lost mark has a number as high, and nothing that was stored has.
                if state.kept.is_none() {
                    state.now.local = state.now.local.saturating_add(LOCAL_LEAP);
                    state.floor.local = state.now.local;
                }
            }
            state.keep_restored(number);
            state.reset = state.floor;
        });
    }
}
