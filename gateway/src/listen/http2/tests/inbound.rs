//! What passes to the library, and what is taken out, however octets come.

use super::{
    super::{
        frames::{self, PREFACE, kind},
        inbound::{Inbound, Item},
        write,
    },
    END_HEADERS, END_STREAM, frame,
};
use bytes::BytesMut;
use h2::Reason;

const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// What became of octets.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    passed: Vec<u8>,
    /// Stream, whether it ends, whether it is new, its block.
    heads: Vec<(u32, bool, bool, Vec<u8>)>,
    windows: Vec<u32>,
    error: Option<Reason>,
}

/// Octets that come in such pieces; streams that are multiples of 3 are answered, the others pass.
fn see(octets: &[u8], mut piece: impl FnMut() -> usize) -> Seen {
    let (mut inbound, mut seen) = (Inbound::default(), Seen::default());
    let mut rest = octets;
    while !rest.is_empty() {
        let (mut now, later) = rest.split_at(piece().min(rest.len()));
        rest = later;
        while let Some(item) = inbound.next(&mut now) {
            match item {
                Item::Begins(header) => seen.passed.extend(header),
                Item::Passes(octets) => seen.passed.extend(octets),
                Item::Window(by) => seen.windows.push(by),
                Item::Head(head) => {
                    let block = inbound.block().to_vec();
                    seen.heads
                        .push((head.stream, head.ends_stream, head.is_new, block));
                    if head.stream.is_multiple_of(3) {
                        inbound.answered(head.stream);
                    } else {
                        inbound.passes(head.stream);
                    }
                }
                Item::Error(reason) => {
                    seen.error = Some(reason);
                    return seen;
                }
            }
        }
    }
    seen
}

fn check(frames: &[Vec<u8>], expected: &Seen) {
    let octets = [PREFACE, &frames.concat()].concat();
    let mut expected_passed = PREFACE.to_vec();
    expected_passed.extend(&expected.passed);
    for piece in (1..octets.len()).chain([usize::MAX]) {
        let mut seen = see(&octets, || piece);
        assert_eq!(seen.passed, expected_passed, "by {piece}");
        seen.passed.clone_from(&expected.passed);
        assert_eq!(seen, *expected, "by {piece}");
    }
}

#[test]
fn heads_and_windows_are_taken_out_however_they_are_cut() {
    let settings = frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 1, 0]);
    let ping = frame(kind::PING, 0, 0, &[0; 8]);
    let data = frame(kind::DATA, END_STREAM, 1, b"body");
    let reset = write::reset(1, 8).to_vec();
    let padded = [&[2][..], &[0, 0, 0, 0, 9], b"bl", &[0; 2]].concat();
    check(
        &[
            settings.clone(),
            frame(kind::HEADERS, END_HEADERS, 1, b"one"),
            data.clone(),
            frame(kind::WINDOW_UPDATE, 0, 0, &[0x80, 0, 2, 1]),
            frame(kind::HEADERS, END_STREAM | PADDED | PRIORITY, 3, &padded),
            frame(kind::CONTINUATION, 0, 3, b""),
            frame(kind::CONTINUATION, END_HEADERS, 3, b"ock"),
            // On the stream that was answered.
            frame(kind::WINDOW_UPDATE, 0, 3, &[0, 0, 2, 1]),
            frame(kind::PRIORITY, 0, 3, &[0; 5]),
            write::reset(3, 8).to_vec(),
            reset.clone(),
            ping.clone(),
            frame(kind::HEADERS, END_HEADERS | END_STREAM, 5, b""),
            frame(kind::HEADERS, END_HEADERS | END_STREAM, 5, b"trailers"),
        ],
        &Seen {
            passed: [settings, data, reset, ping].concat(),
            heads: vec![
                (1, false, true, b"one".to_vec()),
                (3, true, true, b"block".to_vec()),
                (5, true, true, Vec::new()),
                (5, true, false, b"trailers".to_vec()),
            ],
            windows: vec![513],
            error: None,
        },
    );
}

#[test]
fn errors_are_found_however_they_are_cut() {
    let answered = frame(kind::HEADERS, END_HEADERS | END_STREAM, 3, b"x");
    let heads = vec![(3, true, true, b"x".to_vec())];
    for (wrong, reason) in [
        (answered.clone(), Reason::STREAM_CLOSED),
        (frame(kind::DATA, 0, 3, b"x"), Reason::STREAM_CLOSED),
        (
            frame(kind::HEADERS, END_HEADERS, 1, b"x"),
            Reason::PROTOCOL_ERROR,
        ),
        (
            frame(kind::HEADERS, END_HEADERS, 4, b"x"),
            Reason::PROTOCOL_ERROR,
        ),
        (
            frame(kind::HEADERS, END_HEADERS, 0, b"x"),
            Reason::PROTOCOL_ERROR,
        ),
        (
            frame(kind::CONTINUATION, END_HEADERS, 3, b"x"),
            Reason::PROTOCOL_ERROR,
        ),
        (
            [
                frame(kind::HEADERS, 0, 5, b"x"),
                frame(kind::PING, 0, 0, &[0; 8]),
            ]
            .concat(),
            Reason::PROTOCOL_ERROR,
        ),
        (
            frame(kind::HEADERS, END_HEADERS | PADDED, 5, b"\x01"),
            Reason::PROTOCOL_ERROR,
        ),
        (
            frame(kind::HEADERS, END_HEADERS | PADDED, 5, b""),
            Reason::PROTOCOL_ERROR,
        ),
        (
            frame(kind::HEADERS, END_HEADERS | PRIORITY, 5, b"four"),
            Reason::FRAME_SIZE_ERROR,
        ),
    ] {
        check(
            &[answered.clone(), wrong],
            &Seen {
                passed: Vec::new(),
                heads: heads.clone(),
                windows: Vec::new(),
                error: Some(reason),
            },
        );
    }
}

/// Whatever frames come, and however they are cut: the library gets the same, and knows of no stream that was answered.
#[test]
fn what_passes_does_not_depend_on_how_it_comes() {
    for seed in 0..300_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut chance = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) as usize % below
        };
        let mut octets = PREFACE.to_vec();
        let mut newest = 1_u32;
        for _ in 0..30 {
            newest += chance(3) as u32 * 2;
            let stream = newest.saturating_sub(chance(3) as u32 * 2) | 1;
            let payload = vec![7; chance(40)];
            octets.extend(match chance(8) {
                0 | 1 => frame(
                    kind::HEADERS,
                    END_HEADERS | END_STREAM,
                    newest + 2,
                    &payload,
                ),
                2 => frame(kind::DATA, 0, stream, &payload),
                3 => frame(kind::WINDOW_UPDATE, 0, stream, &[0, 0, 0, 9]),
                4 => frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 9]),
                5 => write::reset(stream, 8).to_vec(),
                6 => frame(chance(256) as u8, chance(256) as u8, stream, &payload),
                _ => frame(kind::PING, 0, 0, &[0; 8]),
            });
        }
        let whole = see(&octets, || usize::MAX);
        for _ in 0..5 {
            let cut = see(&octets, || chance(60) + 1);
            assert_eq!(cut, whole, "seed {seed}");
        }
    }
}

#[test]
fn a_block_is_passed_in_frames_of_a_size_that_all_take() {
    let check = |length: usize, priority: Option<[u8; 5]>, expected: usize| {
        let block: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let mut out = BytesMut::from(PREFACE);
        write::head(&mut out, 1, true, priority, &block);
        let count = {
            let mut reader = frames::FrameReader::of_client();
            let mut count = 0;
            reader.feed(&out, |event| {
                if let frames::Event::Begin(frame) = event {
                    assert!(frame.length <= 16_384);
                    count += 1;
                }
            });
            assert!(reader.is_between_blocks());
            count
        };
        let seen = see(&out, || usize::MAX);
        assert_eq!(seen.heads, [(1, true, true, block)]);
        assert_eq!(count, expected, "{length}");
    };
    check(0, None, 1);
    check(16_384, None, 1);
    check(16_385, None, 2);
    check(16_384, Some([0, 0, 0, 0, 9]), 2);
    check(100_000, Some([0, 0, 0, 0, 9]), 7);
}
