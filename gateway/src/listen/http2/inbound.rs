//! What a client sends, frame by frame: what passes to the library as it is, what is wanted whole, what is dropped, and what
//! ends the connection. Pure.

use super::{
    frames::{Frame, HEADER_BYTES, PREFACE, kind},
    library::FRAME_BYTES_MAX,
    room,
};
use h2::Reason;

/// Streams that were answered last, of which an error can say that they are closed.
const RECENT: usize = 64;

/// Follows what comes.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    preface_passed: usize,
    header: [u8; HEADER_BYTES],
    header_filled: usize,
    /// What is done with the frame under way, and how much of it is still to come.
    under_way: Option<(Frame, Fate, usize)>,
    /// The payload of a frame that is wanted whole.
    held: Vec<u8>,
    /// A block of fields that goes on.
    head: Option<Head>,
    block: Vec<u8>,
    streams: Streams,
}

/// Which streams there were.
#[derive(Debug, Default)]
struct Streams {
    newest: u32,
    /// The newest that the library knows of.
    passed: u32,
    /// Those answered ahead of it, over and over.
    recent: Vec<u32>,
    next: usize,
    newest_answered: u32,
}

/// What a block of fields belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub stream: u32,
    pub ends_stream: bool,
    pub priority: Option<[u8; 5]>,
    /// It opens its stream.
    pub is_new: bool,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A frame for the library begins.
    Begins([u8; HEADER_BYTES]),
    /// Octets for it.
    Passes(&'a [u8]),
    /// A whole block of fields, which [`Inbound::block`] has.
    Head(Head),
    /// The connection's window grows.
    Window(u32),
    /// The connection ends.
    Error(Reason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pass,
    Hold,
    Drop,
}

impl Inbound {
    /// The block of the head that came last.
    pub(super) fn block(&self) -> &[u8] {
        &self.block
    }

    /// Whether what has passed to the library ends with a whole frame.
    pub(super) fn is_between_passed(&self) -> bool {
        let is_passing = matches!(self.under_way, Some((_, Fate::Pass, _)));
        self.preface_passed == PREFACE.len() && !is_passing
    }

    /// The newest stream that was answered ahead of the library; 0: none.
    pub(super) fn newest_answered(&self) -> u32 {
        self.streams.newest_answered
    }

    /// A new stream goes to the library.
    pub(super) fn passes(&mut self, stream: u32) {
        self.streams.passed = self.streams.passed.max(stream);
    }

    /// Whether the library knows of a stream.
    pub(super) fn has_passed(&self, stream: u32) -> bool {
        stream <= self.streams.passed
    }

    /// It was answered ahead of it.
    pub(super) fn answered(&mut self, stream: u32) {
        let streams = &mut self.streams;
        if let Some(place) = streams.recent.get_mut(streams.next) {
            *place = stream;
        } else {
            streams.recent.push(stream);
        }
        streams.next = (streams.next + 1) % RECENT;
        streams.newest_answered = stream;
    }

    /// Gives buffers back.
    pub(super) fn rest(&mut self) {
        if self.head.is_none() && self.under_way.is_none() {
            room::rest_list(&mut self.held);
            room::rest_list(&mut self.block);
        }
    }

    /// Takes what is next of these octets; none: they are used up.
    pub(super) fn next<'a>(&mut self, octets: &mut &'a [u8]) -> Option<Item<'a>> {
        let left = PREFACE.len() - self.preface_passed;
        if left > 0 && !octets.is_empty() {
            let preface = take(octets, left);
            self.preface_passed += preface.len();
            return Some(Item::Passes(preface));
        }
        while !octets.is_empty() {
            let item = match self.under_way {
                None => self.header(octets),
                Some((frame, fate, left)) => self.payload(octets, frame, fate, left),
            };
            if item.is_some() {
                return item;
            }
        }
        None
    }

    fn header<'a>(&mut self, octets: &mut &'a [u8]) -> Option<Item<'a>> {
        let wanted = HEADER_BYTES - self.header_filled;
        let piece = take(octets, wanted);
        let room = self.header.iter_mut().skip(self.header_filled);
        for (to, from) in room.zip(piece) {
            *to = *from;
        }
        self.header_filled += piece.len();
        if self.header_filled < HEADER_BYTES {
            return None;
        }
        self.header_filled = 0;
        let frame = Frame::parse(self.header);
        let fate = match self.judge(frame) {
            Ok(fate) => fate,
            Err(reason) => return Some(Item::Error(reason)),
        };
        let length = frame.length as usize;
        if length > 0 {
            self.under_way = Some((frame, fate, length));
        }
        match fate {
            Fate::Pass => Some(Item::Begins(self.header)),
            Fate::Hold if length == 0 => self.whole(frame),
            Fate::Hold | Fate::Drop => None,
        }
    }

    fn payload<'a>(
        &mut self,
        octets: &mut &'a [u8],
        frame: Frame,
        fate: Fate,
        left: usize,
    ) -> Option<Item<'a>> {
        let piece = take(octets, left);
        let left = left - piece.len();
        self.under_way = (left > 0).then_some((frame, fate, left));
        match fate {
            Fate::Pass => Some(Item::Passes(piece)),
            Fate::Drop => None,
            Fate::Hold => {
                self.held.extend_from_slice(piece);
                if left > 0 {
                    return None;
                }
                self.whole(frame)
            }
        }
    }

    fn judge(&mut self, frame: Frame) -> Result<Fate, Reason> {
        if let Some(head) = &self.head
            && (frame.kind != kind::CONTINUATION || frame.stream != head.stream)
        {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let is_ours = self.streams.is_ours(frame.stream);
        match (frame.kind, frame.length) {
            (kind::HEADERS | kind::CONTINUATION, length) if length as usize > FRAME_BYTES_MAX => {
                Err(Reason::FRAME_SIZE_ERROR)
            }
            (kind::CONTINUATION, _) if self.head.is_none() => Err(Reason::PROTOCOL_ERROR),
            (kind::HEADERS, _) if frame.stream.is_multiple_of(2) => Err(Reason::PROTOCOL_ERROR),
            (kind::HEADERS | kind::DATA, _) if is_ours => {
                let is_closed = self.streams.recent.contains(&frame.stream);
                Err(if is_closed || frame.kind == kind::DATA {
                    Reason::STREAM_CLOSED
                } else {
                    Reason::PROTOCOL_ERROR
                })
            }
            (kind::HEADERS | kind::CONTINUATION, _) => Ok(Fate::Hold),
            (kind::WINDOW_UPDATE, 4) if frame.stream == 0 => Ok(Fate::Hold),
            (kind::WINDOW_UPDATE | kind::RST_STREAM, 4) | (kind::PRIORITY, 5) if is_ours => {
                Ok(Fate::Drop)
            }
            _ => Ok(Fate::Pass),
        }
    }

    /// A frame is there that was wanted whole.
    fn whole(&mut self, frame: Frame) -> Option<Item<'static>> {
        let item = match frame.kind {
            kind::WINDOW_UPDATE => {
                let by = self
                    .held
                    .first_chunk()
                    .map(|four| u32::from_be_bytes(*four));
                Some(Item::Window(by.unwrap_or_default() & ((1 << 31) - 1)))
            }
            kind::HEADERS => match self.begin_head(frame) {
                Ok(()) => None,
                Err(reason) => Some(Item::Error(reason)),
            },
            _ => {
                self.block.extend_from_slice(&self.held);
                None
            }
        };
        self.held.clear();
        if item.is_some() || !frame.ends_headers() {
            return item;
        }
        self.head.take().map(Item::Head)
    }

    fn begin_head(&mut self, frame: Frame) -> Result<(), Reason> {
        let mut rest = self.held.as_slice();
        let padding = if frame.is_padded() {
            let (first, behind) = rest.split_first().ok_or(Reason::PROTOCOL_ERROR)?;
            rest = behind;
            usize::from(*first)
        } else {
            0
        };
        let mut priority = None;
        if frame.has_priority() {
            let (first, behind) = rest.split_first_chunk().ok_or(Reason::FRAME_SIZE_ERROR)?;
            (priority, rest) = (Some(*first), behind);
        }
        let length = rest.len().checked_sub(padding);
        let block = length.and_then(|length| rest.get(..length));
        self.block.clear();
        self.block
            .extend_from_slice(block.ok_or(Reason::PROTOCOL_ERROR)?);
        let is_new = frame.stream > self.streams.newest;
        self.streams.newest = self.streams.newest.max(frame.stream);
        self.head = Some(Head {
            stream: frame.stream,
            ends_stream: frame.ends_stream(),
            priority,
            is_new,
        });
        Ok(())
    }
}

impl Streams {
    /// Whether the library would take it for one that is still to come: it was answered, or left out, ahead of it.
    fn is_ours(&self, stream: u32) -> bool {
        !stream.is_multiple_of(2) && stream > self.passed && stream <= self.newest
    }
}

fn take<'a>(octets: &mut &'a [u8], at_most: usize) -> &'a [u8] {
    let (piece, rest) = octets.split_at_checked(at_most).unwrap_or((octets, &[]));
    *octets = rest;
    piece
}
