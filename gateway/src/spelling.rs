//! How the names of fields were spelt: what passes through keeps its spelling, as over Pingora's way.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, header};
use memchr::memchr_iter;

/// The names of a head, as they stood there.
#[derive(Debug, Clone, Default)]
pub struct Spelling {
    octets: Bytes,
    /// Where each begins, and how long it is.
    names: Vec<(usize, usize)>,
    /// Which lengths there are, a bit for each.
    lengths: u64,
}

impl Spelling {
    /// Of names that stand there in these octets.
    pub fn new(octets: Bytes, names: Vec<(usize, usize)>) -> Self {
        let lengths = names
            .iter()
            .fold(0, |lengths, (_, length)| lengths | bit(*length));
        Self {
            octets,
            names,
            lengths,
        }
    }

    /// Of a whole head that is valid: all that stands before the first colon of a line.
    pub fn of_head(octets: &Bytes) -> Self {
        let mut names = Vec::with_capacity(16);
        let mut at = 0;
        for end in memchr_iter(b'\n', octets).chain([octets.len()]) {
            let line = octets.get(at..end).unwrap_or_default();
            // The first has no name.
            if at > 0
                && let Some(length) = line.iter().position(|octet| *octet == b':')
            {
                names.push((at, length));
            }
            at = end + 1;
        }
        Self::new(octets.clone(), names)
    }

    /// How a name is spelt, looked for from a place on and then before it: fields mostly stand in the order of their names.
    /// The place is then behind it.
    fn of(&self, name: &HeaderName, place: &mut usize) -> Option<&[u8]> {
        let name = name.as_str().as_bytes();
        if self.lengths & bit(name.len()) == 0 {
            return None;
        }
        let (before, from) = self.names.split_at_checked(*place)?;
        let find = |names: &[(usize, usize)]| {
            for (passed, &(at, length)) in names.iter().enumerate() {
                if length == name.len()
                    && let Some(spelt) = self.octets.get(at..at + length)
                    && spelt.eq_ignore_ascii_case(name)
                {
                    return Some((passed, spelt));
                }
            }
            None
        };
        let (at, spelt) = find(from)
            .map(|(passed, spelt)| (before.len() + passed, spelt))
            .or_else(|| find(before))?;
        *place = at + 1;
        Some(spelt)
    }

    /// Writes fields, line by line.
    pub fn write(&self, fields: &HeaderMap, out: &mut BytesMut) {
        let mut place = 0;
        for (name, value) in fields {
            let spelt = self.of(name, &mut place).or_else(|| titled(name));
            write_line(
                spelt.unwrap_or(name.as_str().as_bytes()),
                value.as_bytes(),
                out,
            );
        }
    }
}

/// Stands for names of a length, in a set of 64.
pub fn bit(length: usize) -> u64 {
    1 << (length % 64)
}

/// One line of a head.
pub fn write_line(name: &[u8], value: &[u8], out: &mut BytesMut) {
    out.reserve(name.len() + value.len() + b": \r\n".len());
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The names that Pingora writes with capitals, of those that this edge may put in itself.
pub fn titled(name: &HeaderName) -> Option<&'static [u8]> {
    Some(match *name {
        header::AGE => b"Age",
        header::CACHE_CONTROL => b"Cache-Control",
        header::CONNECTION => b"Connection",
        header::CONTENT_LENGTH => b"Content-Length",
        header::CONTENT_TYPE => b"Content-Type",
        header::DATE => b"Date",
        header::HOST => b"Host",
        header::SERVER => b"Server",
        header::SET_COOKIE => b"Set-Cookie",
        header::TRANSFER_ENCODING => b"Transfer-Encoding",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_spelling_and_others_get_the_usual_one() {
        let head =
            Bytes::from_static(b"GET /a:b HTTP/1.1\r\nX-oDd: 1\r\ncontent-type: x:y\r\n\r\n");
        let mut fields = HeaderMap::new();
        for (name, value) in [
            ("x-odd", "1"),
            ("content-type", "x"),
            ("date", "d"),
            ("via", "v"),
        ] {
            fields.insert(name, value.parse().unwrap());
        }
        let mut out = BytesMut::new();
        Spelling::of_head(&head).write(&fields, &mut out);
        let text = String::from_utf8(out.to_vec()).unwrap();
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["Date: d", "X-oDd: 1", "content-type: x", "via: v"]);
    }
}
