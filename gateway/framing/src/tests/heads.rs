//! The form of heads, and their bounds.

use super::head_of;
use crate::{Limits, Violation};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n";

#[track_caller]
pub fn refused(head: impl AsRef<[u8]>, expected: Violation) {
    let head = head.as_ref();
    assert_eq!(
        head_of(head, Limits::default()),
        Err(expected),
        "{:?}",
        String::from_utf8_lossy(head)
    );
}

#[track_caller]
pub fn accepted(head: impl AsRef<[u8]>) -> crate::Head {
    let head = head.as_ref();
    let told = String::from_utf8_lossy(head);
    match head_of(head, Limits::default()) {
        Ok(Some(read)) => {
            assert_eq!(read.end, head.len(), "{told:?}");
            read
        }
        other => panic!("{told:?}: {other:?}"),
    }
}

/// A head with one more field line.
pub fn with(line: &str) -> String {
    format!("{GET}{line}\r\n\r\n")
}

#[test]
fn the_request_line_has_one_form() {
    for (line, expected) in [
        ("GET  / HTTP/1.1", Violation::BadRequestLine),
        ("GET / HTTP/1.1 ", Violation::BadRequestLine),
        ("GET /a b HTTP/1.1", Violation::BadRequestLine),
        ("GET\t/ HTTP/1.1", Violation::BadMethod),
        (" GET / HTTP/1.1", Violation::BadRequestLine),
        ("GET", Violation::BadRequestLine),
        ("G(T / HTTP/1.1", Violation::BadMethod),
        ("G\0T / HTTP/1.1", Violation::BadMethod),
        ("\u{e9}ET / HTTP/1.1", Violation::BadMethod),
        ("\x16\x03\x01\x02\x00\x01", Violation::BadMethod),
        ("GET /", Violation::HttpZeroNine),
        ("GET / HTTP/0.9", Violation::UnsupportedVersion),
        ("GET / HTTP/2.0", Violation::UnsupportedVersion),
        ("GET / HTTP/1.2", Violation::UnsupportedVersion),
        ("GET / HTTP/3.7", Violation::UnsupportedVersion),
        ("GET / HTTP/1.10", Violation::BadVersion),
        ("GET / HTTP/1.", Violation::BadVersion),
        ("GET / http/1.1", Violation::BadVersion),
        ("GET / HTTQ/1.1", Violation::BadVersion),
        ("GET / ICAP/1.0", Violation::BadRequestLine),
        ("GET / HTTP/1.1x", Violation::BadVersion),
        ("GET / ", Violation::BadRequestLine),
        ("GET  HTTP/1.1", Violation::BadRequestLine),
        ("GET france HTTP/1.1", Violation::BadTarget),
        ("GET ? HTTP/1.1", Violation::BadTarget),
        ("GET * HTTP/1.1", Violation::BadTarget),
        ("OPTIONS ** HTTP/1.1", Violation::BadTarget),
        ("GET ftp://a/ HTTP/1.1", Violation::BadTarget),
        ("GET http:/a HTTP/1.1", Violation::BadTarget),
        ("GET a:80 HTTP/1.1", Violation::BadTarget),
        ("CONNECT a:443 HTTP/1.1", Violation::Connect),
        ("CONNECT / HTTP/1.1", Violation::Connect),
        ("GET http://u@a/ HTTP/1.1", Violation::BadHost),
        ("GET http:///x HTTP/1.1", Violation::BadHost),
        ("GET http://a\\b/ HTTP/1.1", Violation::BadHost),
        ("GET /#top HTTP/1.1", Violation::FragmentInTarget),
        ("GET /caf\u{e9} HTTP/1.1", Violation::NonAsciiTarget),
        ("GET /\0 HTTP/1.1", Violation::ControlInTarget),
        ("GET /\x7f HTTP/1.1", Violation::ControlInTarget),
        ("GET /a\tb HTTP/1.1", Violation::ControlInTarget),
        ("GET /<a> HTTP/1.1", Violation::BadTargetOctet),
        ("GET /` HTTP/1.1", Violation::BadTargetOctet),
        ("GET /?a=\" HTTP/1.1", Violation::BadTargetOctet),
    ] {
        refused(format!("{line}\r\nHost: a\r\n\r\n"), expected);
    }
    refused(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        Violation::PriorKnowledge,
    );
    refused(
        "a".repeat(33) + " / HTTP/1.1\r\n\r\n",
        Violation::LongMethod,
    );
}

#[test]
fn lines_end_with_cr_lf() {
    for (head, expected) in [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", Violation::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", Violation::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", Violation::BareLf),
        ("GET / HTTP/1.1\r\nHost:\nX: a\r\n\r\n", Violation::BareLf),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", Violation::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", Violation::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", Violation::BareCr),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n",
            Violation::BareCr,
        ),
        ("GET /\nHost: a\r\n\r\n", Violation::HttpZeroNine),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Violation::BareLf),
        ("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", Violation::BareCr),
        (
            "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            Violation::EmptyLines,
        ),
        ("\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Violation::BareLf),
    ] {
        refused(head, expected);
    }
    let head = accepted("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        head.skip, 2,
        "one empty line before it is let pass (RFC 9112 §2.2)"
    );
}

#[test]
fn fields_have_one_form() {
    for (line, expected) in [
        ("X : a", Violation::SpaceBeforeColon),
        ("X\t: a", Violation::SpaceBeforeColon),
        ("X Y: a", Violation::SpaceInName),
        ("X ", Violation::SpaceInName),
        (": a", Violation::EmptyName),
        (" folded", Violation::FoldedLine),
        ("\tfolded", Violation::FoldedLine),
        ("X", Violation::NoColon),
        ("X\0: a", Violation::ControlInName),
        ("\x0bX: a", Violation::ControlInName),
        ("X\x7f: a", Violation::ControlInName),
        ("X(: a", Violation::BadName),
        ("\"X\": a", Violation::BadName),
        ("\u{e9}: a", Violation::BadName),
        ("X\u{e9}: a", Violation::BadName),
        ("X: a\0b", Violation::ControlInValue),
        ("X: \x01", Violation::ControlInValue),
        ("X: a\x7f", Violation::ControlInValue),
        ("X:\x0ba", Violation::ControlInValue),
        ("X: a\x0c", Violation::ControlInValue),
    ] {
        refused(with(line), expected);
    }
    refused(
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        Violation::LeadingWhitespace,
    );
    refused(
        "GET / HTTP/1.1\r\n\tX: a\r\nHost: a\r\n\r\n",
        Violation::LeadingWhitespace,
    );
    for line in [
        "X:",
        "X:a",
        "X: \t a \t ",
        "X: caf\u{e9}",
        "X: a: b",
        "!#$%&'*+-.^_`|~9: a",
        "X: a\tb",
        "x-Y_z.9: \"quoted, \\\" and so on\"",
    ] {
        assert_eq!(accepted(with(line)).fields, 2);
    }
}

#[test]
fn heads_are_bounded() {
    let name = |octets: usize| format!("{GET}{}: a\r\n\r\n", "a".repeat(octets));
    accepted(name(4 << 10));
    refused(name((4 << 10) + 1), Violation::LongField);
    let limits = Limits {
        fields: 3,
        head_bytes: 400,
        field_bytes: 200,
        target_bytes: 100,
        ..Limits::default()
    };
    let check = |head: String, expected: Option<Violation>| {
        let read = head_of(head.as_bytes(), limits);
        assert_eq!(
            read.as_ref().err().copied(),
            expected,
            "{} octets: {read:?}",
            head.len()
        );
    };
    let target = |octets: usize| {
        format!(
            "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
            "a".repeat(octets - 1)
        )
    };
    check(target(100), None);
    check(target(101), Some(Violation::LongTarget));
    check(
        format!("GET /{}", "a".repeat(5_000)),
        Some(Violation::LongTarget),
    );
    let field = |octets: usize| format!("{GET}X: {}\r\n\r\n", "a".repeat(octets - 3));
    check(field(200), None);
    check(field(201), Some(Violation::LongField));
    check(
        format!("{GET}{}", "a".repeat(5_000)),
        Some(Violation::LongField),
    );
    check(
        format!("{GET}X: {}\0", "a".repeat(5_000)),
        Some(Violation::LongField),
    );
    check(with("A: 1\r\nB: 2"), None);
    check(with("A: 1\r\nB: 2\r\nC: 3"), Some(Violation::ManyFields));
    let two = |octets: usize| {
        let fixed = GET.len() + "A: \r\nB: \r\n\r\n".len();
        format!(
            "{GET}A: {}\r\nB: {}\r\n\r\n",
            "a".repeat(190),
            "b".repeat(octets - fixed - 190)
        )
    };
    check(two(400), None);
    check(two(401), Some(Violation::LongHead));
}
