//! The GOAWAY of the library, which knows nothing of the streams that were answered ahead of it: the last stream that it
//! names must not come before them (RFC 9113 §6.8), or the client would ask again for what it has. Pure.

use super::frames::{Frame, HEADER_BYTES, STREAM_MAX, kind};
use bytes::{BufMut as _, BytesMut};

/// Where a GOAWAY begins in octets whose first frame begins at `at`; their end: there is none.
pub(super) fn find(octets: &[u8], mut at: usize) -> usize {
    while let Some(header) = octets.get(at..).and_then(<[u8]>::first_chunk) {
        let frame = Frame::parse(*header);
        if frame.kind == kind::GOAWAY {
            return at;
        }
        at += HEADER_BYTES + frame.length as usize;
    }
    octets.len()
}

/// The GOAWAY that octets begin with, so that it names that stream at least; none: they don't have it whole.
pub(super) fn naming(octets: &[u8], stream: u32) -> Option<BytesMut> {
    let header = octets.first_chunk::<HEADER_BYTES>()?;
    let end = HEADER_BYTES + Frame::parse(*header).length as usize;
    let (last, rest) = octets.get(HEADER_BYTES..end)?.split_first_chunk()?;
    let last = u32::from_be_bytes(*last) & STREAM_MAX;
    let mut goodbye = BytesMut::with_capacity(end);
    goodbye.put_slice(header);
    goodbye.put_u32(last.max(stream));
    goodbye.put_slice(rest);
    Some(goodbye)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::frame, *};

    #[test]
    fn the_last_stream_is_that_of_both() {
        let check = |last: u32, answered: u32, expected: u32| {
            let frame = |last: u32| {
                let payload = [&last.to_be_bytes()[..], b"\0\0\0\x0bcalm"].concat();
                frame(kind::GOAWAY, 0, 0, &payload)
            };
            let octets = [frame(last), vec![7; 3]].concat();
            assert_eq!(*naming(&octets, answered).unwrap(), *frame(expected));
        };
        check(3, 7, 7);
        check(9, 7, 9);
        check(0, 0, 0);
        check(STREAM_MAX, 7, STREAM_MAX);
    }

    #[test]
    fn it_is_found_behind_other_frames() {
        let goodbye = frame(kind::GOAWAY, 0, 0, &[0; 8]);
        let data = frame(kind::DATA, 0, 1, &[kind::GOAWAY; 30]);
        let octets = [&[9; 5][..], &data, &goodbye].concat();
        assert_eq!(find(&octets, 5), 5 + data.len());
        assert_eq!(find(&goodbye, 0), 0);
        assert_eq!(find(&data, 0), data.len());
        // A frame that is not there whole.
        assert_eq!(find(&data[..12], 0), 12);
        assert_eq!(find(&data, 100), data.len());
        assert_eq!(naming(&goodbye[..12], 7), None);
    }
}
