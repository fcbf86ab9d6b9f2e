//! How long a tier of many small objects takes to be usable after a close, after a kill and without its index, what an
//! object costs in memory, and how long a round of the sweep takes, before and after one object in sixteen is purged:
//! `cargo run --release -p latencify-disk --example fill [OBJECTS] [BODY_BYTES]`.
//!
//! Every measurement is a process of its own; memory is what is resident, before and after.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a measuring program

use bytes::Bytes;
use latencify_cache::{Fetch, Identity, KeyRef, Stamp};
use latencify_conf::change::SiteId;
use latencify_disk::{Head, Look, Place, Refusal, Settings, Tier};
use std::{
    env,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const LAST: &str = "without its index";
const LIMIT: Duration = Duration::from_mins(10);

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number = |at: usize, or: u64| {
        let given = arguments.get(at).map(|text| text.parse().unwrap());
        given.unwrap_or(or)
    };
    if let Ok(step) = env::var("FILL_STEP") {
        let folder = env::var("FILL_FOLDER").unwrap();
        return run(&step, Path::new(&folder), number(0, 0), number(1, 0));
    }
    let (objects, body_bytes) = (number(0, 1_000_000), number(1, 1024));
    let folder = tempfile::tempdir().unwrap();
    let step = |name: &str| {
        let status = Command::new(env::current_exe().unwrap())
            .args([objects.to_string(), body_bytes.to_string()])
            .env("FILL_STEP", name)
            .env("FILL_FOLDER", folder.path())
            .status();
        let status = status.unwrap();
        assert!(status.success() || name == "kill", "{name}: {status}");
    };
    step("write");
    step("after a close");
    step("kill");
    step("after a kill");
    std::fs::remove_file(folder.path().join("index")).unwrap();
    step(LAST);
}

fn run(step: &str, folder: &Path, objects: u64, body_bytes: u64) {
    let settings = Settings {
        objects_max: objects * 2,
        ..Settings::new(folder, (objects * (body_bytes + 1024)).max(1 << 30))
    };
    let before = resident();
    let began = Instant::now();
    let is_purged = Arc::new(AtomicBool::new(false));
    let purged = Arc::clone(&is_purged);
    let judge = move |identity: &Identity, _: &Stamp| {
        purged.load(Ordering::Relaxed) && identity.tags.iter().any(|tag| &**tag == "of-0")
    };
    let tier = Tier::open(settings, Arc::new(judge)).unwrap();
    assert!(tier.wait_ready(LIMIT));
    let opened = began.elapsed();
    match step {
        "write" => {
            let began = Instant::now();
            store(&tier, 0..objects, body_bytes);
            assert!(tier.close(LIMIT));
            let count = tier.count();
            println!(
                "{objects} objects of {body_bytes} bytes stored in {:.1?}: {} MiB in {} segments, {} MiB in memory",
                began.elapsed(),
                count.bytes >> 20,
                count.segments,
                (resident() - before) >> 20,
            );
        }
        "kill" => {
            // A tenth more, and no time to write the index.
            store(&tier, objects..objects + objects / 10, body_bytes);
            let snapshots = tier.count().snapshots;
            println!(
                "{} more, {snapshots} snapshots meanwhile, killed",
                objects / 10
            );
            std::process::abort();
        }
        _ => {
            let objects = tier.count().objects;
            let memory = resident().saturating_sub(before);
            println!(
                "{step}: {objects} objects usable in {opened:.3?}, {:.1} bytes an object resident",
                memory as f64 / objects as f64
            );
            let began = Instant::now();
            let asked = 10_000.min(objects);
            for number in 0..asked {
                let number = number * 7919 % objects;
                let name = format!("/objects/{number}");
                let Look::Reading(found) = tier.find(key(&name)) else {
                    panic!("{name} is not there");
                };
                assert_eq!(found.wait(LIMIT).unwrap().unwrap().body_bytes(), body_bytes);
            }
            println!(
                "  {asked} of them found and verified, one after the other, in {:.1?}",
                began.elapsed()
            );
            if step == LAST {
                sweep(&tier, "nothing is purged");
                is_purged.store(true, Ordering::Relaxed);
                sweep(&tier, "one in sixteen is");
            }
            assert!(tier.close(LIMIT));
        }
    }
}

/// A round without the pauses that an edge makes.
fn sweep(tier: &Tier, when: &str) {
    let began = Instant::now();
    let (mut place, mut met, mut dead) = (Some(Place::default()), 0, 0);
    while let Some(from) = place {
        let walked = tier.walk(from, 1_024).wait(LIMIT).unwrap().unwrap();
        (met, dead, place) = (met + walked.met, dead + walked.dead, walked.next);
    }
    println!(
        "  a round when {when}: {met} met, {dead} dead, in {:.1?}",
        began.elapsed()
    );
}

fn key(name: &str) -> KeyRef<'_> {
    KeyRef {
        primary: name.as_bytes(),
        variance: None,
    }
}

fn store(tier: &Tier, numbers: std::ops::Range<u64>, body_bytes: u64) {
    let body = vec![b'x'; body_bytes as usize];
    let mut last = None;
    for number in numbers {
        let name = format!("/objects/{number}");
        let head = Head {
            key: key(&name).to_key(),
            identity: Identity {
                tags: [format!("of-{}", number % 16).into()].into(),
                ..Identity::untagged(SiteId(1), &*name)
            },
            fetch: Fetch {
                stamp: Stamp::default(),
                generation: number + 1,
            },
            keep_until_ms: 0,
            header: Bytes::from_static(&[b'h'; 200]),
        };
        loop {
            let stored = tier
                .fill(head.clone(), Some(body_bytes))
                .and_then(|mut writer| {
                    writer.write(&body).map_err(|abandoned| abandoned.0)?;
                    writer.refused().map_or_else(|| Ok(writer.commit()), Err)
                });
            match stored {
                Ok(ticket) => {
                    // Some under way, as from many connections.
                    let before = (number % 64 == 0).then(|| last.replace(ticket)).flatten();
                    if let Some(ticket) = before {
                        ticket.wait(LIMIT).unwrap().unwrap();
                    }
                    break;
                }
                Err(Refusal::QueueFull | Refusal::TooManyFills) => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(refusal) => panic!("{refusal}"),
            }
        }
    }
    last.unwrap().wait(LIMIT).unwrap().unwrap();
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let resident: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    resident * 4096
}
