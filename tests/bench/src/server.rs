//! What answers without being measured: the origin, and the loop that is the limit of what can be measured. Each is a process of
//! its own with one thread.

use anyhow::Context as _;
use std::{
    cell::Cell, fmt::Write as _, fs::OpenOptions, io::Write as _, net::SocketAddr, path::PathBuf,
    rc::Rc, sync::Arc,
};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::LocalSet,
};

/// The longest head of a request.
const HEAD_MAX: usize = 16 << 10;
/// The most fields of a request.
const FIELDS_MAX: usize = 64;
/// Connections that wait to be taken.
const BACKLOG: u32 = 4_096;
/// The longest body that a path may ask for.
const BODY_MAX: usize = 64 << 20;
/// The path that tells how many requests came.
pub const COUNT: &str = "/count";

/// What a path is answered with: the path itself, then a pattern, so that no two objects are alike.
pub fn body(path: &str, bytes: usize) -> Vec<u8> {
    let pattern = (b'a'..=b'z').cycle();
    path.bytes()
        .chain([b'\n'])
        .chain(pattern)
        .take(bytes)
        .collect()
}

/// The length that `/ANY/LENGTH/REST` asks for.
fn length_of(path: &str) -> Option<usize> {
    let length = path.split('/').nth(2)?.parse().ok()?;
    (length <= BODY_MAX).then_some(length)
}

/// The origin: `/ANY/LENGTH/REST` is a body of that length, which may be stored unless it is below `/pass/`. Whatever comes to the
/// sink is appended to the file.
pub fn origin(listen: SocketAddr, sink: SocketAddr, records: PathBuf) -> anyhow::Result<()> {
    on_one_thread(async move {
        let records = TcpListener::bind(sink)
            .await
            .map(|listener| tokio::task::spawn_local(take_records(listener, records)))
            .with_context(|| format!("listening on {sink}"))?;
        let count = Rc::new(Cell::new(0_u64));
        let accepting = accept(listen, move |stream| {
            let count = Rc::clone(&count);
            async move {
                // Whoever breaks off is not our concern: the load tells what came of it.
                let _ = serve(stream, &count).await;
            }
        });
        tokio::select! {
            ended = accepting => ended,
            ended = records => ended?,
        }
    })
}

/// The limit: whatever a head is, it is answered with the same octets.
pub fn limit(listen: SocketAddr, bytes: usize) -> anyhow::Result<()> {
    let answer: Arc<[u8]> = answer("/fixed", bytes, true).into();
    on_one_thread(accept(listen, move |stream| {
        let answer = Arc::clone(&answer);
        async move {
            let _ = answer_all(stream, &answer).await;
        }
    }))
}

fn on_one_thread(serving: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime")?;
    LocalSet::new().block_on(&runtime, serving)
}

async fn accept<F: Future<Output = ()> + 'static>(
    listen: SocketAddr,
    serve: impl Fn(TcpStream) -> F,
) -> anyhow::Result<()> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket
        .bind(listen)
        .with_context(|| format!("listening on {listen}"))?;
    let listener = socket.listen(BACKLOG)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::task::spawn_local(serve(stream));
    }
}

async fn answer_all(mut stream: TcpStream, answer: &[u8]) -> anyhow::Result<()> {
    let mut buffer = vec![0; HEAD_MAX];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        // Clients send a request at a time, in one piece.
        if buffer
            .get(..count)
            .is_some_and(|read| read.ends_with(b"\r\n\r\n"))
        {
            stream.write_all(answer).await?;
        }
    }
}

async fn serve(mut stream: TcpStream, count: &Cell<u64>) -> anyhow::Result<()> {
    let mut buffer = Vec::with_capacity(HEAD_MAX);
    loop {
        let Some(asked) = asked(&buffer)? else {
            anyhow::ensure!(buffer.len() < HEAD_MAX, "an endless head");
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        buffer.drain(..asked.octets);
        let answer = match (asked.path.as_str(), length_of(&asked.path)) {
            (COUNT, _) => told(&count.get().to_string()),
            (path, Some(length)) => {
                count.set(count.get() + 1);
                answer(path, length, !path.starts_with("/pass/"))
            }
            (_, None) => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        };
        stream.write_all(&answer).await?;
        if asked.closes {
            return Ok(());
        }
    }
}

/// A request without a body.
struct Asked {
    path: String,
    closes: bool,
    octets: usize,
}

/// The first request in the buffer, if it is complete.
fn asked(buffer: &[u8]) -> anyhow::Result<Option<Asked>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(octets) = head.parse(buffer)? else {
        return Ok(None);
    };
    let closes = head.headers.iter().any(|field| {
        field.name.eq_ignore_ascii_case("connection") && field.value.eq_ignore_ascii_case(b"close")
    });
    Ok(Some(Asked {
        path: head.path.unwrap_or_default().to_owned(),
        closes,
        octets,
    }))
}

/// A whole answer.
fn answer(path: &str, bytes: usize, is_stored: bool) -> Vec<u8> {
    let cached = if is_stored {
        "public, max-age=36000"
    } else {
        "no-store"
    };
    let mut head = String::with_capacity(256);
    // Writing to a string never fails.
    let _ = write!(
        head,
        "HTTP/1.1 200 OK\r\nDate: {}\r\nContent-Type: text/plain\r\nCache-Control: {cached}\r\n\
         ETag: \"v1\"\r\nContent-Length: {bytes}\r\n\r\n",
        date()
    );
    let mut answer = head.into_bytes();
    answer.reserve(bytes);
    answer.extend(body(path, bytes));
    answer
}

fn told(text: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    )
    .into_bytes()
}

/// Now, as HTTP writes it.
fn date() -> String {
    let now = OffsetDateTime::now_utc()
        .format(&Rfc2822)
        .unwrap_or_default();
    now.replace("+0000", "GMT")
}

async fn take_records(listener: TcpListener, file: PathBuf) -> anyhow::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let mut file = OpenOptions::new().append(true).create(true).open(&file)?;
        tokio::task::spawn_local(async move {
            let mut buffer = vec![0; 256 << 10];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                if file
                    .write_all(buffer.get(..count).unwrap_or_default())
                    .is_err()
                {
                    break;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_how_long_its_body_is() {
        assert_eq!(length_of("/fix/1024/a"), Some(1_024));
        for path in ["/", "/count", "/fix/x/a", "/fix/99999999999/a"] {
            assert_eq!(length_of(path), None, "{path}");
        }
        assert_eq!(body("/a/5/b", 5), b"/a/5/");
        assert_eq!(body("/a", 6), b"/a\nabc");
    }

    #[test]
    fn an_answer_says_whether_it_may_be_stored() {
        for (is_stored, field) in [(true, "public, max-age=36000"), (false, "no-store")] {
            let answer = String::from_utf8(answer("/a/3/b", 3, is_stored)).unwrap();
            assert!(
                answer.contains(&format!("Cache-Control: {field}\r\n")),
                "{answer}"
            );
            assert!(answer.contains("Content-Length: 3\r\n"), "{answer}");
            assert!(answer.contains(" GMT\r\n"), "{answer}");
            assert!(answer.ends_with("\r\n\r\n/a/"), "{answer}");
        }
    }

    #[test]
    fn a_request_is_read_when_it_is_complete() {
        assert!(asked(b"GET /a HTTP/1.1\r\nHost: x").unwrap().is_none());
        let request = b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\nGET";
        let asked = asked(request).unwrap().unwrap();
        assert_eq!((asked.path.as_str(), asked.closes), ("/a", true));
        assert_eq!(asked.octets, request.len() - 3);
    }
}
