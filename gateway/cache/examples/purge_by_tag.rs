//! What a purge by tag costs, in a cache of so many objects: `purge_by_tag OBJECTS PURGES`.
//!
//! The benchmark counts the instructions of `measured_section`, and of nothing else: it says when it is ready, waits for a line, purges,
//! says that it is done, and waits for another line.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a measuring program

use bytes::Bytes;
use latencify_cache::{Cache, Expectation, Identity, KeyRef, Marks, Record};
use latencify_conf::change::{Mode, SiteId, Target};
use std::{env, hint, io, sync::Arc};

const SITE: SiteId = SiteId(1);
/// However many objects there are, they have these tags: the more objects, the more a purge kills.
const TAGS: usize = 1_000;
const BODY_BYTES: usize = 1_024;
/// Memory that never runs out.
const CACHE_BYTES: u64 = 1 << 40;

fn main() {
    let mut numbers = env::args().skip(1).map(|word| word.parse::<usize>());
    let (Some(Ok(objects)), Some(Ok(purges))) = (numbers.next(), numbers.next()) else {
        panic!("purge_by_tag OBJECTS PURGES");
    };
    let cache = Cache::new(CACHE_BYTES, Marks::new());
    for number in 0..objects {
        store(&cache, number);
    }
    assert_eq!(cache.count().objects as usize, objects);
    wait("ready");
    measured_section(cache.marks(), purges);
    wait("done");
    // What was stored is there until here.
    assert!(hint::black_box(&cache).count().objects as usize <= objects);
}

fn store(cache: &Arc<Cache<()>>, number: usize) {
    let path = format!("/products/{}/{number}", number % 500);
    let key = KeyRef {
        primary: path.as_bytes(),
        variance: None,
    };
    let identity = Identity {
        tags: [tag(number).into()].into(),
        ..Identity::untagged(SITE, &*path)
    };
    let fetching = cache.begin_fetch();
    let record = Record::of_fetch(identity, *fetching, ());
    let expectation = Expectation {
        bytes: Some(BODY_BYTES as u64),
        bytes_max: u64::MAX,
    };
    let mut writer = cache.fill(key, record, expectation).unwrap();
    writer.write(&Bytes::from(vec![b'x'; BODY_BYTES])).unwrap();
    writer.finish().unwrap();
}

#[inline(never)]
fn measured_section(marks: &Marks, purges: usize) {
    for number in 0..purges {
        let target = Target::Tag {
            site: SITE,
            tag: tag(number),
        };
        marks.local_purge(&target, Mode::Hard);
    }
}

fn tag(number: usize) -> String {
    format!("tag-{}", number % TAGS)
}

fn wait(what: &str) {
    println!("{what}");
    io::stdin().read_line(&mut String::new()).unwrap();
}
