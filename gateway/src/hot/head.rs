//! The head of an HTTP/1 request, read into what the phases ask of it.

use crate::{
    outgoing::Plain,
    request::{Head, Request},
    spelling::Spelling,
};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, Version,
    uri::{Parts, PathAndQuery},
};
use latencify_decide::hops;
use latencify_framing::{self as framing, Framing};
use memchr::memchr;
use std::net::IpAddr;

/// Fields that are added on the way to an origin, about.
const FIELDS_ADDED: usize = 8;

/// Whose request it is.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Who is connected: the client, or the nearest hop before it.
    pub peer: IpAddr,
    /// Whether over TLS.
    pub https: bool,
}

impl Caller {
    /// What it asks for, as the phases look at it.
    pub fn asks<'a>(
        &self,
        method: &'a Method,
        uri: &'a Uri,
        headers: &'a HeaderMap,
        version: Version,
    ) -> Request<'a> {
        let target = uri.path_and_query();
        Request {
            method,
            uri,
            target: target.map_or(&[][..], |target| target.as_str().as_bytes()),
            headers,
            version,
            peer: self.peer,
            https: self.https,
            is_refresh: false,
        }
    }
}

/// A request without a body that a stored response could answer.
pub struct Own {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    caller: Caller,
    /// The head as it came; target and fields are parts of it.
    octets: Bytes,
}

impl Own {
    /// Reads a head that is valid and in origin form; its octets begin with the request line, and are not copied. A request
    /// of another kind gives them back.
    pub fn read(head: &framing::Head, octets: BytesMut, caller: Caller) -> Result<Self, BytesMut> {
        let is_another = head.framing != Framing::Empty || head.upgrade || head.expects_continue;
        if is_another || method(&octets).is_none() {
            return Err(octets);
        }
        let octets = octets.freeze();
        Self::parse(head, &octets, caller).ok_or_else(|| octets.into())
    }

    fn parse(head: &framing::Head, octets: &Bytes, caller: Caller) -> Option<Self> {
        let (line, fields) = split_line(octets, 0)?;
        let target = line.get(memchr(b' ', line)? + 1..)?;
        let target = octets.slice_ref(target.get(..memchr(b' ', target)?)?);
        let mut parts = Parts::default();
        parts.path_and_query = Some(PathAndQuery::from_maybe_shared(target).ok()?);
        Some(Self {
            method: method(octets)?,
            uri: Uri::from_parts(parts).ok()?,
            version: match head.version {
                framing::Version::Http10 => Version::HTTP_10,
                framing::Version::Http11 => Version::HTTP_11,
            },
            headers: read_fields(octets, fields, head.fields)?,
            caller,
            octets: octets.clone(),
        })
    }

    /// The head as it came, whatever was changed since; not copied, since nobody has a part of it any more.
    pub fn into_octets(self) -> BytesMut {
        let octets = self.octets.clone();
        drop(self);
        octets.into()
    }

    /// The head as it goes on, without what was taken out, for no target yet.
    pub fn forward(&self) -> Plain {
        Plain {
            method: self.method.clone(),
            target: String::new(),
            fields: self.headers.clone(),
        }
    }

    /// How its fields are spelt.
    pub fn spelling(&self) -> Spelling {
        Spelling::of_head(&self.octets)
    }

    /// Whether the client wants the connection to go on.
    pub fn keeps_connection(&self) -> bool {
        hops::persists(self.version, &self.headers)
    }

    /// Its fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

impl Head for Own {
    fn request(&self) -> Request<'_> {
        self.caller
            .asks(&self.method, &self.uri, &self.headers, self.version)
    }

    fn remove(&mut self, name: &HeaderName) {
        self.headers.remove(name);
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) -> bool {
        self.headers.try_insert(name, value).is_ok()
    }
}

/// The method that a head begins with, if what is stored could answer it.
fn method(octets: &[u8]) -> Option<Method> {
    if octets.starts_with(b"GET ") {
        Some(Method::GET)
    } else if octets.starts_with(b"HEAD ") {
        Some(Method::HEAD)
    } else {
        None
    }
}

/// The line that begins at `from`, without its end, and where the next one begins.
fn split_line(octets: &[u8], from: usize) -> Option<(&[u8], usize)> {
    let rest = octets.get(from..)?;
    let end = memchr(b'\n', rest)?;
    Some((rest.get(..end)?.strip_suffix(b"\r")?, from + end + 1))
}

fn read_fields(octets: &Bytes, mut from: usize, count: usize) -> Option<HeaderMap> {
    // What is copied from it for an origin has room, too, then.
    let mut fields = HeaderMap::with_capacity(count + FIELDS_ADDED);
    loop {
        let (line, next) = split_line(octets, from)?;
        if line.is_empty() {
            return Some(fields);
        }
        let colon = line.iter().position(|octet| *octet == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        let value = octets.slice_ref(value.get(1..)?.trim_ascii());
        let name = HeaderName::from_bytes(name).ok()?;
        let value = HeaderValue::from_maybe_shared(value).ok()?;
        fields.try_append(name, value).ok()?;
        from = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header;
    use latencify_framing::{HeadReader, Limits};
    use std::net::Ipv4Addr;

    const CALLER: Caller = Caller {
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        https: false,
    };

    fn read(text: &str) -> Option<Own> {
        let head = HeadReader::new(Limits::default())
            .read(text.as_bytes())
            .unwrap()
            .unwrap();
        let octets = BytesMut::from(&text.as_bytes()[head.skip..]);
        Own::read(&head, octets, CALLER).ok()
    }

    #[test]
    fn the_octets_come_back_as_they_came_and_where_they_were() {
        let text = "GET /a?b HTTP/1.1\r\nHost: a\r\nConnection: x\r\nX: y\r\n\r\n";
        let head = HeadReader::new(Limits::default())
            .read(text.as_bytes())
            .unwrap()
            .unwrap();
        let octets = BytesMut::from(text.as_bytes());
        let place = octets.as_ptr();
        let Ok(mut own) = Own::read(&head, octets, CALLER) else {
            panic!("not read");
        };
        own.remove(&HeaderName::from_static("x"));
        let back = own.into_octets();
        assert_eq!((back.as_ptr(), &*back), (place, text.as_bytes()));
        let other = BytesMut::from(&b"POST / HTTP/1.1\r\n\r\n"[..]);
        let place = other.as_ptr();
        let back = Own::read(&head, other, CALLER).err().unwrap();
        assert_eq!(back.as_ptr(), place);
    }

    #[test]
    fn a_head_is_read_as_it_stands() {
        let own = read("GET /a%20b?c=d HTTP/1.1\r\nHost: A:8\r\nX: \t one \r\nx:\r\n\r\n").unwrap();
        let request = own.request();
        assert_eq!(request.method, Method::GET);
        assert_eq!(request.target, b"/a%20b?c=d");
        assert_eq!(
            (request.uri.path(), request.uri.query()),
            ("/a%20b", Some("c=d"))
        );
        assert_eq!(request.headers[header::HOST], "A:8");
        let lines: Vec<_> = request.headers.get_all("x").iter().collect();
        assert_eq!(lines, ["one", ""]);
    }

    #[test]
    fn only_requests_that_a_stored_response_could_answer_are_taken() {
        let check = |head: &str, expected: bool| {
            assert_eq!(read(head).is_some(), expected, "{head}");
        };
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true);
        check("HEAD / HTTP/1.0\r\n\r\n", true);
        check(
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            true,
        );
        check(
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
            false,
        );
        check("POST / HTTP/1.1\r\nHost: a\r\n\r\n", false);
        check("PURGE / HTTP/1.1\r\nHost: a\r\n\r\n", false);
        check("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", false);
    }

    #[test]
    fn connections_go_on_as_the_client_says() {
        let check = |version: &str, connection: &str, expected: bool| {
            let head = format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n");
            assert_eq!(read(&head).unwrap().keeps_connection(), expected, "{head}");
        };
        check("1.1", "", true);
        check("1.1", "Connection: Close\r\n", false);
        check("1.1", "Connection: x, close\r\n", false);
        check("1.1", "Connection: x\r\n", true);
        check("1.0", "", false);
        check("1.0", "Connection: Keep-Alive\r\n", true);
        check("1.0", "Connection: keep-alive, close\r\n", false);
        check("1.0", "Connection: x\r\n", false);
        // All lines are one list (RFC 9110 §5.3).
        check("1.1", "Connection: x\r\nConnection: close\r\n", false);
        check(
            "1.1",
            "Connection: keep-alive\r\nConnection: close\r\n",
            false,
        );
        check("1.0", "Connection: x\r\nConnection: keep-alive\r\n", true);
        check("1.0", "Connection: x, keep-alive\r\n", true);
    }
}
