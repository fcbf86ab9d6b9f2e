//! How the names of fields were spelt: what passes through keeps its spelling, as over Pingora's way.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, header};

/// The names of a head, as they stood there.
#[derive(Debug, Clone, Default)]
pub struct Spelling {
    octets: Bytes,
    /// Where each begins, and how long it is.
    names: Vec<(usize, usize)>,
}

impl Spelling {
    /// Of names that stand there in these octets.
    pub fn new(octets: Bytes, names: Vec<(usize, usize)>) -> Self {
        Self { octets, names }
    }

    /// Of a whole head that is valid: all that stands before the first colon of a line.
    pub fn of_head(octets: &Bytes) -> Self {
        let mut names = Vec::with_capacity(16);
        let mut at = 0;
        for line in octets.split(|octet| *octet == b'\n') {
            // The first has no name.
            if at > 0
                && let Some(length) = line.iter().position(|octet| *octet == b':')
            {
                names.push((at, length));
            }
            at += line.len() + 1;
        }
        Self::new(octets.clone(), names)
    }

    fn of(&self, name: &HeaderName) -> Option<&[u8]> {
        let name = name.as_str().as_bytes();
        self.names.iter().find_map(|(at, length)| {
            if *length != name.len() {
                return None;
            }
            let spelt = self.octets.get(*at..at + length)?;
            spelt.eq_ignore_ascii_case(name).then_some(spelt)
        })
    }

    /// Writes fields, line by line.
    pub fn write(&self, fields: &HeaderMap, out: &mut BytesMut) {
        for (name, value) in fields {
            let spelt = self.of(name).or_else(|| titled(name));
            out.put_slice(spelt.unwrap_or(name.as_str().as_bytes()));
            out.put_slice(b": ");
            out.put_slice(value.as_bytes());
            out.put_slice(b"\r\n");
        }
    }
}

/// The names that Pingora writes with capitals, of those that this edge may put in itself.
fn titled(name: &HeaderName) -> Option<&'static [u8]> {
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
