//! A TCP relay that alters what passes, as somebody on the path could.

use crate::Port;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// The most octets that pass in one go; a text is only found within one go.
const PART: usize = 64 * 1024;

/// Passes connections on to a server; once, it puts another text in the place of one that the server sends.
pub struct Relay {
    port: Port,
    altered: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

/// What is replaced by what: as long as each other, so that frames around them stay whole.
struct Forgery {
    text: Vec<u8>,
    by: Vec<u8>,
    altered: Arc<AtomicUsize>,
}

impl Relay {
    /// Listens on 127.0.0.1 before that server, whose first `text` becomes `by`.
    ///
    /// # Panics
    /// When the texts differ in length.
    pub async fn altering(server: SocketAddr, text: &str, by: &str) -> Self {
        assert_eq!(text.len(), by.len(), "{text} and {by} differ in length");
        let port = Port::reserve();
        let listener = TcpListener::bind(port.here()).await.unwrap();
        let altered = Arc::<AtomicUsize>::default();
        let forgery = Arc::new(Forgery {
            text: text.into(),
            by: by.into(),
            altered: Arc::clone(&altered),
        });
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let forgery = Arc::clone(&forgery);
                connections.spawn(async move {
                    // A connection that breaks, breaks for both sides.
                    let _ = pass(client, server, &forgery).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            port,
            altered,
            accepting,
        }
    }

    /// `http://ADDRESS`.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.here())
    }

    /// How often it has altered something: 0 or 1.
    pub fn altered(&self) -> usize {
        self.altered.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Forgery {
    /// Alters the first of its texts there is, unless that is done.
    fn apply(&self, octets: &mut [u8]) {
        let length = self.text.len();
        let found = octets.windows(length).position(|at| at == self.text);
        if let Some(at) = found
            && self.altered.swap(1, Ordering::SeqCst) == 0
        {
            octets[at..at + length].copy_from_slice(&self.by);
        }
    }
}

async fn pass(client: TcpStream, server: SocketAddr, forgery: &Forgery) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    tokio::select! {
        passed = copy(&mut from_client, &mut to_server) => passed.map(drop),
        passed = alter(from_server, to_client, forgery) => passed,
    }
}

async fn alter(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    forgery: &Forgery,
) -> std::io::Result<()> {
    let mut octets = vec![0; PART];
    loop {
        let length = from.read(&mut octets).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        let part = &mut octets[..length];
        forgery.apply(part);
        to.write_all(part).await?;
    }
}
