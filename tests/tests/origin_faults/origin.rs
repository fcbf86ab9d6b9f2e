//! An origin that misbehaves as each path is told, so often, and is well again afterwards.

use latencify_tests::RawOrigin;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
};

/// What a well origin answers.
pub const WELL: &str = "well again";

/// Part of what an origin does to a request. What it has done last ends the connection.
#[derive(Debug, Clone)]
pub enum Act {
    /// Writes these octets.
    Say(&'static str),
    /// The same, of any length.
    SayAll(Vec<u8>),
    /// Waits until the test [lets it go on](Origin::go_on): the client has what there was.
    Wait,
    /// Closes the connection.
    Close,
    /// Resets it.
    Reset,
    /// Says nothing until the edge has closed it.
    Silence,
    /// Writes these octets again and again until the edge has closed it.
    Flood(&'static str),
    /// The same, slowly.
    Drip(&'static str),
}

/// An origin.
pub struct Origin {
    raw: RawOrigin,
    paths: Arc<Mutex<HashMap<String, Arc<Script>>>>,
}

/// What happens at one path.
struct Script {
    /// One turn a request.
    turns: Vec<Vec<Act>>,
    asked: AtomicUsize,
    /// Requests whose connection is closed.
    over: AtomicUsize,
    /// For each turn, whether it goes on.
    go_on: Vec<Semaphore>,
}

impl Origin {
    /// Listens.
    pub async fn serve() -> Self {
        let paths = Arc::<Mutex<HashMap<String, Arc<Script>>>>::default();
        let scripts = Arc::clone(&paths);
        let raw = RawOrigin::serve(move |stream| serve(stream, Arc::clone(&scripts))).await;
        Self { raw, paths }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.raw.url()
    }

    /// The next requests for a path meet these acts, one turn each; after them it is well.
    pub fn plays(&self, path: &str, turns: impl IntoIterator<Item = Vec<Act>>) {
        let turns: Vec<_> = turns.into_iter().collect();
        let script = Script {
            go_on: turns.iter().map(|_| Semaphore::new(0)).collect(),
            turns,
            asked: AtomicUsize::new(0),
            over: AtomicUsize::new(0),
        };
        self.paths.lock().insert(path.to_owned(), Arc::new(script));
    }

    /// The requests that have come for a path go on.
    pub fn go_on(&self, path: &str) {
        let script = self.script(path);
        let begun = script.asked.load(Ordering::SeqCst);
        for turn in script.go_on.iter().take(begun) {
            turn.add_permits(1);
        }
    }

    /// How many requests have come for a path since it was told what to do.
    pub fn asked(&self, path: &str) -> usize {
        self.script(path).asked.load(Ordering::SeqCst)
    }

    /// How many of them are over.
    pub fn over(&self, path: &str) -> usize {
        self.script(path).over.load(Ordering::SeqCst)
    }

    fn script(&self, path: &str) -> Arc<Script> {
        let paths = self.paths.lock();
        Arc::clone(paths.get(path).expect("a path that was told what to do"))
    }
}

async fn serve(
    mut stream: TcpStream,
    paths: Arc<Mutex<HashMap<String, Arc<Script>>>>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let head = RawOrigin::head(&mut stream).await?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let script = paths.lock().get(&path).cloned();
    let script = script.unwrap_or_else(|| panic!("nobody wrote what {path} does"));
    let number = script.asked.fetch_add(1, Ordering::SeqCst);
    let done = match script.turns.get(number).zip(script.go_on.get(number)) {
        Some((acts, go_on)) => play(stream, acts, go_on).await,
        None => say_well(stream).await,
    };
    script.over.fetch_add(1, Ordering::SeqCst);
    done
}

/// Each answer has a connection of its own, so that no request meets one that was closed while it was idle.
async fn say_well(mut stream: TcpStream) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{WELL}",
        WELL.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    leave(stream).await
}

async fn play(mut stream: TcpStream, acts: &[Act], go_on: &Semaphore) -> io::Result<()> {
    for act in acts {
        match act {
            Act::Say(text) => stream.write_all(text.as_bytes()).await?,
            Act::SayAll(octets) => stream.write_all(octets).await?,
            Act::Wait => go_on.acquire().await.unwrap().forget(),
            Act::Close => return leave(stream).await,
            Act::Reset => return stream.set_zero_linger(),
            Act::Silence => return hear_out(stream).await,
            Act::Flood(text) => loop {
                let piece = text.repeat((64 << 10) / text.len());
                stream.write_all(piece.as_bytes()).await?;
            },
            Act::Drip(text) => {
                let (mut from, mut to) = stream.split();
                let dripping = async {
                    loop {
                        to.write_all(text.as_bytes()).await?;
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                };
                tokio::select! {
                    dripped = dripping => return dripped,
                    left = hear(&mut from) => return left,
                }
            }
        }
    }
    Ok(())
}

/// Says that nothing follows, and closes when the edge has: what it has not read yet is not lost to a reset.
async fn leave(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    hear_out(stream).await
}

async fn hear_out(mut stream: TcpStream) -> io::Result<()> {
    hear(&mut stream).await
}

async fn hear(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<()> {
    let mut piece = [0; 4_096];
    while stream.read(&mut piece).await? > 0 {}
    Ok(())
}
