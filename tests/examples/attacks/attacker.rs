//! Who attacks, and who behaves instead: processes that do nothing else, at a stated pace.

use crate::kinds::{self, HOST};
use futures::future::join_all;
use latencify_tests::{
    Client,
    frames::{DATA, END_STREAM, Raw, tls},
};
use rustls::ClientConfig;
use std::{
    hint::black_box,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

/// Attackers of one kind at a time, or clients that behave.
const AT_ONCE: u32 = 4;
/// Whoever comes by one connection after the other begins the next so long after the last: 100 a second of all.
const CONNECTION_EACH: Duration = Duration::from_millis(40);
/// Whoever holds many looks after them so often, …
const TICK: Duration = Duration::from_millis(4);
/// … opens so many at once when some were closed: 2,000 a second of all …
const OPENED_AT_ONCE: usize = 2;
/// … and sends something over each when it has looked so often: …
const TURNS: usize = 50;
/// … an attacker with so many connections an octet, 2,000 a second of all; …
const HELD: usize = 100;
/// … a client that behaves, with so many, a request, 800 a second of all.
const KEPT: usize = 40;
/// Requests over one connection of HTTP/2 by a client that behaves: 800 a second of all.
const PAGE: u32 = 8;
/// An answer, or the end of the connection, is waited for so long.
const ANSWER: Duration = Duration::from_secs(2);
/// Frames in one write, as whoever means it does.
const FRAMES_AT_ONCE: u32 = 32;

const ADDRESS: &str = "127.10.0.1";
pub const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";
const LAST_GET: &[u8] = b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";

/// What is done, over and over.
pub enum Act {
    /// Keeps many connections open that said that, and replaces those that were closed.
    Hold {
        door: Door,
        crowd: Crowd,
        say: &'static [u8],
        manner: Manner,
    },
    /// Shakes hands over TLS, and goes.
    Shake,
    /// Says that over HTTP/1.1, and reads what comes until the edge ends the connection.
    Say(fn() -> Vec<u8>),
    /// Sends frames of HTTP/2 until the edge ends the connection.
    Flood {
        settings: &'static [u8],
        frames_max: u32,
        next: fn(u32) -> Vec<u8>,
        /// What a client that behaves sends on a stream.
        visit: fn(u32) -> Vec<u8>,
    },
}

impl Act {
    /// How often the edge refuses attackers that keep their pace for so long: each connection once. One that is held is
    /// held until a time is over, and counted once whatever is left of the time then.
    pub fn refusals_in(&self, time: Duration) -> f64 {
        f64::from(AT_ONCE)
            * match self {
                Self::Hold { .. } => HELD as f64,
                Self::Shake | Self::Say(_) | Self::Flood { .. } => {
                    time.div_duration_f64(CONNECTION_EACH)
                }
            }
    }
}

/// Where attackers knock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Http,
    Https,
}

/// What they do while they hold a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// They take what comes, and say nothing.
    Silent,
    /// They take what comes, and send an octet now and then.
    Drips,
    /// They send an octet now and then, and take nothing.
    Deaf,
    /// They ask now and then, and take the answer.
    Asks,
}

/// From where they come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Crowd {
    /// One address.
    One,
    /// As many addresses as connections: no single one is over its own limit.
    Many,
}

/// Whom they visit.
pub struct Target {
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub trust: Arc<ClientConfig>,
}

impl Target {
    fn of(&self, door: Door) -> SocketAddr {
        match door {
            Door::Http => self.http,
            Door::Https => self.https,
        }
    }
}

/// What a process does until it is ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Attacks,
    /// Comes as often, by the same door, and asks for what it takes.
    Behaves,
}

/// Plays the role until the process is ended.
pub async fn play(role: Role, act: &'static Act, target: Target) {
    let target = &target;
    join_all((0..AT_ONCE).map(async |number| {
        // One after the other, not all at the same moment.
        sleep((CONNECTION_EACH + TICK) * number / AT_ONCE).await;
        match role {
            Role::Attacks => attack(act, target, number).await,
            Role::Behaves => behave(act, target, number).await,
        }
    }))
    .await;
}

/// Keeps a core awake.
pub fn spin_for_ever() -> ! {
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_mul(31).wrapping_add(1));
    }
}

async fn attack(act: &Act, target: &Target, number: u32) {
    match act {
        Act::Hold {
            door,
            crowd,
            say,
            manner,
        } => {
            let sources = sources(*crowd, number, HELD);
            hold(target.of(*door), sources, say, *manner).await;
        }
        Act::Shake => paced(async || shake(target).await).await,
        Act::Say(octets) => paced(async || say(target.http, &octets()).await).await,
        Act::Flood {
            settings,
            frames_max,
            next,
            ..
        } => paced(async || flood(target, settings, *frames_max, *next).await).await,
    }
}

async fn behave(act: &Act, target: &Target, number: u32) {
    match act {
        Act::Hold { crowd, .. } => {
            let sources = sources(*crowd, number, KEPT);
            hold(target.http, sources, b"", Manner::Asks).await;
        }
        Act::Say(_) => paced(async || say(target.http, LAST_GET).await).await,
        Act::Shake => paced(async || page(target, kinds::ask).await).await,
        Act::Flood { visit, .. } => paced(async || page(target, *visit).await).await,
    }
}

/// Does it again and again, but no more often than it may.
async fn paced(mut once: impl AsyncFnMut()) {
    let mut pace = interval(CONNECTION_EACH);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        once().await;
    }
}

fn sources(crowd: Crowd, number: u32, count: usize) -> Vec<String> {
    (0..count)
        .map(|held| match crowd {
            Crowd::One => ADDRESS.to_owned(),
            Crowd::Many => format!("127.10.{}.{}", number + 1, held + 1),
        })
        .collect()
}

/// Holds a connection from each of these addresses for as long as the edge lets it.
async fn hold(server: SocketAddr, sources: Vec<String>, say: &[u8], manner: Manner) {
    let mut held: Vec<Option<TcpStream>> = sources.iter().map(|_| None).collect();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in 0_usize.. {
        ticks.tick().await;
        let mut opened = 0;
        for (index, (place, source)) in held.iter_mut().zip(&sources).enumerate() {
            let is_its_turn = index % TURNS == turn % TURNS;
            if is_its_turn
                && place
                    .as_ref()
                    .is_some_and(|stream| has_ended(stream, manner))
            {
                *place = None;
            }
            if place.is_none() && opened < OPENED_AT_ONCE {
                opened += 1;
                if let Ok(mut stream) = Client::at(source).tcp(server).await {
                    let _ = stream.write_all(say).await;
                    *place = Some(stream);
                }
            }
        }
    }
}

/// Goes on with a connection; says whether the edge has closed it.
fn has_ended(stream: &TcpStream, manner: Manner) -> bool {
    let is_end = |outcome: io::Result<usize>| match outcome {
        Ok(octets) => octets == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    };
    let words: &[u8] = match manner {
        Manner::Silent => b"",
        Manner::Drips | Manner::Deaf => b"x",
        Manner::Asks => GET,
    };
    let said = !words.is_empty() && is_end(stream.try_write(words));
    said || manner != Manner::Deaf && is_end(stream.try_read(&mut [0; 1_024]))
}

async fn shake(target: &Target) {
    let _ = tls(target.https, target.trust.clone(), HOST, ADDRESS).await;
}

async fn say(server: SocketAddr, octets: &[u8]) {
    let Ok(stream) = Client::at(ADDRESS).tcp(server).await else {
        return;
    };
    let (mut reader, mut writer) = stream.into_split();
    let saying = async {
        let _ = writer.write_all(octets).await;
        std::future::pending::<()>().await;
    };
    let hearing = async {
        let mut piece = [0; 4_096];
        while let Ok(1..) = reader.read(&mut piece).await {}
    };
    let _ = timeout(ANSWER, async {
        tokio::select! {
            () = saying => {}
            () = hearing => {}
        }
    })
    .await;
}

async fn flood(target: &Target, settings: &[u8], frames_max: u32, next: impl Fn(u32) -> Vec<u8>) {
    let Ok(raw) = connect(target, settings).await else {
        return;
    };
    let flooding = raw.flood(|number| {
        let frames = number * FRAMES_AT_ONCE..((number + 1) * FRAMES_AT_ONCE).min(frames_max);
        frames.flat_map(&next).collect()
    });
    let _ = timeout(ANSWER, flooding).await;
}

/// What a browser does: a connection, a few requests over it, and their answers.
async fn page(target: &Target, visit: fn(u32) -> Vec<u8>) {
    let Ok(mut raw) = connect(target, &[]).await else {
        return;
    };
    let requests: Vec<u8> = (0..PAGE).flat_map(|number| visit(number * 2 + 1)).collect();
    let answers = async {
        let _ = raw.send(&requests).await;
        let mut left = PAGE;
        while left > 0 {
            let Some(frame) = raw.reader.next().await else {
                return;
            };
            left -= u32::from(frame.kind == DATA && frame.flags & END_STREAM != 0);
        }
    };
    let _ = timeout(ANSWER, answers).await;
}

async fn connect(target: &Target, settings: &[u8]) -> anyhow::Result<Raw> {
    Raw::connect(target.https, target.trust.clone(), HOST, ADDRESS, settings).await
}
