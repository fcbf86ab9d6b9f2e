//! HTTP/1.1 as a client speaks it that knows exactly what it has sent.

use anyhow::{Context, bail, ensure};
use futures::FutureExt;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A connection, over TCP or TLS.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for S {}

/// A keepalive connection.
pub struct Line(Box<dyn Wire>);

/// The head of an answer.
pub struct Answer {
    pub status: u16,
    pub closes: bool,
    framing: Framing,
    /// What came with the head.
    body: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

impl Line {
    pub fn new(wire: impl Wire + 'static) -> Self {
        Self(Box::new(wire))
    }

    /// Whether the server has closed it, as far as can be seen before anything is sent.
    pub fn is_closed(&mut self) -> bool {
        self.0.read_u8().now_or_never().is_some()
    }

    /// Sends a request in one piece.
    pub async fn ask(&mut self, host: &str, path: &str) -> anyhow::Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        self.0
            .write_all(request.as_bytes())
            .await
            .context("request")?;
        self.0.flush().await.context("request")
    }

    /// Reads the answer's head.
    pub async fn head(&mut self) -> anyhow::Result<Answer> {
        let mut octets = Vec::new();
        let end = loop {
            if let Some(at) = octets.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let read = self.0.read_buf(&mut octets).await.context("head")?;
            ensure!(read > 0, "the connection ended in place of an answer");
        };
        let body = octets.split_off(end);
        let head = String::from_utf8(octets)?;
        let field = |name: &str| {
            head.lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found
                    .eq_ignore_ascii_case(name)
                    .then(|| value.trim().to_owned())
            })
        };
        let status = head.split(' ').nth(1).context("status")?.parse()?;
        let framing = match (field("content-length"), field("transfer-encoding")) {
            (Some(length), None) => Framing::Length(length.parse()?),
            (None, Some(_)) => Framing::Chunked,
            other => bail!("framed by {other:?}"),
        };
        Ok(Answer {
            status,
            closes: field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
            framing,
            body,
        })
    }

    /// Reads the body to its end, with a pause before each piece.
    pub async fn body(&mut self, answer: Answer, pause: Duration) -> anyhow::Result<Vec<u8>> {
        let mut octets = answer.body;
        loop {
            if let Some(body) = whole(answer.framing, &octets)? {
                return Ok(body);
            }
            tokio::time::sleep(pause).await;
            let mut piece = vec![0; 32 * 1024];
            let read = self.0.read(&mut piece).await.context("body")?;
            ensure!(
                read > 0,
                "the connection ended after {} octets of a body",
                octets.len()
            );
            octets.extend_from_slice(&piece[..read]);
        }
    }
}

/// The body, once it is there.
fn whole(framing: Framing, octets: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    match framing {
        Framing::Length(length) => {
            ensure!(octets.len() <= length, "more than the body came");
            Ok((octets.len() == length).then(|| octets.to_vec()))
        }
        Framing::Chunked if !octets.ends_with(b"0\r\n\r\n") => Ok(None),
        Framing::Chunked => {
            let (mut body, mut rest) = (Vec::new(), octets);
            loop {
                let end = rest
                    .windows(2)
                    .position(|window| window == b"\r\n")
                    .context("chunk")?;
                let size = usize::from_str_radix(std::str::from_utf8(&rest[..end])?, 16)?;
                rest = &rest[end + 2..];
                if size == 0 {
                    return Ok(Some(body));
                }
                ensure!(rest.len() >= size + 2, "the chunk is cut off");
                body.extend_from_slice(&rest[..size]);
                rest = &rest[size + 2..];
            }
        }
    }
}
