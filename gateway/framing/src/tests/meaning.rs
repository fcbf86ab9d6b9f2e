//! What a head says: how long its body is, whom it is for.

use super::heads::{accepted, refused, with};
use crate::{Framing, Target, Version, Violation};

#[test]
fn a_length_is_told_once_and_in_digits() {
    for (lines, expected) in [
        (
            "Content-Length: 1\r\nContent-Length: 1",
            Violation::DuplicateLength,
        ),
        (
            "Content-Length: 1\r\nContent-Length: 2",
            Violation::DuplicateLength,
        ),
        ("Content-Length: 1, 1", Violation::DuplicateLength),
        ("Content-Length: 1,2", Violation::DuplicateLength),
        ("Content-Length: 1,", Violation::BadLength),
        ("Content-Length:", Violation::BadLength),
        ("Content-Length: +1", Violation::BadLength),
        ("Content-Length: -1", Violation::BadLength),
        ("Content-Length: 1 2", Violation::BadLength),
        ("Content-Length: 0x1", Violation::BadLength),
        ("Content-Length: 1.0", Violation::BadLength),
        ("Content-Length: \u{661}", Violation::BadLength),
        (
            "Content-Length: 9223372036854775808",
            Violation::LargeLength,
        ),
        (
            "Content-Length: 18446744073709551617",
            Violation::LargeLength,
        ),
        (
            "Content-Length: 99999999999999999999999999",
            Violation::LargeLength,
        ),
        (
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            Violation::BothLengths,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 1",
            Violation::BothLengths,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 0",
            Violation::BothLengths,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            Violation::DuplicateCoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            Violation::DuplicateCoding,
        ),
        ("Transfer-Encoding: chunked, chunked", Violation::BadCoding),
        ("Transfer-Encoding: chunked, identity", Violation::BadCoding),
        ("Transfer-Encoding: identity", Violation::BadCoding),
        ("Transfer-Encoding: xchunked", Violation::BadCoding),
        ("Transfer-Encoding: chunked;q=1", Violation::BadCoding),
        ("Transfer-Encoding: \"chunked\"", Violation::BadCoding),
        ("Transfer-Encoding: chunked,", Violation::BadCoding),
        ("Transfer-Encoding: ,chunked", Violation::BadCoding),
        ("Transfer-Encoding:", Violation::BadCoding),
        ("Transfer-Encoding: gzip", Violation::BadCoding),
        ("Transfer-Encoding: gzip, chunked", Violation::UnknownCoding),
        ("Expect: 200-ok", Violation::UnknownExpectation),
    ] {
        refused(with(lines), expected);
    }
    refused(
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        Violation::CodingInOldVersion,
    );

    for (line, framing) in [
        ("X: a", Framing::Empty),
        ("Content-Length: 0", Framing::Empty),
        ("Content-Length: 007", Framing::Length(7)),
        ("CONTENT-length:\t12 ", Framing::Length(12)),
        (
            "Content-Length: 9223372036854775807",
            Framing::Length(i64::MAX as u64),
        ),
        ("Transfer-Encoding: chunked", Framing::Chunked),
        ("transfer-encoding:CHUNKED \t", Framing::Chunked),
    ] {
        assert_eq!(accepted(with(line)).framing, framing, "{line}");
    }
}

#[test]
fn the_host_is_named_once_and_the_target_agrees() {
    let line = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    refused("GET / HTTP/1.1\r\n\r\n", Violation::MissingHost);
    refused("GET http://a/ HTTP/1.1\r\n\r\n", Violation::MissingHost);
    refused(with("Host: a"), Violation::DuplicateHost);
    for host in [
        "",
        "a b",
        "a,b",
        "u@a",
        "a/b",
        "a:b",
        "a:",
        "a:70000",
        "[::1",
        "[::g]",
        "::1",
        "[::1]x",
        "caf\u{e9}",
        "a%41",
        ".",
        "a?b",
        "a;b",
    ] {
        refused(line("/", host), Violation::BadHost);
    }
    for host in [
        "a",
        "A.example.",
        "a_b.example",
        "a:80",
        "127.0.0.1:8080",
        "[::1]",
        "[2001:db8::1]:443",
    ] {
        accepted(line("/", host));
    }
    for (target, host) in [
        ("http://a/", "a"),
        ("http://A:80/x", "a."),
        ("HTTP://a?q", "a:80"),
        ("https://a/", "a:443"),
        ("http://[::1]:80", "[::1]"),
    ] {
        assert!(matches!(
            accepted(line(target, host)).form,
            Target::Absolute { .. }
        ));
    }
    for (target, host) in [
        ("http://a/", "b"),
        ("http://a:81/", "a"),
        ("https://a/", "a:80"),
        ("http://a/", "a.b"),
    ] {
        refused(line(target, host), Violation::HostMismatch);
    }
    assert_eq!(
        accepted("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").form,
        Target::Asterisk
    );
    let old = accepted("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((old.version, old.host), (Version::Http10, None));
}

#[test]
fn what_a_head_asks_for_is_told() {
    let head = accepted(with(
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nExpect: 100-Continue",
    ));
    assert!(head.upgrade && head.expects_continue);
    assert!(
        !accepted(with("Upgrade: websocket")).upgrade,
        "Connection does not name it"
    );
    assert!(!accepted("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expects_continue);
}
