//! The examples of the standard, and what no example shows.

use super::{Bad, Decoder, List, encode, huffman::tests::encode as huffman};
use bytes::{Bytes, BytesMut};
use http::StatusCode;

const ENOUGH: usize = 1 << 16;

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

fn read(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, Bad> {
    let mut list = List::default();
    decoder.read(block, ENOUGH, &mut list)?;
    let text = |octets: &Bytes| String::from_utf8_lossy(octets).into_owned();
    let fields = list.fields.iter();
    Ok(fields
        .map(|field| (text(&field.name), text(&field.value)))
        .collect())
}

/// Blocks of one connection: their octets, their fields by lines, and how large the table is behind them.
fn check(blocks: &[(&str, &str, usize)]) {
    let mut decoder = Decoder::default();
    for (hex, fields, table) in blocks {
        let expected: Vec<_> = (fields.split('|'))
            .map(|field| field.split_once("= ").unwrap())
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        assert_eq!(read(&mut decoder, &octets(hex)), Ok(expected), "{hex}");
        assert_eq!(decoder.table_bytes(), *table, "{hex}");
    }
}

#[test]
fn single_fields_are_those_of_appendix_c_2() {
    check(&[(
        "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
        "custom-key= custom-header",
        55,
    )]);
    check(&[(
        "040c 2f73 616d 706c 652f 7061 7468",
        ":path= /sample/path",
        0,
    )]);
    check(&[(
        "1008 7061 7373 776f 7264 0673 6563 7265 74",
        "password= secret",
        0,
    )]);
    check(&[("82", ":method= GET", 0)]);
}

const FIRST: &str = ":method= GET|:scheme= http|:path= /|:authority= www.example.com";
const SECOND: &str =
    ":method= GET|:scheme= http|:path= /|:authority= www.example.com|cache-control= no-cache";
const THIRD: &str = ":method= GET|:scheme= https|:path= /index.html|:authority= www.example.com|custom-key= custom-value";

#[test]
fn requests_are_those_of_appendix_c_3_and_c_4() {
    check(&[
        (
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            FIRST,
            57,
        ),
        ("8286 84be 5808 6e6f 2d63 6163 6865", SECOND, 110),
        (
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            THIRD,
            164,
        ),
    ]);
    check(&[
        ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", FIRST, 57),
        ("8286 84be 5886 a8eb 1064 9cbf", SECOND, 110),
        (
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            THIRD,
            164,
        ),
    ]);
}

/// Appendix C.5 and C.6, with a table of 256 octets: fields leave it.
#[test]
fn responses_are_those_of_appendix_c_5_and_c_6() {
    let first = ":status= 302|cache-control= private|date= Mon, 21 Oct 2013 20:13:21 GMT|location= https://www.example.com";
    let second = ":status= 307|cache-control= private|date= Mon, 21 Oct 2013 20:13:21 GMT|location= https://www.example.com";
    let third = ":status= 200|cache-control= private|date= Mon, 21 Oct 2013 20:13:22 GMT|location= https://www.example.com|content-encoding= gzip|set-cookie= foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    // The table's size first, as its owner would tell it.
    check(&[
        (
            "3fe1 01 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            first,
            222,
        ),
        ("4803 3330 37c1 c0bf", second, 222),
        (
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
            third,
            215,
        ),
    ]);
    check(&[
        (
            "3fe1 01 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
            first,
            222,
        ),
        ("4883 640e ffc1 c0bf", second, 222),
        (
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
            third,
            215,
        ),
    ]);
}

#[test]
fn what_can_t_be_read_is_an_error() {
    for hex in [
        // Indices that are in no table.
        "80",
        "be",
        "7f00 00",
        "ff80 8080 8001",
        // Numbers and strings that are cut, or too large.
        "ff",
        "3f",
        "40",
        "4001",
        "4001 61",
        "4001 6105 61",
        "00 7fff ffff ff7f 61",
        // The table is larger than we let it be, or changes behind a field (§4.2).
        "3fe2 1f",
        "82 20",
        // Huffman codes that end otherwise.
        "0081 ff 00",
    ] {
        let read = read(&mut Decoder::default(), &octets(hex));
        assert_eq!(read, Err(Bad), "{hex}");
    }
}

#[test]
fn the_table_may_shrink_and_grow_again() {
    let mut decoder = Decoder::default();
    let put = octets("4001 6101 62");
    read(&mut decoder, &put).unwrap();
    assert_eq!(decoder.table_bytes(), 34);
    // Twice at the start of a block, as RFC 7541 §4.2 has it.
    assert_eq!(read(&mut decoder, &octets("20 3fe1 1f")), Ok(Vec::new()));
    assert_eq!(decoder.table_bytes(), 0);
    assert_eq!(read(&mut decoder, &octets("be")), Err(Bad));
    // What is larger than the table empties it, and is no error (§4.4).
    read(&mut decoder, &octets("3f01")).unwrap();
    read(&mut decoder, &octets("4001 6101 62")).unwrap();
    assert_eq!(decoder.table_bytes(), 0);
}

#[test]
fn what_is_too_large_is_counted_and_the_table_goes_on() {
    let mut decoder = Decoder::default();
    let mut block = octets("4001 6101 62");
    block.extend([0xbe; 1_000]);
    let mut list = List::default();
    decoder.read(&block, 340, &mut list).unwrap();
    assert_eq!((list.fields.len(), list.bytes), (10, 34 * 1_001));
    assert_eq!(decoder.table_bytes(), 34);
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// A client that does as it likes: fields known and new, in every representation, sizes that change.
struct Writer {
    table: Fields,
    room: usize,
    seed: u64,
}

impl Writer {
    fn chance(&mut self, below: usize) -> usize {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) as usize % below
    }

    fn text(&mut self, out: &mut BytesMut, text: &[u8]) {
        if self.chance(2) == 0 {
            encode::string(out, text);
        } else {
            let coded = huffman(text);
            encode::number(out, 0x80, 7, coded.len());
            out.extend_from_slice(&coded);
        }
    }

    fn fit(&mut self) {
        let bytes = |table: &[(Vec<u8>, Vec<u8>)]| -> usize {
            table
                .iter()
                .map(|(name, value)| name.len() + value.len() + 32)
                .sum()
        };
        while bytes(&self.table) > self.room {
            self.table.pop();
        }
    }

    fn block(&mut self) -> (BytesMut, Fields) {
        let (mut out, mut fields) = (BytesMut::new(), Vec::new());
        if self.chance(8) == 0 {
            self.room = self.chance(4_097);
            encode::number(&mut out, 0x20, 5, self.room);
            self.fit();
        }
        for _ in 0..self.chance(12) {
            let known = self.table.len();
            if known > 0 && self.chance(2) == 0 {
                let at = self.chance(known);
                encode::number(&mut out, 0x80, 7, 62 + at);
                fields.push(self.table[at].clone());
                continue;
            }
            let length = self.chance(300);
            let value: Vec<u8> = (0..length).map(|_| self.chance(256) as u8).collect();
            let (above, prefix) = [(0x40, 6), (0, 4), (0x10, 4)][self.chance(3)];
            let name = if known > 0 && self.chance(2) == 0 {
                let at = self.chance(known);
                encode::number(&mut out, above, prefix, 62 + at);
                self.table[at].0.clone()
            } else {
                let name = format!("x-{}", self.chance(50)).into_bytes();
                encode::number(&mut out, above, prefix, 0);
                self.text(&mut out, &name);
                name
            };
            self.text(&mut out, &value);
            if above == 0x40 {
                self.table.insert(0, (name.clone(), value.clone()));
                self.fit();
            }
            fields.push((name, value));
        }
        (out, fields)
    }
}

#[test]
fn whatever_a_client_writes_is_read() {
    for seed in 0..200 {
        let mut writer = Writer {
            table: Vec::new(),
            room: 4_096,
            seed,
        };
        let mut decoder = Decoder::default();
        // What the library reads of it, block by block.
        let mut library = Decoder::default();
        for number in 0..50 {
            let (block, fields) = writer.block();
            let mut list = List::default();
            decoder.read(&block, ENOUGH, &mut list).unwrap();
            let mut again = BytesMut::new();
            for field in &list.fields {
                encode::again(&mut again, field);
            }
            let mut passed = List::default();
            library.read(&again, ENOUGH, &mut passed).unwrap();
            assert_eq!(library.table_bytes(), 0);
            assert_eq!(list.fields, passed.fields, "seed {seed}, block {number}");
            let read = list.fields.iter();
            let read: Vec<_> = read
                .map(|field| (field.name.to_vec(), field.value.to_vec()))
                .collect();
            assert_eq!(read, fields, "seed {seed}, block {number}");
        }
    }
}

/// Nothing that comes makes it stop otherwise than by an error, or keep more than it is asked to.
#[test]
fn garbage_is_read_or_refused() {
    let mut writer = Writer {
        table: Vec::new(),
        room: 0,
        seed: 7,
    };
    for _ in 0..5_000 {
        let length = writer.chance(60);
        let block: Vec<u8> = (0..length).map(|_| writer.chance(256) as u8).collect();
        let mut decoder = Decoder::default();
        let mut list = List::default();
        let _ = decoder.read(&block, 200, &mut list);
        assert!(decoder.table_bytes() <= 4_096);
        let kept: usize = list.fields.iter().map(|field| field.bytes()).sum();
        assert!(kept <= 200, "{block:02x?}");
    }
}

#[test]
fn statuses_are_written_as_the_table_has_them() {
    let check = |status: u16, expected: &[u8]| {
        let mut out = BytesMut::new();
        encode::status(&mut out, StatusCode::from_u16(status).unwrap());
        assert_eq!(&*out, expected, "{status}");
    };
    check(200, &[0x88]);
    check(304, &[0x8b]);
    check(410, b"\x08\x03410");
}
