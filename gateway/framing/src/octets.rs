//! Classes of octets, and the runs of them.

/// `tchar` (RFC 9110 §5.6.2).
static TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~", true);

const fn table(further: &[u8], alphanumeric: bool) -> [bool; 256] {
    let mut table = [false; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = alphanumeric && (octet as u8).is_ascii_alphanumeric();
        octet += 1;
    }
    let mut at = 0;
    while at < further.len() {
        table[further[at] as usize] = true;
        at += 1;
    }
    table
}

/// Whether it may stand in a token: a method, a field's name.
pub fn is_token_octet(octet: u8) -> bool {
    TOKEN[octet as usize]
}

/// Whether it may stand in a field's value: visible, space, tab, or beyond ASCII (RFC 9110 §5.5).
pub fn is_value_octet(octet: u8) -> bool {
    (octet >= b' ' && octet != 0x7f) || octet == b'\t'
}

/// Whether it is a control octet: NUL to US, and DEL.
pub fn is_control(octet: u8) -> bool {
    octet < b' ' || octet == 0x7f
}

/// How many octets of a token `input` begins with.
pub fn token_run(input: &[u8]) -> usize {
    run(input, is_token_octet)
}

/// How many octets of a value `input` begins with. Looks at whole blocks first, without a branch in each octet.
pub fn value_run(input: &[u8]) -> usize {
    const BLOCK: usize = 16;
    let sound = |block: &&[u8]| {
        block
            .iter()
            .fold(true, |sound, octet| sound & is_value_octet(*octet))
    };
    let blocks = input.chunks_exact(BLOCK).take_while(sound).count() * BLOCK;
    blocks + run(input.get(blocks..).unwrap_or_default(), is_value_octet)
}

/// How many octets of a class `input` begins with.
pub fn run(input: &[u8], class: impl Fn(u8) -> bool) -> usize {
    input
        .iter()
        .position(|octet| !class(*octet))
        .unwrap_or(input.len())
}

/// `OWS` (RFC 9110 §5.6.3) taken off the end.
pub fn trim_end(value: &[u8]) -> &[u8] {
    let end = value
        .iter()
        .rposition(|octet| !is_blank(*octet))
        .map_or(0, |last| last + 1);
    value.get(..end).unwrap_or_default()
}

/// Space or tab.
pub fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}
