//! One connection: a request at a time, and whether its answer is right.

use anyhow::{Context as _, bail, ensure};
use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

/// The longest head of an answer.
const HEAD_MAX: usize = 16 << 10;
/// The most fields of an answer.
const FIELDS_MAX: usize = 64;
/// So long may a connection take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// A connection.
pub struct Connection {
    stream: TcpStream,
    /// A head of which only a part has come.
    head: Vec<u8>,
    /// What is still to come of the body; none: the head is awaited, or nothing.
    body: Option<usize>,
    /// When the request under way was due, in nanoseconds of the engine.
    pub due_ns: u64,
}

/// What has come of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not all of it.
    Partial,
    /// All of it.
    Complete,
}

impl Connection {
    /// A new one.
    pub fn open(target: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect_timeout(&target, CONNECT)
            .with_context(|| format!("connecting to {target}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            head: Vec::new(),
            body: None,
            due_ns: 0,
        })
    }

    /// Sends a request. It is shorter than any send buffer, and nothing else is in that.
    pub fn ask(&mut self, request: &[u8], due_ns: u64) -> anyhow::Result<()> {
        self.due_ns = due_ns;
        let sent = self.stream.write(request).context("sending a request")?;
        ensure!(sent == request.len(), "only {sent} octets were taken");
        Ok(())
    }

    /// Reads what has come. The buffer is anybody's.
    pub fn read(&mut self, buffer: &mut [u8], bytes: usize) -> anyhow::Result<Progress> {
        match self.stream.read(buffer) {
            Ok(0) => bail!("the connection was closed before its answer was complete"),
            Ok(count) => self.take(buffer.get(..count).unwrap_or_default(), bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Progress::Partial),
            Err(error) => Err(error).context("reading an answer"),
        }
    }

    fn take(&mut self, octets: &[u8], bytes: usize) -> anyhow::Result<Progress> {
        if let Some(left) = self.body {
            return self.take_body(left, octets.len());
        }
        if self.head.is_empty() {
            if let Some(start) = body_start(octets, bytes)? {
                return self.take_body(bytes, octets.len() - start);
            }
            self.head.extend_from_slice(octets);
            return Ok(Progress::Partial);
        }
        self.head.extend_from_slice(octets);
        ensure!(self.head.len() <= HEAD_MAX + bytes, "an endless head");
        match body_start(&self.head, bytes)? {
            Some(start) => {
                let came = self.head.len() - start;
                self.head.clear();
                self.take_body(bytes, came)
            }
            None => Ok(Progress::Partial),
        }
    }

    fn take_body(&mut self, left: usize, came: usize) -> anyhow::Result<Progress> {
        match left.checked_sub(came) {
            None => bail!("{} octets behind the answer", came - left),
            Some(0) => {
                self.body = None;
                Ok(Progress::Complete)
            }
            left => {
                self.body = left;
                Ok(Progress::Partial)
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Where the body starts, if the head is complete: a 200 of that length, on a connection that stays.
fn body_start(octets: &[u8], bytes: usize) -> anyhow::Result<Option<usize>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let status = head.parse(octets).context("not an HTTP/1 answer")?;
    let httparse::Status::Complete(start) = status else {
        ensure!(octets.len() <= HEAD_MAX, "an endless head");
        return Ok(None);
    };
    let code = head.code.unwrap_or_default();
    ensure!(code == 200, "status {code}");
    let mut length = None;
    for field in head.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            length = std::str::from_utf8(field.value)
                .ok()
                .and_then(|value| value.parse().ok());
        }
        let closes = field.name.eq_ignore_ascii_case("connection")
            && field.value.eq_ignore_ascii_case(b"close");
        ensure!(!closes, "it closes the connection");
    }
    ensure!(
        length == Some(bytes),
        "a body of {length:?} octets instead of {bytes}"
    );
    Ok(Some(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// What comes of these pieces of an answer of which the body is to have two octets.
    fn check(pieces: &[&str], expected: Result<Progress, &str>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut connection = Connection::open(listener.local_addr().unwrap()).unwrap();
        let mut last = Ok(Progress::Partial);
        for piece in pieces {
            last = connection.take(piece.as_bytes(), 2);
        }
        match (last, expected) {
            (Ok(seen), Ok(expected)) => assert_eq!(seen, expected, "{pieces:?}"),
            (Err(seen), Err(expected)) => {
                assert!(seen.to_string().contains(expected), "{pieces:?}: {seen}");
            }
            (seen, expected) => panic!("{pieces:?}: {seen:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn only_the_right_answer_is_one() {
        use Progress::{Complete, Partial};
        let right = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab";
        check(&[right], Ok(Complete));
        check(&[right, right], Ok(Complete));
        check(
            &["HTTP/1.1 200 OK\r\nContent-", "Length: 2\r\n\r\n", "ab"],
            Ok(Complete),
        );
        check(
            &["HTTP/1.1 200 OK\r\nContent-", "Length: 2\r\n\r\na"],
            Ok(Partial),
        );
        check(
            &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "a", "b"],
            Ok(Complete),
        );
        check(
            &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc"],
            Err("1 octets behind"),
        );
        check(
            &["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"],
            Err("Some(3) octets"),
        );
        check(
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
            Err("None octets"),
        );
        check(
            &["HTTP/1.1 429 No\r\nContent-Length: 2\r\n\r\nab"],
            Err("status 429"),
        );
        check(
            &["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab"],
            Err("it closes"),
        );
        check(&["nonsense\r\n\r\n"], Err("not an HTTP/1 answer"));
    }
}
