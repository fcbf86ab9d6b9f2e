//! HTTP/2 frames as they pass, cut into pieces of any size (RFC 9113 §4.1). Nothing is kept of them but nine octets and
//! a record of up to eight; whether they are well formed is for the library that reads them after us.

/// The client's first octets (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// RFC 9113 §4.1.
pub(super) const HEADER_BYTES: usize = 9;

/// Types of frames (RFC 9113 §6; RFC 9218 §7.1).
pub(super) mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
    pub const PRIORITY_UPDATE: u8 = 16;
}

/// The largest number of a stream, and of octets that a window grows by; the bit above is reserved, and ignored by its
/// receiver (RFC 9113 §4.1, §5.1.1, §6.9).
pub(super) const STREAM_MAX: u32 = (1 << 31) - 1;
const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
pub(super) const PRIORITY: u8 = 0x20;

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Octets of the payload.
    pub length: u32,
    /// One of [`kind`], or another.
    pub kind: u8,
    flags: u8,
    /// 0: the connection.
    pub stream: u32,
}

/// What passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A frame begins.
    Begin(Frame),
    /// So many octets of its payload passed.
    Octets(Frame, u32),
    /// One parameter of SETTINGS.
    Setting(u16, u32),
    /// The number of a RST_STREAM or WINDOW_UPDATE, the error code of a GOAWAY, or the first octet of HEADERS in front of
    /// three zeros.
    Number(Frame, u32),
    /// The last stream that a GOAWAY names.
    LastStream(u32),
    /// A frame has passed whole.
    End(Frame),
}

/// Follows one direction of a connection.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    preface_left: usize,
    header: [u8; HEADER_BYTES],
    header_filled: usize,
    frame: Option<Frame>,
    left: u32,
    record: [u8; 8],
    record_filled: usize,
    /// A block of fields goes on in the next frame.
    is_in_block: bool,
}

impl Frame {
    /// Whether it is the last of its sender on the stream.
    pub(super) fn ends_stream(self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & END_STREAM != 0
    }

    /// Whether a block of fields ends with it.
    pub(super) fn ends_headers(self) -> bool {
        self.flags & END_HEADERS != 0
    }

    /// Whether it is the answer to a PING or SETTINGS.
    pub(super) fn is_ack(self) -> bool {
        matches!(self.kind, kind::PING | kind::SETTINGS) && self.flags & ACK != 0
    }

    /// Whether its payload ends with padding, whose length stands in front.
    pub(super) fn is_padded(self) -> bool {
        self.flags & PADDED != 0
    }

    /// Whether a priority stands before its block of fields.
    pub(super) fn has_priority(self) -> bool {
        self.flags & PRIORITY != 0
    }

    /// Reads the header of a frame.
    pub(super) fn parse(header: [u8; HEADER_BYTES]) -> Self {
        let [_, _, _, kind, flags, ..] = header;
        Self {
            length: number(&header) >> 8,
            kind,
            flags,
            stream: number(header.get(5..).unwrap_or_default()) & STREAM_MAX,
        }
    }

    /// So many octets at the start of its payload are of interest, over and over in SETTINGS.
    fn record_bytes(self) -> usize {
        match self.kind {
            kind::HEADERS => 1,
            kind::SETTINGS => 6,
            kind::RST_STREAM | kind::WINDOW_UPDATE => 4,
            kind::GOAWAY => 8,
            _ => 0,
        }
    }
}

impl FrameReader {
    /// What the client sends, which begins with the preface.
    pub(super) fn of_client() -> Self {
        Self {
            preface_left: PREFACE.len(),
            ..Self::default()
        }
    }

    /// Whether what passed so far ends with a frame.
    pub(super) fn is_between_frames(&self) -> bool {
        self.preface_left == 0 && self.frame.is_none() && self.header_filled == 0
    }

    /// Whether that frame is also the last of its block of fields, between whose frames there is no other (RFC 9113 §4.3).
    pub(super) fn is_between_blocks(&self) -> bool {
        self.is_between_frames() && !self.is_in_block
    }

    /// So many of these octets, which come next, belong to the frame that is under way; none: they don't say it.
    pub(super) fn until_frame(&self, octets: &[u8]) -> Option<usize> {
        if self.frame.is_some() {
            return Some(self.left as usize);
        }
        if self.header_filled == 0 {
            return Some(0);
        }
        let (mut header, mut filled) = (self.header, self.header_filled);
        let taken = fill(&mut header, &mut filled, octets);
        (filled == HEADER_BYTES).then(|| taken + Frame::parse(header).length as usize)
    }

    /// Takes the next octets and tells what they are.
    pub(super) fn feed(&mut self, mut octets: &[u8], mut tell: impl FnMut(Event)) {
        let preface = self.preface_left.min(octets.len());
        self.preface_left -= preface;
        octets = octets.get(preface..).unwrap_or_default();
        while !octets.is_empty() {
            octets = match self.frame {
                None => self.header(octets, &mut tell),
                Some(frame) => self.payload(frame, octets, &mut tell),
            };
        }
    }

    fn header<'a>(&mut self, octets: &'a [u8], tell: &mut impl FnMut(Event)) -> &'a [u8] {
        let taken = fill(&mut self.header, &mut self.header_filled, octets);
        if self.header_filled == HEADER_BYTES {
            let frame = Frame::parse(self.header);
            self.header_filled = 0;
            self.record_filled = 0;
            self.left = frame.length;
            tell(Event::Begin(frame));
            self.frame = Some(frame);
            self.end_if_whole(frame, tell);
        }
        octets.get(taken..).unwrap_or_default()
    }

    fn payload<'a>(
        &mut self,
        frame: Frame,
        octets: &'a [u8],
        tell: &mut impl FnMut(Event),
    ) -> &'a [u8] {
        let taken = (self.left as usize).min(octets.len());
        let (piece, rest) = octets.split_at_checked(taken).unwrap_or((octets, &[]));
        self.left = self.left.saturating_sub(piece.len() as u32);
        self.records(frame, piece, tell);
        tell(Event::Octets(frame, piece.len() as u32));
        self.end_if_whole(frame, tell);
        rest
    }

    fn records(&mut self, frame: Frame, mut piece: &[u8], tell: &mut impl FnMut(Event)) {
        let wanted = frame.record_bytes();
        while wanted > 0 && !piece.is_empty() {
            let Some(room) = self.record.get_mut(..wanted) else {
                return;
            };
            let taken = fill(room, &mut self.record_filled, piece);
            if taken == 0 {
                // The one record of a frame that has one is full.
                return;
            }
            piece = piece.get(taken..).unwrap_or_default();
            if self.record_filled == wanted {
                let at = |start: usize| number(self.record.get(start..).unwrap_or_default());
                match frame.kind {
                    kind::SETTINGS => {
                        self.record_filled = 0;
                        tell(Event::Setting((at(0) >> 16) as u16, at(2)));
                    }
                    kind::GOAWAY => {
                        tell(Event::LastStream(at(0) & STREAM_MAX));
                        tell(Event::Number(frame, at(4)));
                    }
                    kind::HEADERS => tell(Event::Number(frame, at(0) & 0xff00_0000)),
                    kind::WINDOW_UPDATE => {
                        tell(Event::Number(frame, at(0) & STREAM_MAX));
                    }
                    _ => tell(Event::Number(frame, at(0))),
                }
            }
        }
    }

    fn end_if_whole(&mut self, frame: Frame, tell: &mut impl FnMut(Event)) {
        if self.left == 0 {
            self.frame = None;
            if matches!(frame.kind, kind::HEADERS | kind::CONTINUATION) {
                self.is_in_block = !frame.ends_headers();
            }
            tell(Event::End(frame));
        }
    }
}

/// The first four octets as a number; what is not there counts as 0.
fn number(octets: &[u8]) -> u32 {
    let mut four = [0; 4];
    fill(&mut four, &mut 0, octets);
    u32::from_be_bytes(four)
}

/// Copies what fits; returns how much that was.
fn fill(room: &mut [u8], filled: &mut usize, octets: &[u8]) -> usize {
    let free = room.get_mut(*filled..).unwrap_or_default();
    let taken = free.len().min(octets.len());
    for (to, from) in free.iter_mut().zip(octets) {
        *to = *from;
    }
    *filled += taken;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut octets = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        octets.extend([kind, flags]);
        octets.extend(stream.to_be_bytes());
        octets.extend(payload);
        octets
    }

    fn read(octets: &[u8], piece: usize) -> (Vec<Event>, bool) {
        let mut reader = FrameReader::of_client();
        let mut events: Vec<Event> = Vec::new();
        for piece in octets.chunks(piece) {
            reader.feed(piece, |event| match (event, events.last_mut()) {
                (Event::Octets(_, more), Some(Event::Octets(_, sum))) => *sum += more,
                _ => events.push(event),
            });
        }
        (events, reader.is_between_frames())
    }

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let mut octets = PREFACE.to_vec();
        octets.extend(frame(
            kind::SETTINGS,
            0,
            0,
            &[0, 4, 0, 0, 1, 0, 0, 3, 0, 0, 0, 9],
        ));
        octets.extend(frame(kind::HEADERS, 5, 1, b"block"));
        octets.extend(frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 2, 1]));
        octets.extend(frame(kind::DATA, 1, 3, b""));
        octets.extend(frame(kind::GOAWAY, 0, 0, b"\0\0\0\x07\0\0\0\x0bcalm"));
        let (whole, _) = read(&octets, usize::MAX);
        let numbers: Vec<_> = whole
            .iter()
            .filter(|event| matches!(event, Event::Setting(..) | Event::Number(..)))
            .map(|event| match event {
                Event::Setting(id, value) => (u32::from(*id), *value),
                Event::Number(frame, value) => (u32::from(frame.kind), *value),
                _ => unreachable!(),
            })
            .collect();
        let first = u32::from(b'b') << 24;
        assert_eq!(numbers, [(4, 256), (3, 9), (1, first), (8, 513), (7, 11)]);
        let ends = |events: &[Event]| {
            events
                .iter()
                .filter(|event| matches!(event, Event::End(_)))
                .count()
        };
        assert_eq!(ends(&whole), 5);
        for piece in 1..octets.len() {
            let (events, between) = read(&octets, piece);
            assert!(between, "{piece}");
            let same = |events: &[Event]| {
                let kept = events
                    .iter()
                    .filter(|event| !matches!(event, Event::Octets(..)));
                kept.copied().collect::<Vec<_>>()
            };
            assert_eq!(same(&events), same(&whole), "{piece}");
        }
    }

    #[test]
    fn a_half_frame_is_no_boundary() {
        let octets = [PREFACE, &frame(kind::PING, 0, 0, &[0; 8])].concat();
        for end in 0..octets.len() {
            assert_eq!(
                read(&octets[..end], 64).1,
                end == PREFACE.len(),
                "after {end}"
            );
        }
    }
}
