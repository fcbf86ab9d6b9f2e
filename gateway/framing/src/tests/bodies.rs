//! Bodies.

use super::body_of;
use crate::{BodyReader, Framing, Limits, Violation};

#[track_caller]
fn refused(body: impl AsRef<[u8]>, expected: Violation) {
    let body = body.as_ref();
    assert_eq!(
        body_of(body, Framing::Chunked, Limits::default()),
        Err(expected),
        "{:?}",
        String::from_utf8_lossy(body)
    );
}

/// `next` follows the body and is none of it.
#[track_caller]
fn passes(framing: Framing, body: &str, passed: &str) {
    for next in ["", "GET / HTTP/1.1\r\n", "\r\n"] {
        let input = format!("{body}{next}");
        let told = body_of(input.as_bytes(), framing, Limits::default());
        assert_eq!(
            told,
            Ok((passed.as_bytes().to_vec(), Some(body.len()))),
            "{input:?}"
        );
    }
}

#[test]
fn a_body_ends_where_its_head_says() {
    passes(Framing::Empty, "", "");
    passes(Framing::Length(5), "hello", "hello");
    passes(Framing::Length(5), "\r\n\r\n\0", "\r\n\r\n\0");
    let unfinished = body_of(b"hell", Framing::Length(5), Limits::default());
    assert_eq!(unfinished, Ok((b"hell".to_vec(), None)));
    passes(
        Framing::Chunked,
        "5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
    );
    passes(Framing::Chunked, "0\r\n\r\n", "0\r\n\r\n");
    passes(
        Framing::Chunked,
        "00A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n",
        "00A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n",
    );
    let unfinished = body_of(b"5\r\nhello\r\n0\r\n", Framing::Chunked, Limits::default());
    assert_eq!(unfinished, Ok((b"5\r\nhello\r\n0\r\n".to_vec(), None)));
}

#[test]
fn extensions_and_trailers_are_checked_and_left_out() {
    passes(
        Framing::Chunked,
        "5;a\r\nhello\r\n0;b=c\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
    );
    passes(
        Framing::Chunked,
        "1;a=\"x;\\\"y\";b;c=d\r\nh\r\n0\r\n\r\n",
        "1\r\nh\r\n0\r\n\r\n",
    );
    passes(
        Framing::Chunked,
        "1\r\nh\r\n0\r\nChecksum: abc\r\nX-Y:\r\n\r\n",
        "1\r\nh\r\n0\r\n\r\n",
    );
}

#[test]
fn chunk_sizes_are_digits_alone() {
    for (body, expected) in [
        ("\r\n", Violation::BadChunkSize),
        (";a\r\n", Violation::BadChunkSize),
        ("0x5\r\nhello", Violation::BadChunkSize),
        ("+5\r\nhello", Violation::BadChunkSize),
        ("-5\r\nhello", Violation::BadChunkSize),
        (" 5\r\nhello", Violation::BadChunkSize),
        ("5 \r\nhello", Violation::BadChunkSize),
        ("5\t;a\r\nhello", Violation::BadChunkSize),
        ("5 ;a\r\nhello", Violation::BadChunkSize),
        ("5\0\r\nhello", Violation::BadChunkSize),
        ("g\r\n", Violation::BadChunkSize),
        ("5,5\r\nhello", Violation::BadChunkSize),
        ("\n", Violation::BadChunkSize),
        ("5\nhello", Violation::BareLf),
        ("5\rhello", Violation::BareCr),
        ("5\r\r\nhello", Violation::BareCr),
        ("1000000000000000\r\n", Violation::LargeChunkSize),
        ("00000000000000005\r\nhello", Violation::LargeChunkSize),
        ("ffffffffffffffff1\r\n", Violation::LargeChunkSize),
        ("5\r\nhello0\r\n\r\n", Violation::BadChunkEnd),
        ("5\r\nhello\n0\r\n\r\n", Violation::BadChunkEnd),
        ("5\r\nhello\rx", Violation::BadChunkEnd),
        ("5\r\nhello!\r\n", Violation::BadChunkEnd),
    ] {
        refused(body, expected);
    }
}

#[test]
fn bad_extensions_are_refused_and_all_are_bounded() {
    for (body, expected) in [
        ("5;\r\nhello", Violation::BadChunkExtension),
        ("5;a=\r\nhello", Violation::BadChunkExtension),
        ("5;=b\r\nhello", Violation::BadChunkExtension),
        ("5;a b\r\nhello", Violation::BadChunkExtension),
        ("5; a\r\nhello", Violation::BadChunkExtension),
        ("5;a=\"b\r\nhello", Violation::BadChunkExtension),
        ("5;a=\"b\"c\r\nhello", Violation::BadChunkExtension),
        ("5;a\0\r\nhello", Violation::BadChunkExtension),
        ("5;a\nGET / HTTP/1.1\r\n", Violation::BareLf),
        ("5;a=\"\n\"\r\nhello", Violation::BareLf),
        ("5;a\rb\r\nhello", Violation::BareCr),
    ] {
        refused(body, expected);
    }
    passes(
        Framing::Chunked,
        &format!("0;{}\r\n\r\n", "a".repeat(255)),
        "0\r\n\r\n",
    );
    refused(
        format!("0;{}\r\n\r\n", "a".repeat(256)),
        Violation::LongChunkExtension,
    );
    let many = format!("1;{}\r\nh\r\n", "a".repeat(99)).repeat(164);
    refused(many, Violation::LongChunkExtension);
}

#[test]
fn trailers_are_fields_and_frame_nothing() {
    let trailer = |line: &str| format!("0\r\n{line}\r\n\r\n");
    for (line, expected) in [
        ("Content-Length: 5", Violation::ForbiddenTrailer),
        ("transfer-encoding: chunked", Violation::ForbiddenTrailer),
        ("HOST: b", Violation::ForbiddenTrailer),
        ("Authorization: x", Violation::ForbiddenTrailer),
        ("X : a", Violation::SpaceBeforeColon),
        ("X Y: a", Violation::SpaceInName),
        (": a", Violation::EmptyName),
        (" X: a", Violation::LeadingWhitespace),
        ("X: a\r\n b", Violation::FoldedLine),
        ("X", Violation::NoColon),
        ("X\0: a", Violation::ControlInName),
        ("X: a\0", Violation::ControlInValue),
        ("X: a\nY: b", Violation::BareLf),
        ("X: a\rY: b", Violation::BareCr),
        ("\u{e9}: a", Violation::BadName),
        ("\n", Violation::BareLf),
    ] {
        refused(trailer(line), expected);
    }
    refused("0\r\n\rX", Violation::BareCr);
    refused(
        trailer(&format!("X: {}", "a".repeat(9_000))),
        Violation::LongTrailers,
    );
    refused(
        format!("0\r\n{}", "X: a\r\n".repeat(33)),
        Violation::ManyTrailers,
    );
    passes(
        Framing::Chunked,
        &format!("0\r\n{}\r\n", "X: a\r\n".repeat(32)),
        "0\r\n\r\n",
    );
}

/// What an origin sends, in pieces of any size, and whether it has ended.
#[track_caller]
fn decoded(body: &str) -> Result<(Vec<u8>, bool), Violation> {
    let of = |piece_bytes: usize| {
        let mut reader = BodyReader::of_response(Framing::Chunked);
        let mut data = Vec::new();
        for piece in body.as_bytes().chunks(piece_bytes) {
            let mut piece = piece.to_vec();
            let filtered = reader.decode(&mut piece)?;
            data.extend_from_slice(&piece[..filtered.kept]);
        }
        Ok((data, reader.is_done()))
    };
    let whole = of(body.len());
    for piece_bytes in 1..4 {
        assert_eq!(of(piece_bytes), whole, "{body:?} by {piece_bytes}");
    }
    whole
}

#[test]
fn an_origin_may_pad_sign_and_end_its_chunks_as_it_likes() {
    let signature = format!(";chunk-signature={}", "0a".repeat(32));
    let trailer = format!("X-Sum: {}\r\n", "a".repeat(9_000));
    let cases = [
        "5  \r\nhello\r\n0 \t\r\n\r\n".to_owned(),
        "5 ; a = b ; c ;d= \"e\" \r\nhello\r\n0\r\n\r\n".to_owned(),
        format!("5{signature}\r\nhello\r\n0{signature}\r\n\r\n"),
        "5\r\nhello\r\n0\r\nExpires: 0\r\nCache-Control: no-store\r\nSet-Cookie: a\r\n\r\n"
            .to_owned(),
        format!("5\r\nhello\r\n0\r\n{trailer}\r\n"),
        format!("5\r\nhello\r\n0\r\n{}\r\n", "A: b\r\n".repeat(100)),
    ];
    for body in cases {
        assert_eq!(decoded(&body), Ok((b"hello".to_vec(), true)), "{body:?}");
    }
    let chunks = format!("1{signature}\r\nx\r\n").repeat(1_000);
    let data = decoded(&format!("{chunks}0\r\n\r\n"));
    assert_eq!(data, Ok((vec![b'x'; 1_000], true)));
}

#[test]
fn an_origin_has_bounds_too() {
    let cases = [
        (" 5\r\nhello\r\n".to_owned(), Violation::BadChunkSize),
        ("5 5\r\nhello\r\n".to_owned(), Violation::BadChunkExtension),
        (
            "5;a b\r\nhello\r\n".to_owned(),
            Violation::BadChunkExtension,
        ),
        ("5 \nhello\r\n".to_owned(), Violation::BareLf),
        (
            format!("5{}", " ".repeat(300)),
            Violation::LongChunkExtension,
        ),
        (
            format!("5;{}", "a".repeat(300)),
            Violation::LongChunkExtension,
        ),
        (
            format!("0\r\n{}", "A: b\r\n".repeat(11_000)),
            Violation::LongTrailers,
        ),
    ];
    for (body, violation) in cases {
        assert_eq!(decoded(&body), Err(violation), "{body:?}");
    }
}
