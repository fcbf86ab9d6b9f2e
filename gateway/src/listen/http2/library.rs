//! The bounds of the library below (h2), and how it tells that one was met.

use crate::observe::Ended;

/// The largest frame that we take, which is what we announce by saying nothing (RFC 9113 §4.2).
pub(super) const FRAME_BYTES_MAX: usize = 16_384;
/// Resets by us that the client brought about (RFC 9113 §7): PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED,
/// FRAME_SIZE_ERROR, REFUSED_STREAM.
pub(super) const PROVOKED: [u32; 5] = [1, 3, 5, 6, REFUSED_STREAM];
/// RFC 9113 §7.
pub(super) const REFUSED_STREAM: u32 = 7;

/// Why the library said ENHANCE_YOUR_CALM, by the length of its GOAWAY: its debug data is one of a few words.
pub(super) fn of_library(length: u32) -> Ended {
    const WORDS: [(&str, Ended); 5] = [
        ("too_many_resets", Ended::Resets),
        ("too_many_internal_resets", Ended::Resets),
        ("too_many_data_frames", Ended::SmallFrames),
        ("too_many_continuations", Ended::Continuation),
        ("header_list_way_too_large", Ended::HeaderBytes),
    ];
    let words = length.saturating_sub(8) as usize;
    WORDS
        .iter()
        .find(|(text, _)| text.len() == words)
        .map_or(Ended::SmallFrames, |(_, why)| *why)
}

/// A list of fields that is so many times larger than is announced ends the connection.
pub(super) const LIST_TIMES_MAX: usize = 4;

/// As many as a head of that size needs, and a few: the library's own bound, so that it is met here first.
pub(super) fn continuations_max(header_bytes: usize) -> usize {
    let needed = (header_bytes / FRAME_BYTES_MAX).max(1);
    (needed + (needed >> 2)).max(5)
}
