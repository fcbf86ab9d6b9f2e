//! The tier on a file system that loses, delays and refuses.

mod basics;
mod bounds;
mod crash;
mod damage;
mod faults;
mod fills;
mod golden;
mod histories;
mod index;
mod model;
mod starts;

use crate::{Head, Judge, Layout, Look, Miss, Refusal, Settings, Stored, Ticket, Tier, TierCount};
use bytes::Bytes;
use latencify_cache::{Fetch, Identity, KeyRef, Stamp};
use latencify_conf::change::{Epoch, SiteId};
use model::Model;
use std::{
    collections::BTreeSet,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::{Duration, Instant},
};

/// Longer than anything takes on any machine.
const LIMIT: Duration = Duration::from_mins(2);
const LAYOUT: Layout = Layout {
    segment_bytes: 16 << 10,
    chunk_bytes: 1 << 10,
    inline_bytes_max: 512,
    head_bytes_max: 2 << 10,
};

/// Marks as a list of what is dead.
#[derive(Debug, Default)]
struct Marks {
    paths: Mutex<BTreeSet<String>>,
}

impl Marks {
    fn purge(&self, path: &str) {
        self.paths.lock().unwrap().insert(path.to_owned());
    }
}

impl Judge for Marks {
    fn is_dead(&self, identity: &Identity, _: &Stamp) -> bool {
        self.paths.lock().unwrap().contains(&*identity.path)
    }
}

fn settings() -> Settings {
    Settings {
        objects_max: 400,
        readers: 2,
        queue_bytes_max: 1 << 20,
        retry: Duration::from_millis(5),
        snapshot_period: Duration::from_hours(1),
        layout: LAYOUT,
        ..Settings::new("/tier", 512 << 10)
    }
}

fn open(model: &Model) -> Tier {
    open_with(model, settings(), Arc::new(Marks::default()))
}

fn open_with(model: &Model, settings: Settings, marks: Arc<Marks>) -> Tier {
    let tier = Tier::open_on(Arc::new(model.clone()), settings, marks).unwrap();
    assert!(tier.wait_ready(LIMIT), "{:?}", tier.count());
    tier
}

fn close(tier: &Tier) {
    assert!(tier.close(LIMIT), "{:?}", tier.count());
}

fn key(name: &str) -> KeyRef<'_> {
    KeyRef {
        primary: name.as_bytes(),
        variance: None,
    }
}

fn head(name: &str, generation: u64) -> Head {
    Head {
        key: key(name).to_key(),
        identity: Identity {
            site: SiteId(7),
            path: format!("/{name}").into(),
            tags: ["a".into(), "bc".into()].into(),
        },
        fetch: Fetch {
            stamp: Stamp {
                log: None,
                epoch: Epoch(5),
                local: 3,
            },
            generation,
        },
        keep_until_ms: 9,
        header: Bytes::from(format!("header of {name} {generation}")),
    }
}

/// Bytes that say where they belong.
fn body(name: &str, generation: u64, length: usize) -> Vec<u8> {
    let seed = format!("{name}/{generation}/{length};");
    seed.bytes().cycle().take(length).collect()
}

fn kept<T>(ticket: Ticket<T>) -> T {
    ticket.wait(LIMIT).expect("an outcome")
}

fn put(tier: &Tier, name: &str, generation: u64, length: usize) -> Result<(), Refusal> {
    let mut writer = tier.fill(head(name, generation), Some(length as u64))?;
    let written = writer.write(&body(name, generation, length));
    written.map_err(|abandoned| abandoned.0)?;
    kept(writer.commit())
}

fn find(tier: &Tier, name: &str) -> Result<Stored, Miss> {
    match tier.find(key(name)) {
        Look::Miss(miss) => Err(miss),
        Look::Reading(ticket) => kept(ticket),
        Look::Following(follower) => panic!("a fill is under way: {follower:?}"),
    }
}

/// Which generation is stored, and its length, after looking at every byte.
fn get(tier: &Tier, name: &str) -> Result<(u64, usize), Miss> {
    let stored = find(tier, name)?;
    kept(stored.prove())?;
    let read = read_all(&stored);
    let header = String::from_utf8(stored.head().header.to_vec()).unwrap();
    let generation = header.rsplit(' ').next().unwrap().parse().unwrap();
    assert_eq!(stored.head().key, key(name).to_key());
    assert_eq!(stored.head().identity, head(name, 0).identity);
    assert_eq!(stored.head().fetch.stamp, head(name, 0).fetch.stamp);
    assert!(read == body(name, generation, read.len()), "{name} is torn");
    Ok((generation, read.len()))
}

fn read_all(stored: &Stored) -> Vec<u8> {
    let mut read = Vec::new();
    loop {
        let piece = kept(stored.read(read.len() as u64, u64::MAX)).expect("a piece");
        if piece.is_empty() {
            return read;
        }
        read.extend_from_slice(&piece);
    }
}

fn count<K: Copy + PartialEq>(counts: &[(K, u64)], kind: K) -> u64 {
    counts
        .iter()
        .find(|(counted, _)| *counted == kind)
        .map_or(0, |(_, count)| *count)
}

fn wait_until(tier: &Tier, what: &str, is_so: impl Fn(&TierCount) -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so(&tier.count()) {
        assert!(Instant::now() < deadline, "{what}: {:?}", tier.count());
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Awaits on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut context) {
            return outcome;
        }
        assert!(Instant::now() < deadline, "nothing came");
        std::thread::park_timeout(Duration::from_secs(1));
    }
}
