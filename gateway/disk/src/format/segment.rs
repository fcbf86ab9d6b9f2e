//! The head of a segment, and the names of files.

use super::{Cursor, FORMAT_VERSION, Unreadable};

/// Length of a segment's head.
pub(crate) const SEGMENT_HEAD_BYTES: u32 = 28;
/// Files whose names begin so are the owner's of the tier, and left to it.
pub const OWNERS_PREFIX: &str = "owner-";
const MAGIC: [u8; 8] = *b"LcySegmt";

/// Which segment it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub(crate) number: u32,
    pub(crate) nonce: u64,
}

/// What a file in the folder is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileName {
    Lock,
    Segment(u32),
    /// A segment that was dropped while somebody read it.
    Doomed(u32),
    Snapshot,
    /// A snapshot that was being written.
    NewSnapshot,
    /// It belongs to whoever owns the tier.
    Owners,
    Foreign,
}

impl SegmentHead {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEAD_BYTES as usize);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.nonce.to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut cursor = Cursor(bytes);
        let magic: [u8; 8] = cursor.array().ok_or(Unreadable::Damaged)?;
        let version = cursor.u32().ok_or(Unreadable::Damaged)?;
        if magic != MAGIC {
            return Err(Unreadable::Damaged);
        }
        if version != FORMAT_VERSION {
            return Err(Unreadable::OtherVersion);
        }
        let mut rest = || {
            let head = Self {
                number: cursor.u32()?,
                nonce: cursor.u64()?,
            };
            let covered = bytes.get(..SEGMENT_HEAD_BYTES as usize - 4)?;
            (crc32c::crc32c(covered) == cursor.u32()?).then_some(head)
        };
        rest().ok_or(Unreadable::Damaged)
    }
}

impl FileName {
    pub(crate) fn read(name: &str) -> Self {
        let number = |suffix| {
            let digits = name.strip_prefix("segment-")?.strip_suffix(suffix)?;
            let is_ours = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_ours.then(|| u32::from_str_radix(digits, 16).ok())?
        };
        match name {
            "lock" => Self::Lock,
            "index" => Self::Snapshot,
            "index.new" => Self::NewSnapshot,
            _ if name.starts_with(OWNERS_PREFIX) => Self::Owners,
            _ => number(".log")
                .map(Self::Segment)
                .or_else(|| number(".dead").map(Self::Doomed))
                .filter(|read| read.name() == name)
                .unwrap_or(Self::Foreign),
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Lock => "lock".to_owned(),
            Self::Segment(number) => format!("segment-{number:08x}.log"),
            Self::Doomed(number) => format!("segment-{number:08x}.dead"),
            Self::Snapshot => "index".to_owned(),
            Self::NewSnapshot => "index.new".to_owned(),
            Self::Owners | Self::Foreign => String::new(),
        }
    }
}
