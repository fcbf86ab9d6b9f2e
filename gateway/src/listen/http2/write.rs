//! Frames as we write them.

use super::{
    frames::{END_HEADERS, END_STREAM, PRIORITY, STREAM_MAX, kind},
    library::FRAME_BYTES_MAX,
};
use bytes::{BufMut as _, BytesMut};

/// Writes the header of a frame.
pub(super) fn begin(out: &mut BytesMut, length: usize, kind: u8, flags: u8, stream: u32) {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    out.put_slice(&[a, b, c, kind, flags]);
    out.put_u32(stream);
}

/// Writes DATA, the last of its stream, in frames of any size that every client takes.
pub(super) fn last_data(out: &mut BytesMut, stream: u32, mut data: &[u8]) {
    while let Some((piece, rest)) = data.split_at_checked(FRAME_BYTES_MAX)
        && !rest.is_empty()
    {
        begin(out, piece.len(), kind::DATA, 0, stream);
        out.put_slice(piece);
        data = rest;
    }
    begin(out, data.len(), kind::DATA, END_STREAM, stream);
    out.put_slice(data);
}

/// Writes a block of fields behind a priority, if it has one.
pub(super) fn head(
    out: &mut BytesMut,
    stream: u32,
    ends_stream: bool,
    priority: Option<[u8; 5]>,
    block: &[u8],
) {
    let before = priority.map_or(0, |priority| priority.len());
    let room = FRAME_BYTES_MAX - before;
    let (mut piece, mut rest) = block.split_at_checked(room).unwrap_or((block, &[]));
    let mut flags = if ends_stream { END_STREAM } else { 0 };
    flags |= if priority.is_some() { PRIORITY } else { 0 };
    let mut kind = kind::HEADERS;
    loop {
        flags |= if rest.is_empty() { END_HEADERS } else { 0 };
        let before = if kind == kind::HEADERS { before } else { 0 };
        begin(out, before + piece.len(), kind, flags, stream);
        if kind == kind::HEADERS {
            out.put_slice(priority.as_ref().map_or(&[][..], |priority| priority));
        }
        out.put_slice(piece);
        if rest.is_empty() {
            return;
        }
        (kind, flags) = (kind::CONTINUATION, 0);
        (piece, rest) = rest
            .split_at_checked(FRAME_BYTES_MAX)
            .unwrap_or((rest, &[]));
    }
}

/// A WINDOW_UPDATE frame of the connection (RFC 9113 §6.9).
pub(super) fn window_update(out: &mut BytesMut, by: u32) {
    begin(out, 4, kind::WINDOW_UPDATE, 0, 0);
    out.put_u32(by);
}

/// A RST_STREAM frame (RFC 9113 §6.4).
pub(super) fn reset(stream: u32, code: u32) -> [u8; 13] {
    let mut frame = [0; 13];
    let parts = [
        [0, 0, 4, kind::RST_STREAM, 0].as_slice(),
        &stream.to_be_bytes(),
        &code.to_be_bytes(),
    ];
    for (to, from) in frame.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    frame
}

/// A GOAWAY frame that names no stream as the last: go, but whatever is under way will be served (RFC 9113 §6.8).
pub(super) fn going_away() -> [u8; 17] {
    let [a, b, c, d] = STREAM_MAX.to_be_bytes();
    [0, 0, 8, kind::GOAWAY, 0, 0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0]
}
