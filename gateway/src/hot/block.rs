//! A head that is kept, as a block of fields of HTTP/2: the lines of HTTP/1 once more, but for those that HTTP/2 has no use for.

use super::ready::{Differing, Piece};
use crate::hpack::encode;
use bytes::{BufMut as _, BytesMut};
use http::StatusCode;

/// A block, but for what differs each time.
#[derive(Debug)]
pub struct ReadyBlock(Vec<Part>);

#[derive(Debug)]
enum Part {
    Octets(BytesMut),
    /// A value: what it begins with, and what differs in it.
    Value(Vec<u8>, Piece),
}

/// The most octets of a value that differs; longer ones take more room.
const VALUE_BYTES: usize = 256;

impl ReadyBlock {
    /// Of the pieces of a head of HTTP/1.
    pub(super) fn of(status: StatusCode, pieces: &[Piece]) -> Self {
        let (mut block, mut octets) = (Self(Vec::new()), BytesMut::new());
        encode::status(&mut octets, status);
        // The line under way; the first is that of the status.
        let mut line = Vec::new();
        for piece in pieces {
            let Piece::Octets(text) = piece else {
                if let Some((name, before)) = split(&line) {
                    encode::name(&mut octets, &name);
                    block.0.push(Part::Octets(octets.split()));
                    block.0.push(Part::Value(before.to_vec(), piece.clone()));
                }
                line.clear();
                continue;
            };
            let mut lines = text.split_inclusive(|octet| *octet == b'\n');
            for text in &mut lines {
                line.extend_from_slice(text);
                if let Some(whole) = line.strip_suffix(b"\r\n") {
                    if let Some((name, value)) = split(whole) {
                        encode::name(&mut octets, &name);
                        encode::string(&mut octets, value);
                    }
                    line.clear();
                }
            }
        }
        block.0.push(Part::Octets(octets));
        block
    }

    /// Writes it.
    pub(super) fn write(&self, out: &mut BytesMut, differing: &Differing<'_>) {
        let mut value = BytesMut::with_capacity(VALUE_BYTES);
        for part in &self.0 {
            match part {
                Part::Octets(octets) => out.put_slice(octets),
                Part::Value(before, piece) => {
                    value.clear();
                    value.put_slice(before);
                    piece.write(&mut value, differing);
                    encode::string(out, &value);
                }
            }
        }
    }
}

/// The name of a line, and its value as far as it goes; none: it is no field, or none of HTTP/2 (RFC 9113 §8.2.2).
fn split(line: &[u8]) -> Option<(String, &[u8])> {
    let colon = line.iter().position(|octet| *octet == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    let value = value.strip_prefix(b":")?;
    let value = value.strip_prefix(b" ").unwrap_or(value);
    encode::is_of_http2(&name).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        context::Context,
        drain::Drain,
        hpack::{Decoder, List},
        observe::Metrics,
    };

    #[test]
    fn a_block_says_what_the_lines_say() {
        let text = |text: &str| Piece::Octets(text.as_bytes().to_vec());
        let pieces = [
            text("HTTP/1.1 200 OK\r\nETag: \"v\"\r\nX-Colon: a: b\r\nEmpty: \r\nAge: "),
            Piece::Age,
            text("\r\nCache-Status: a; hit, edge; hit; ttl="),
            Piece::Ttl,
            text("\r\nConnection: "),
            Piece::Connection,
            text("\r\nVia: 1.1 edge\r\n\r\n"),
        ];
        let metrics = Metrics::new().unwrap();
        let ctx = Context::new(Drain::new().request(), metrics.request_under_way());
        let differing = Differing {
            age: 7,
            ttl: -1,
            keeps: true,
            ctx: &ctx,
        };
        let mut out = BytesMut::new();
        ReadyBlock::of(StatusCode::OK, &pieces).write(&mut out, &differing);
        let mut list = List::default();
        Decoder::default().read(&out, 4_096, &mut list).unwrap();
        let fields: Vec<_> = (list.fields.iter())
            .map(|field| [&field.name, &field.value].map(|text| String::from_utf8_lossy(text)))
            .collect();
        let expected = [
            [":status", "200"],
            ["etag", "\"v\""],
            ["x-colon", "a: b"],
            ["empty", ""],
            ["age", "7"],
            ["cache-status", "a; hit, edge; hit; ttl=-1"],
            ["via", "1.1 edge"],
        ];
        assert_eq!(fields, expected);
    }
}
