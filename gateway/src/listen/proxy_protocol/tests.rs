//! Tables, every split, any octets.

use super::{crc32c, *};
use std::net::SocketAddr;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// 198.51.100.7:4711 → 203.0.113.9:443.
const INET: &[u8] = &[198, 51, 100, 7, 203, 0, 113, 9, 0x12, 0x67, 0x01, 0xbb];

/// A header of version 2 with that block (addresses and TLVs).
fn v2(version_and_command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = (block.len() as u16).to_be_bytes();
    [SIGNATURE, &[version_and_command, family], &length, block].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind], &(value.len() as u16).to_be_bytes()[..], value].concat()
}

/// The header with a right checksum in the place of its last four octets, which are those of a checksum's TLV.
fn sealed(mut header: Vec<u8>) -> Vec<u8> {
    let at = header.len() - 4;
    header[at..].fill(0);
    let crc = crc32c::finish(crc32c::update(crc32c::START, &header));
    header[at..].copy_from_slice(&crc.to_be_bytes());
    header
}

/// In one piece with what follows, and cut at every octet.
fn check(octets: &[u8], expected: Result<Option<&str>, Malformed>) {
    let shown = octets.escape_ascii().to_string();
    let expected =
        expected.map(|client| client.map(|client| client.parse::<SocketAddr>().unwrap()));
    let with_rest = [octets, b"GET / HTTP/1.1\r\n"].concat();
    match expected {
        Ok(client) => {
            let length = octets.len();
            for all in [octets, &with_rest] {
                assert_eq!(parse(all), Ok(Some(Header { client, length })), "{shown}");
            }
            for cut in 0..length {
                assert_eq!(parse(&octets[..cut]), Ok(None), "{shown} cut at {cut}");
            }
        }
        Err(why) => {
            assert_eq!(parse(octets), Err(why), "{shown}");
            // Once it is known to be wrong, it stays so; until then more is waited for.
            let mut answers = (0..=octets.len()).map(|cut| parse(&octets[..cut]));
            let undecided = answers.by_ref().take_while(|answer| *answer == Ok(None));
            assert!(undecided.count() >= 1, "{shown}");
            assert!(answers.all(|answer| answer == Err(why)), "{shown}");
        }
    }
}

#[test]
fn lines_of_version_1() {
    use Malformed::{Fields, Line, Signature};
    let good: [(&str, Option<&str>); 9] = [
        (
            "TCP4 198.51.100.7 203.0.113.9 4711 443",
            Some("198.51.100.7:4711"),
        ),
        (
            "TCP4 255.255.255.255 255.255.255.255 65535 65535",
            Some("255.255.255.255:65535"),
        ),
        ("TCP4 0.0.0.0 0.0.0.0 0 0", Some("0.0.0.0:0")),
        (
            "TCP6 2001:db8::7 2001:db8::9 4711 443",
            Some("[2001:db8::7]:4711"),
        ),
        (
            "TCP6 ::ffff:198.51.100.7 ::1 1 2",
            Some("[::ffff:198.51.100.7]:1"),
        ),
        (
            "TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
            Some("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
        ),
        ("UNKNOWN", None),
        ("UNKNOWN what ever 1 2 3", None),
        (
            "UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
            None,
        ),
    ];
    for (line, client) in good {
        check(format!("PROXY {line}\r\n").as_bytes(), Ok(client));
    }
    let long = format!("UNKNOWN {}", "x".repeat(91));
    assert_eq!(format!("PROXY {long}\r\n").len(), 107);
    check(format!("PROXY {long}\r\n").as_bytes(), Ok(None));
    for (line, why) in [
        (format!("PROXY {long}x\r\n"), Line),
        (format!("PROXY {long}x"), Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n".into(), Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX".into(), Line),
        ("PROXY UNKNOWN a\nb\r\n".into(), Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n".into(), Fields),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n".into(), Fields),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n".into(), Fields),
        ("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n".into(), Fields),
        ("PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n".into(), Fields),
        ("PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n".into(), Fields),
        ("PROXY TCP4 ::1 ::1 1 2\r\n".into(), Fields),
        ("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n".into(), Fields),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n".into(), Fields),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n".into(), Fields),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n".into(), Fields),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 -2\r\n".into(), Fields),
        ("PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n".into(), Fields),
        ("PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n".into(), Fields),
        ("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n".into(), Fields),
        ("PROXY \r\n".into(), Fields),
        ("PROXY\r\n".into(), Signature),
        ("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n".into(), Signature),
        ("GET / HTTP/1.1\r\n".into(), Signature),
        ("\u{16}\u{3}\u{1}".into(), Signature),
    ] {
        check(line.as_bytes(), Err(why));
    }
    check(b"PROXY UNKN\xff\r\n", Err(Fields));
}

#[test]
fn headers_of_version_2() {
    use Malformed::{Checksum, Command, Family, Length, Signature, Tlv, Version};
    let client = Some("198.51.100.7:4711");
    let inet6: Vec<u8> = [
        &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7][..],
        &[0; 16],
        &[0x12, 0x67, 0x01, 0xbb],
    ]
    .concat();
    let unix = [b'/'; 216];
    let with = |tlvs: &[u8]| v2(0x21, 0x11, &[INET, tlvs].concat());
    for (header, client) in [
        (v2(0x21, 0x11, INET), client),
        (v2(0x21, 0x21, &inet6), Some("[2001:db8::7]:4711")),
        (v2(0x21, 0x31, &unix), None),
        (v2(0x21, 0x32, &unix), None),
        (v2(0x21, 0x12, INET), None),
        (v2(0x21, 0x22, &inet6), None),
        (v2(0x21, 0x00, &[]), None),
        (v2(0x21, 0x00, &tlv(4, b"noop")), None),
        (v2(0x20, 0x00, &[]), None),
        (v2(0x20, 0x11, INET), None),
        // LOCAL: the block is discarded, whatever it holds.
        (v2(0x20, 0x11, b"short"), None),
        (with(&tlv(0x02, b"shop.example")), client),
        (
            with(&[tlv(0x01, b"h2"), tlv(0xea, &[0; 300]), tlv(0x20, &[])].concat()),
            client,
        ),
        (
            with(&tlv(0xee, &[7; HEADER_BYTES_MAX - 16 - 12 - 3])),
            client,
        ),
        (sealed(with(&tlv(3, &[0; 4]))), client),
        (
            sealed(with(&[tlv(5, b"id"), tlv(3, &[0; 4])].concat())),
            client,
        ),
    ] {
        check(&header, Ok(client));
    }
    let mut altered = sealed(with(&tlv(3, &[0; 4])));
    altered[17] ^= 1;
    for (header, why) in [
        (v2(0x11, 0x11, INET), Version),
        (v2(0x31, 0x11, INET), Version),
        (v2(0x22, 0x11, INET), Command),
        (v2(0x2f, 0x11, INET), Command),
        (v2(0x21, 0x41, INET), Family),
        (v2(0x21, 0x13, INET), Family),
        (v2(0x20, 0xf1, INET), Family),
        (v2(0x21, 0x11, &INET[..11]), Length),
        (v2(0x21, 0x21, &inet6[..35]), Length),
        (v2(0x21, 0x31, &unix[..215]), Length),
        (v2(0x21, 0x11, &[0; HEADER_BYTES_MAX - 15]), Length),
        (with(&[4]), Tlv),
        (with(&[4, 0]), Tlv),
        (with(&[4, 0, 1]), Tlv),
        (
            with(&[&tlv(4, b"noop")[..], &[4, 0xff, 0xff, 0]].concat()),
            Tlv,
        ),
        (with(&tlv(3, &[0; 3])), Tlv),
        (with(&tlv(3, &[0; 4])), Checksum),
        (altered, Checksum),
        (
            sealed(with(&[tlv(3, &[0; 4]), tlv(3, &[0; 4])].concat())),
            Checksum,
        ),
    ] {
        check(&header, Err(why));
    }
    let mut unsigned = v2(0x21, 0x11, INET);
    unsigned[11] = b'\r';
    check(&unsigned, Err(Signature));
}

#[test]
fn the_checksum_is_that_of_the_rfc() {
    let of = |octets: &[u8]| crc32c::finish(crc32c::update(crc32c::START, octets));
    assert_eq!(of(b"123456789"), 0xE306_9283);
    assert_eq!(of(&[0; 32]), 0x8A91_36AA);
    assert_eq!(of(&[0xff; 32]), 0x62A8_AB43);
}

#[test]
fn any_octets_end_in_an_answer_that_more_octets_do_not_change() {
    // A walk over octets that favours those of headers: reproducible, and quick.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let starts: [&[u8]; 6] = [
        b"",
        b"PROXY ",
        b"PROXY TCP4 1.2.3.4 ",
        SIGNATURE,
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x20",
        b"\r\n\r\n\0\r\nQUIT\n\x20",
    ];
    const FAVOURED: &[u8] = b" .:\r\n0129afTCPUNKW\0\x01\x03\x04\x0c\x11\x20\x21";
    for _ in 0..50_000 {
        let mut octets = starts[next() as usize % starts.len()].to_vec();
        for _ in 0..next() % 80 {
            let octet = if next() % 4 == 0 {
                next() as u8
            } else {
                FAVOURED[next() as usize % FAVOURED.len()]
            };
            octets.push(octet);
        }
        let mut decided = Ok(None);
        for cut in 0..=octets.len() {
            let now = parse(&octets[..cut]);
            if decided != Ok(None) {
                assert_eq!(now, decided, "{}", octets.escape_ascii());
            }
            if let Ok(Some(header)) = now {
                assert!(header.length <= cut);
            }
            decided = now;
        }
    }
}

#[test]
fn names_are_apart() {
    let mut names: Vec<_> = Malformed::ALL.iter().map(|why| why.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Malformed::ALL.len());
    assert!(names.iter().all(|name| Outcome::NAMES.contains(name)));
}
