//! The journal's form, version 1: lines of text. Each begins with a digest over the digest of the line before it and its own
//! text, so a line that was altered, dropped or moved is noticed. The first names the snapshot that the journal follows.

use latencify_conf::{
    change::{Epoch, Mode, Position, Target},
    digest::Digest,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::time::{Duration, SystemTime};

/// The version that is written. Every former version stays readable.
const VERSION: u32 = 1;

/// What was obeyed together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The edge started over here, first: so earlier versions wrote it. All marks are saved at once now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<Position>,
    /// Then these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purges: Vec<Purge>,
    /// And then everything up to here was obeyed.
    pub obeyed: Position,
}

/// One purge entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// Its epoch.
    pub epoch: Epoch,
    /// Hard or soft.
    pub mode: Mode,
    /// When it was obeyed, on the clock of the marks: milliseconds since 1970.
    at_ms: u64,
    /// What it names.
    pub targets: Vec<Target>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    journal: u32,
    snapshot: Digest,
}

impl Purge {
    /// A purge that was obeyed at that time.
    pub fn new(targets: &[Target], mode: Mode, epoch: Epoch, at: SystemTime) -> Self {
        let at = at.duration_since(SystemTime::UNIX_EPOCH);
        Self {
            epoch,
            mode,
            at_ms: at.unwrap_or_default().as_millis() as u64,
            targets: targets.to_vec(),
        }
    }

    /// When it was obeyed.
    pub fn at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.at_ms)
    }
}

/// What a journal holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    /// The snapshot that it follows.
    pub snapshot: Digest,
    /// What was obeyed after that, in order.
    pub records: Vec<Record>,
    /// Whether a torn last record was left out.
    pub is_torn: bool,
}

/// Writes lines, each bound to those before it.
#[derive(Debug, Clone)]
pub struct Chain(Digest);

impl Chain {
    /// The beginning of a journal that follows this snapshot, and its first line.
    pub fn begin(snapshot: Digest) -> serde_json::Result<(Self, Vec<u8>)> {
        let mut chain = Self(Digest([0; 32]));
        let head = Head {
            journal: VERSION,
            snapshot,
        };
        let line = chain.line(&head)?;
        Ok((chain, line))
    }

    /// The line of one more record.
    pub fn record(&mut self, record: &Record) -> serde_json::Result<Vec<u8>> {
        self.line(record)
    }

    fn line(&mut self, what: &impl Serialize) -> serde_json::Result<Vec<u8>> {
        let text = serde_json::to_vec(what)?;
        self.0 = next(self.0, &text);
        let mut line = format!("{} ", self.0).into_bytes();
        line.extend_from_slice(&text);
        line.push(b'\n');
        Ok(line)
    }

    fn read<T: DeserializeOwned>(&mut self, line: &[u8]) -> Result<T, String> {
        let space = line.iter().position(|byte| *byte == b' ');
        let (digest, text) = space
            .and_then(|at| line.split_at_checked(at))
            .ok_or("no digest")?;
        let text = text.get(1..).unwrap_or_default();
        let expected = next(self.0, text);
        if digest != expected.to_string().as_bytes() {
            return Err("its digest is wrong".into());
        }
        let read = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        self.0 = expected;
        Ok(read)
    }
}

/// Reads a journal. The error names the line and says what is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Read, String> {
    let mut chain = Chain(Digest([0; 32]));
    let mut lines = (1..)
        .zip(bytes.split_inclusive(|byte| *byte == b'\n'))
        .peekable();
    let whole = |line: &[u8]| {
        line.strip_suffix(b"\n")
            .map(<[u8]>::to_vec)
            .ok_or("it is cut off".to_owned())
    };
    let head: Head = match lines.next() {
        None => return Err("it is empty".into()),
        Some((_, line)) => whole(line)
            .and_then(|line| chain.read(&line))
            .map_err(|why| format!("line 1: {why}"))?,
    };
    if head.journal != VERSION {
        return Err(format!(
            "format {} is of another version of this program; this one writes {VERSION}",
            head.journal
        ));
    }
    let mut found = Read {
        snapshot: head.snapshot,
        records: Vec::new(),
        is_torn: false,
    };
    while let Some((number, line)) = lines.next() {
        match whole(line).and_then(|line| chain.read(&line)) {
            Ok(record) => found.records.push(record),
            Err(_) if lines.peek().is_none() => found.is_torn = true,
            Err(why) => return Err(format!("line {number}: {why}")),
        }
    }
    Ok(found)
}

fn next(previous: Digest, text: &[u8]) -> Digest {
    Digest::of_parts([previous.0.as_slice(), text])
}
