//! Goes over the frames of a segment. Behind a damaged one it looks for the next that is whole.

use crate::{
    format::{
        FRAME_BYTES, Frame, Kind, SEGMENT_HEAD_BYTES, StoredHead, frame::MAGIC, head::Removal,
    },
    segments::Segment,
};
use std::io;

/// So much is read at once.
const WINDOW_BYTES: u32 = 256 << 10;

/// The frames of a segment from some offset to some end.
pub(crate) struct Frames<'a> {
    segment: &'a Segment,
    offset: u32,
    end: u32,
    /// What was read, and where it begins.
    window: Vec<u8>,
    window_at: u32,
}

/// A frame that was met.
#[derive(Debug)]
pub(crate) enum Met {
    Head {
        offset: u32,
        /// Of the whole frame.
        bytes: u32,
        head: Box<StoredHead>,
    },
    Removal(Removal),
    Chunk,
    /// Something that is not what was written; one for all of it up to the next whole frame.
    Damaged,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(segment: &'a Segment, from: u32, end: u32) -> Self {
        Self {
            segment,
            offset: from.max(SEGMENT_HEAD_BYTES),
            end,
            window: Vec::new(),
            window_at: 0,
        }
    }

    /// Where the next frame is expected.
    pub(crate) fn offset(&self) -> u32 {
        self.offset
    }

    /// The next one; none at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Met>> {
        if self.offset >= self.end {
            return Ok(None);
        }
        if let Some((met, bytes)) = self.read()? {
            self.offset += bytes;
            return Ok(Some(met));
        }
        self.find_next()?;
        Ok(Some(Met::Damaged))
    }

    /// What stands at the offset, and its length.
    fn read(&mut self) -> io::Result<Option<(Met, u32)>> {
        let Some(frame) = self.frame(self.offset)? else {
            return Ok(None);
        };
        let offset = self.offset;
        let whole = frame.whole_bytes();
        if u64::from(offset) + whole > u64::from(self.end) {
            return Ok(None);
        }
        let met = match frame.kind {
            Kind::Chunk => Some(Met::Chunk),
            Kind::Head | Kind::Removal => {
                let payload = self.bytes(offset + FRAME_BYTES, frame.part)?;
                match (frame.part(payload), frame.kind) {
                    (Ok(part), Kind::Head) => StoredHead::decode(part).map(|head| Met::Head {
                        offset,
                        bytes: whole as u32,
                        head: Box::new(head),
                    }),
                    (Ok(part), _) => Removal::decode(part).map(Met::Removal),
                    (Err(_), _) => None,
                }
            }
        };
        Ok(met.map(|met| (met, whole as u32)))
    }

    fn frame(&mut self, offset: u32) -> io::Result<Option<Frame>> {
        let place = self.segment.place(offset);
        let header = self.bytes(offset, FRAME_BYTES)?;
        Ok(Frame::decode(place, header).ok())
    }

    /// Goes to the next whole frame, or to the end.
    fn find_next(&mut self) -> io::Result<()> {
        let mut at = self.offset + 1;
        while at < self.end {
            let bytes = self.bytes(at, 1)?;
            let found = bytes.iter().position(|&byte| byte == MAGIC[0]);
            let seen = bytes.len() as u32;
            match found {
                None if seen == 0 => break,
                None => at += seen,
                Some(within) => {
                    at += within as u32;
                    if self.frame(at)?.is_some() {
                        self.offset = at;
                        return Ok(());
                    }
                    at += 1;
                }
            }
        }
        self.offset = self.end;
        Ok(())
    }

    /// At least so many bytes at an offset, if there are so many; more if they have been read.
    fn bytes(&mut self, offset: u32, bytes: u32) -> io::Result<&[u8]> {
        let has = |window: &Vec<u8>, at: u32| {
            let within = offset.checked_sub(at).map(|within| within as usize);
            within.is_some_and(|within| within + bytes as usize <= window.len())
        };
        if !has(&self.window, self.window_at) {
            let wanted = bytes.max(WINDOW_BYTES).min(self.end.saturating_sub(offset));
            self.window = self.segment.read(offset, wanted)?;
            self.window_at = offset;
        }
        let within = (offset - self.window_at) as usize;
        Ok(self.window.get(within..).unwrap_or_default())
    }
}
