//! A process that opens connections and keeps them.

use crate::{
    Authority, Client, Edge, client_of,
    frames::{self, HEADERS},
    program,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::{ClientConfig, client::Resumption};
use std::{fmt, net::SocketAddr, path::Path, process::Stdio, str::FromStr, sync::Arc};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader, Lines,
    },
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Semaphore,
    task::JoinSet,
};

/// Handshakes at a time.
const AT_ONCE: usize = 32;
/// Of one address; 1,024 are let in.
const OF_ADDRESS: usize = 1_000;
const HOST: &str = "shop.example";
const PROGRAM: &str = "latencify-idle-clients";

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";

/// How a connection is opened, and has one request answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1 in the clear.
    Plain,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 over TLS.
    Http2,
}

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
            Self::Http2 => "http2",
        })
    }
}

impl FromStr for Spoken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Plain, Self::Tls, Self::Http2]
            .into_iter()
            .find(|spoken| spoken.to_string() == text)
            .ok_or_else(|| format!("`{text}` is not spoken: plain, tls or http2"))
    }
}

/// The process, as its test sees it. Its connections end with it.
pub(super) struct Clients {
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Clients {
    pub fn start(edge: &Edge, authority: &Authority, spoken: Spoken) -> Self {
        let trust = edge.folder().join("ca.pem");
        std::fs::write(&trust, authority.pem()).unwrap();
        let server = match spoken {
            Spoken::Plain => edge.http(),
            Spoken::Tls | Spoken::Http2 => edge.https(),
        };
        let mut process = Command::new(program(PROGRAM))
            .args([spoken.to_string(), server.to_string()])
            .arg(trust)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (orders, answers) = (process.stdin.take(), process.stdout.take());
        Self {
            orders: orders.unwrap(),
            answers: BufReader::new(answers.unwrap()).lines(),
            _process: process,
        }
    }

    /// Opens so many more.
    pub async fn open(&mut self, count: usize) {
        let order = format!("{count}\n");
        self.orders.write_all(order.as_bytes()).await.unwrap();
        let answer = self.answers.next_line().await.unwrap();
        assert_eq!(
            answer.as_deref(),
            Some(count.to_string().as_str()),
            "they are open"
        );
    }
}

/// What the process does: for each line of its input, opens as many connections as that says and repeats the line when
/// all of them have had an answer; at the end of the input, it ends.
///
/// # Panics
/// When a connection is not let in, or not served.
pub async fn hold_until_told(spoken: Spoken, server: SocketAddr, trust: &Path) {
    raise_descriptors();
    let authority = std::fs::read_to_string(trust).unwrap();
    let protocol: &[u8] = match spoken {
        Spoken::Plain | Spoken::Tls => b"http/1.1",
        Spoken::Http2 => b"h2",
    };
    let mut trust = Arc::unwrap_or_clone(client_of(&authority, &[protocol]));
    // Each is somebody else.
    trust.resumption = Resumption::disabled();
    let trust = Arc::new(trust);
    let mut held = Vec::new();
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    let mut answers = tokio::io::stdout();
    while let Some(order) = orders.next_line().await.unwrap() {
        let count: usize = order.parse().unwrap();
        let numbers = held.len()..held.len() + count;
        held.extend(open_all(spoken, server, &trust, numbers).await);
        answers
            .write_all(format!("{order}\n").as_bytes())
            .await
            .unwrap();
        answers.flush().await.unwrap();
    }
}

fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

trait Held: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Held for T {}

async fn open_all(
    spoken: Spoken,
    server: SocketAddr,
    trust: &Arc<ClientConfig>,
    numbers: std::ops::Range<usize>,
) -> Vec<Box<dyn Held>> {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut opening = JoinSet::new();
    for number in numbers {
        let turn = turns.clone().acquire_owned().await.unwrap();
        let trust = trust.clone();
        opening.spawn(async move {
            let _turn = turn;
            open(spoken, server, trust, number).await.unwrap()
        });
    }
    opening.join_all().await
}

async fn open(
    spoken: Spoken,
    server: SocketAddr,
    trust: Arc<ClientConfig>,
    number: usize,
) -> anyhow::Result<Box<dyn Held>> {
    let source = format!("127.30.{}.1", number / OF_ADDRESS);
    Ok(match spoken {
        Spoken::Plain => Box::new(served(Client::at(&source).tcp(server).await?).await?),
        Spoken::Tls => {
            let stream = frames::tls(server, trust, HOST, &source).await?;
            Box::new(served(stream).await?)
        }
        Spoken::Http2 => {
            let mut raw = frames::Raw::connect(server, trust, HOST, &source, &[]).await?;
            raw.send(&frames::get(1, HOST, "/")).await?;
            raw.reader.wait_for(HEADERS, 1).await;
            Box::new(raw.into_inner())
        }
    })
}

/// The connection, after one request over it was answered.
async fn served<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> anyhow::Result<S> {
    stream.write_all(GET).await?;
    let mut answer = Vec::new();
    let mut piece = [0; 1_024];
    while !answer.ends_with(b"hello") {
        let read = stream.read(&mut piece).await?;
        anyhow::ensure!(
            read > 0,
            "closed after {}",
            String::from_utf8_lossy(&answer)
        );
        answer.extend_from_slice(&piece[..read]);
    }
    Ok(stream)
}
