//! The Huffman code of strings (RFC 7541 §5.2, appendix B).

use super::Bad;
use std::sync::LazyLock;

/// How long the code of each octet is; the last is that of the end of a string. Codes of one length are consecutive, in the
/// order of the octets, and follow on the shorter ones: so the lengths are all there is to know.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
const LENGTH_MAX: u8 = 30;
/// The end of a string, which stands in none.
const END: usize = 256;
/// Padding is shorter than an octet.
const PADDING_BITS_MAX: u32 = 7;
/// Octets with short codes are found at once, by so many bits.
const QUICK_BITS: u32 = 8;

static CODES: LazyLock<Codes> = LazyLock::new(Codes::new);

struct Codes {
    /// By the next eight bits: an octet, and how long its code is; 0: longer than that.
    quick: Vec<(u8, u8)>,
    /// From the shortest.
    lengths: Vec<Length>,
    /// In the order of their codes.
    symbols: Vec<usize>,
}

/// The codes of one length.
struct Length {
    bits: u32,
    first: u32,
    /// What is no longer one of them, or of shorter ones, in 32 bits.
    end: u64,
    /// Where the first one's symbol stands.
    place: usize,
}

impl Codes {
    fn new() -> Self {
        let mut codes = Self {
            quick: vec![(0, 0); 1 << QUICK_BITS],
            lengths: Vec::new(),
            symbols: Vec::new(),
        };
        let mut first = 0_u32;
        for bits in 1..=u32::from(LENGTH_MAX) {
            first <<= 1;
            let symbols = (LENGTHS.iter().enumerate())
                .filter(|(_, length)| u32::from(**length) == bits)
                .map(|(symbol, _)| symbol);
            let place = codes.symbols.len();
            codes.symbols.extend(symbols);
            let count = codes.symbols.len() - place;
            if count == 0 {
                continue;
            }
            if bits <= QUICK_BITS {
                let each = 1 << (QUICK_BITS - bits);
                let slots = codes.quick.iter_mut().skip(first as usize * each);
                let symbols = codes.symbols.iter().skip(place);
                let filled = symbols.flat_map(|symbol| std::iter::repeat_n(*symbol, each));
                for (slot, symbol) in slots.zip(filled) {
                    *slot = (symbol as u8, bits as u8);
                }
            }
            codes.lengths.push(Length {
                bits,
                first,
                end: (u64::from(first) + count as u64) << (32 - bits),
                place,
            });
            first += count as u32;
        }
        codes
    }

    /// The symbol that 32 bits begin with, and how long its code is.
    fn find(&self, bits: u32) -> Option<(usize, u32)> {
        let quick = self.quick.get((bits >> (32 - QUICK_BITS)) as usize);
        if let Some((octet, length @ 1..)) = quick.copied() {
            return Some((usize::from(octet), u32::from(length)));
        }
        let length = (self.lengths.iter()).find(|length| u64::from(bits) < length.end)?;
        let place = (bits >> (32 - length.bits)) - length.first;
        let symbol = self.symbols.get(length.place + place as usize)?;
        Some((*symbol, length.bits))
    }
}

/// Decodes a whole string. What it becomes is at most 8/5 as long.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Bad> {
    let codes = &*CODES;
    let mut coded = coded.iter();
    let (mut bits, mut filled) = (0_u64, 0_u32);
    loop {
        while filled <= 56
            && let Some(octet) = coded.next()
        {
            bits |= u64::from(*octet) << (56 - filled);
            filled += 8;
        }
        match codes.find((bits >> 32) as u32) {
            Some((END, length)) if length <= filled => return Err(Bad),
            Some((symbol, length)) if length <= filled => {
                out.push(symbol as u8);
                bits <<= length;
                filled -= length;
            }
            _ => break,
        }
    }
    // What is left is the beginning of the end: ones alone (§5.2).
    let is_padding = filled <= PADDING_BITS_MAX && bits.leading_ones() >= filled;
    is_padding.then_some(()).ok_or(Bad)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Encodes a string.
    pub fn encode(octets: &[u8]) -> Vec<u8> {
        let codes = octets.iter().map(|octet| {
            let length = u32::from(LENGTHS[usize::from(*octet)]);
            let codes = &*CODES;
            let at = codes.lengths.iter().find(|of| of.bits == length).unwrap();
            let place = codes
                .symbols
                .iter()
                .position(|symbol| *symbol == usize::from(*octet));
            let code = at.first + (place.unwrap() - at.place) as u32;
            format!("{code:0width$b}", width = length as usize)
        });
        let mut bits: String = codes.collect();
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        let octets = bits.as_bytes().chunks(8);
        octets
            .map(|bits| u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2).unwrap())
            .collect()
    }

    fn check(coded: &[u8], expected: Option<&[u8]>) {
        let mut out = Vec::new();
        let decoded = decode(coded, &mut out).ok().map(|()| &*out);
        assert_eq!(decoded, expected, "{coded:02x?}");
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 7541 appendix B: the first, some of each length, and the last of all.
        let codes = &*CODES;
        for (octet, code, length) in [
            (b'0', 0x0_u32, 5),
            (b't', 0x9, 5),
            (b' ', 0x14, 6),
            (b'u', 0x2d, 6),
            (b':', 0x5c, 7),
            (b'&', 0xf8, 8),
            (b'!', 0x3f8, 10),
            (b'\'', 0x7fa, 11),
            (b'#', 0xffa, 12),
            (0, 0x1ff8, 13),
            (b'<', 0x7ffc, 15),
            (b'\\', 0x7fff0, 19),
            (128, 0xfffe6, 20),
            (1, 0x7f_ffd8, 23),
            (9, 0xff_ffea, 24),
            (199, 0x1ff_ffec, 25),
            (255, 0x3ff_ffee, 26),
            (2, 0xfff_ffe2, 28),
            (10, 0x3fff_fffc, 30),
            (22, 0x3fff_fffe, 30),
        ] {
            let found = codes.find(code << (32 - length));
            assert_eq!(found, Some((usize::from(octet), length)), "{octet}");
        }
        assert_eq!(codes.find(0xffff_ffff), Some((END, 30)));
    }

    #[test]
    fn every_string_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        check(&encode(&all), Some(&all));
        for length in 0..200_usize {
            let text: Vec<u8> = (0..length).map(|at| (at * 31 + length * 7) as u8).collect();
            check(&encode(&text), Some(&text));
        }
    }

    #[test]
    fn what_ends_otherwise_is_refused() {
        check(&[], Some(b""));
        // Padding of eight bits, and of zeros.
        check(&[0x07, 0xff], None);
        check(&[0xff], None);
        check(&[0x00], None);
        check(&[0x07], Some(b"0"));
        // The end of a string in it, and a code that is cut.
        check(&[0xff, 0xff, 0xff, 0xff], None);
        check(&[0xff, 0xc0], None);
        check(&[0xff, 0xff], None);
    }
}
