//! CRC-32C (Castagnoli; RFC 3720, appendix B.4), over pieces.

/// Reflected 0x1EDC6F41.
const POLYNOMIAL: u32 = 0x82F6_3B78;
pub(super) const START: u32 = !0;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

pub(super) fn update(crc: u32, octets: &[u8]) -> u32 {
    octets.iter().fold(crc, |crc, octet| {
        // A byte is within the table.
        TABLE[usize::from(crc as u8 ^ octet)] ^ (crc >> 8)
    })
}

pub(super) fn finish(crc: u32) -> u32 {
    !crc
}
