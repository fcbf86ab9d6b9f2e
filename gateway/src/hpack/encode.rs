//! From fields to octets, without a table: literals that are not indexed, of names that the static table may have, and whole
//! fields of it (RFC 7541 §6.1, §6.2.2, §6.2.3).

use super::{
    field::Field,
    table::{place_of, place_of_name},
};
use bytes::{BufMut, BytesMut};
use http::StatusCode;

const NEVER_INDEXED: u8 = 0x10;
const INDEXED: u8 = 0x80;

/// A number whose first octet has so many bits of it, behind these.
pub fn number(out: &mut BytesMut, above: u8, prefix: u32, value: usize) {
    let mask = (1_usize << prefix) - 1;
    if value < mask {
        out.put_u8(above | value as u8);
        return;
    }
    out.put_u8(above | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.put_u8(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

/// A string as it is.
pub fn string(out: &mut BytesMut, text: &[u8]) {
    number(out, 0, 7, text.len());
    out.put_slice(text);
}

/// The name of a field whose value follows.
pub fn name(out: &mut BytesMut, name: &str) {
    if let Some(place) = place_of_name(name) {
        number(out, 0, 4, place);
    } else {
        out.put_u8(0);
        string(out, name.as_bytes());
    }
}

/// The status of a response.
pub fn status(out: &mut BytesMut, status: StatusCode) {
    if let Some(place) = place_of(":status", status.as_str()) {
        number(out, INDEXED, 7, place);
    } else {
        name(out, ":status");
        string(out, status.as_str().as_bytes());
    }
}

/// A field of a client, for the library to read.
pub fn again(out: &mut BytesMut, field: &Field) {
    out.put_u8(if field.is_secret { NEVER_INDEXED } else { 0 });
    string(out, &field.name);
    string(out, &field.value);
}

/// Whether a field of a response may be said over HTTP/2 (RFC 9113 §8.2.2).
pub fn is_of_http2(name: &str) -> bool {
    !matches!(
        name,
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade"
    )
}
