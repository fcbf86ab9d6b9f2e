//! Whether an answer is right, octet by octet, before anything is timed.

use crate::{load, server};
use anyhow::{Context as _, bail, ensure};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// So long may a program take until it does what is waited for.
const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(50);
/// So long may one answer take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest head of an answer.
const HEAD_MAX: usize = 16 << 10;
const FIELDS_MAX: usize = 64;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A 200 with the body that the origin gives to that path.
    pub fn must_be_right(&self, path: &str, bytes: usize) -> anyhow::Result<()> {
        ensure!(self.status == 200, "{path}: status {}", self.status);
        ensure!(
            self.body == server::body(path, bytes),
            "{path}: {} octets that are not those of the origin",
            self.body.len()
        );
        Ok(())
    }
}

/// Tries until it succeeds; the last error after two minutes.
pub fn wait_until(
    what: &str,
    mut attempt: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(error) if began.elapsed() > PATIENCE => {
                return Err(error.context(format!("in vain: {what}")));
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Asks over HTTP/1.1, on a connection of its own.
pub fn get(target: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&target, TIMEOUT)
        .with_context(|| format!("connecting to {target}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(&load::request(path))?;
    let mut octets = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = stream.read(&mut buffer).context("reading an answer")?;
        ensure!(
            count > 0,
            "the connection was closed before the answer was complete"
        );
        octets.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if let Some(answer) = complete(&octets)? {
            return Ok(answer);
        }
    }
}

fn complete(octets: &[u8]) -> anyhow::Result<Option<Answer>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(start) = head.parse(octets)? else {
        ensure!(octets.len() <= HEAD_MAX, "an endless head");
        return Ok(None);
    };
    let status = head.code.unwrap_or_default();
    let length = head
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-length"))
        .and_then(|field| std::str::from_utf8(field.value).ok()?.parse::<usize>().ok());
    let Some(length) = length else {
        bail!("status {status}, without a length");
    };
    let body = octets.get(start..start + length);
    Ok(body.map(|body| Answer {
        status,
        body: body.to_vec(),
    }))
}

/// Asks over HTTPS and HTTP/2, by curl.
pub fn get_h2(port: u16, path: &str) -> anyhow::Result<Answer> {
    let output = Command::new("curl")
        .args([
            "-sk",
            "--http2",
            "--max-time",
            &TIMEOUT.as_secs().to_string(),
        ])
        .args(["--connect-to", &format!("::127.0.0.1:{port}")])
        .args(["-w", "%{stderr}%{http_version} %{http_code}"])
        .arg(format!("https://{}:{port}{path}", load::HOST))
        .output()
        .context("curl is missing: deploy/setup bench")?;
    let told = String::from_utf8_lossy(&output.stderr);
    let Some(("2", status)) = told.split_once(' ') else {
        bail!("no answer over HTTP/2: {told} ({})", output.status);
    };
    Ok(Answer {
        status: status.parse()?,
        body: output.stdout,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_with_its_last_octet() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n/a\n";
        for end in 0..text.len() {
            assert!(complete(&text[..end]).unwrap().is_none(), "{end}");
        }
        let answer = complete(text).unwrap().unwrap();
        answer.must_be_right("/a", 3).unwrap();
        for (path, bytes) in [("/b", 3), ("/a", 4)] {
            assert!(answer.must_be_right(path, bytes).is_err(), "{path} {bytes}");
        }
        assert!(complete(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
