//! Laws over all inputs.

use super::{read_body, read_head};
use crate::{Framing, HeadReader, Limits, Violation};
use proptest::prelude::*;

/// Octets that look like a request, with a chance of anything.
fn scrap() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"GET / HTTP/1.1\r\n".to_vec()),
        Just(b"POST /a?b HTTP/1.0\r\n".to_vec()),
        Just(b"Host: a\r\n".to_vec()),
        Just(b"Content-Length: 5\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"5\r\nhello\r\n".to_vec()),
        Just(b"0\r\n\r\n".to_vec()),
        Just(b"5;a=\"b\"\r\n".to_vec()),
        prop::sample::select(b"\r\n\0\t :;,\"\\=#/a5".to_vec()).prop_map(|octet| vec![octet]),
        any::<u8>().prop_map(|octet| vec![octet]),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z!#$%&'*+.^_`|~-]{1,12}"
}

/// A request as it is meant.
#[derive(Debug, Clone)]
struct Meant {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    chunks: Option<Vec<Vec<u8>>>,
}

prop_compose! {
    fn meant()(
        method in "[A-Z]{1,8}".prop_filter("a tunnel", |method| method != "CONNECT"),
        target in "/[A-Za-z0-9/._~%-]{0,20}(\\?[A-Za-z0-9=&]{0,10})?",
        fields in prop::collection::vec((token().prop_map(|name| format!("x-{name}")), "[!-~]([ -~]{0,10}[!-~])?"), 0..8),
        chunks in prop::option::of(prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..5)),
    ) -> Meant {
        Meant { method, target, fields, chunks }
    }
}

impl Meant {
    /// In any of the ways that a sender may write it: case, blanks around values, leading zeros, extensions, trailers.
    fn written(&self, odd: bool) -> Vec<u8> {
        let (blank, zero) = if odd { (" \t ", "00") } else { (" ", "") };
        let mut out = Vec::new();
        let mut write = |text: String| out.extend(text.into_bytes());
        let (host, after) = if odd { ("hOST", "\t") } else { ("Host", "") };
        write(format!("{} {} HTTP/1.1\r\n", self.method, self.target));
        write(format!("{host}:{blank}a{after}\r\n"));
        for (name, value) in &self.fields {
            write(format!("{name}:{blank}{value}{after}\r\n"));
        }
        if self.chunks.is_some() {
            write("Transfer-Encoding: chunked\r\n".to_owned());
        }
        write("\r\n".to_owned());
        for chunk in self.chunks.iter().flatten() {
            out.extend(
                format!(
                    "{zero}{:x}{}\r\n",
                    chunk.len(),
                    if odd { ";a=\"b\"" } else { "" }
                )
                .bytes(),
            );
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        if self.chunks.is_some() {
            out.extend(format!("{zero}0\r\n{}\r\n", if odd { "x-t: a\r\n" } else { "" }).bytes());
        }
        out
    }
}

/// What was read, written in the one canonical way.
fn canonical(input: &[u8], pieces: usize) -> Result<Vec<u8>, Violation> {
    let cuts = || (pieces..input.len()).step_by(pieces.max(1));
    let head = read_head(input, Limits::default(), cuts())?.expect("a whole head");
    let mut out = Vec::new();
    let at = |(from, to): (usize, usize)| &input[from..to];
    out.extend_from_slice(at(head.method));
    out.push(b' ');
    out.extend_from_slice(at(head.target));
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for line in
        input[head.target.1 + " HTTP/1.1\r\n".len()..head.end - 2].split(|octet| *octet == b'\n')
    {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(colon) = line.iter().position(|octet| *octet == b':') else {
            continue;
        };
        let name = if line[..colon].eq_ignore_ascii_case(b"host") {
            b"Host".as_slice()
        } else {
            &line[..colon]
        };
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(line[colon + 1..].trim_ascii());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    let body = &input[head.end..];
    let cuts = (pieces..body.len()).step_by(pieces.max(1));
    let (passed, end) = read_body(body, head.framing, Limits::default(), cuts)?;
    assert_eq!(
        end,
        Some(body.len()),
        "the end of the body is the end of the input"
    );
    Ok([out, passed].concat())
}

fn without_zeros(input: Vec<u8>) -> Vec<u8> {
    // Only the sizes of `Meant::written` begin so.
    let mut out = Vec::new();
    let mut rest = input.as_slice();
    while let Some((octet, after)) = rest.split_first() {
        out.push(*octet);
        rest = after;
        if out.ends_with(b"\r\n") && rest.starts_with(b"00") {
            rest = &rest[2..];
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_octets_get_one_verdict_however_they_are_cut(input in scrap(), size in 1usize..40) {
        let whole = read_head(&input, Limits::default(), std::iter::empty());
        let cut = read_head(&input, Limits::default(), (size..input.len()).step_by(size));
        prop_assert_eq!(&whole, &cut);
        let whole = read_body(&input, Framing::Chunked, Limits::default(), std::iter::empty());
        let cut = read_body(&input, Framing::Chunked, Limits::default(), (size..input.len()).step_by(size));
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn what_is_read_is_what_was_meant(meant in meant(), pieces in 1usize..50) {
        let plain = meant.written(false);
        prop_assert_eq!(canonical(&plain, pieces), Ok(plain.clone()));
        // Zeros are found again only where no data can look like them.
        if meant.chunks.as_ref().is_none_or(|chunks| chunks.iter().flatten().all(u8::is_ascii_alphabetic)) {
            let odd = canonical(&meant.written(true), pieces).map(without_zeros);
            prop_assert_eq!(odd, Ok(plain));
        }
    }

    #[test]
    fn the_head_ends_at_the_first_empty_line(input in scrap()) {
        if let Ok(Some(head)) = HeadReader::new(Limits::default()).read(&input) {
            let text = &input[head.skip..head.end];
            let first = text.windows(4).position(|four| four == b"\r\n\r\n");
            prop_assert_eq!(first.map(|at| at + 4), Some(text.len()));
            prop_assert!(!text.contains(&0));
            let bare = text.iter().enumerate().any(|(at, octet)| *octet == b'\n' && (at == 0 || text[at - 1] != b'\r'));
            prop_assert!(!bare);
        }
    }
}

#[test]
fn bounds_are_the_same_however_a_head_is_cut() {
    let input = b"GET /a HTTP/1.1\r\nHost: a\r\nX:\r\nLonger-Name: \t a value \r\nx: y\r\n\r\n";
    let bounds = |head_bytes, field_bytes, fields| Limits {
        fields,
        head_bytes,
        field_bytes,
        ..Limits::default()
    };
    let heads = (1..=input.len() + 1).map(|bytes| bounds(bytes, 1 << 10, 10));
    let fields = (1..=40).map(|bytes| bounds(1 << 10, bytes, 10));
    let counts = (0..=5).map(|count| bounds(1 << 10, 1 << 10, count));
    for limits in heads.chain(fields).chain(counts) {
        let whole = HeadReader::new(limits).read(input);
        let mut reader = HeadReader::new(limits);
        let cut = (1..=input.len())
            .find_map(|end| reader.read(&input[..end]).transpose())
            .transpose();
        assert_eq!(whole, cut, "{limits:?}");
    }
}
