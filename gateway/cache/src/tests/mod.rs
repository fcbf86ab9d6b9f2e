//! The engine as a whole, from the simplest rule up.

mod bounds;
mod broken_rules;
mod budget_storm;
mod counter;
mod fills;
mod histories;
mod interleave;
mod kept;
mod model;
mod promotions;
mod rule;
mod slow_fills;
mod slow_readers;
mod snapshots;
mod sweeps;
mod trust;
mod validations;
mod widening;

use crate::*;
use latencify_conf::{
    change::{Epoch, LogId, Mode, Position, SiteId, Target},
    digest::Digest,
};
use std::sync::Arc;

const SITE: SiteId = SiteId(1);
const PLENTY: u64 = 1 << 30;
const ANY_SIZE: Expectation = Expectation {
    bytes: None,
    bytes_max: u64::MAX,
};

fn key(name: &str) -> KeyRef<'_> {
    KeyRef {
        primary: name.as_bytes(),
        variance: None,
    }
}

fn cache(bytes_max: u64) -> Arc<Cache<()>> {
    Cache::new(bytes_max, Marks::new())
}

fn identity(path: &str, tags: &[&str]) -> Identity {
    Identity {
        site: SITE,
        path: path.into(),
        tags: tags.iter().map(|&tag| tag.into()).collect(),
    }
}

fn position(log: LogId, epoch: u64) -> Position {
    Position {
        log,
        epoch: Epoch(epoch),
        hash: Digest::default(),
    }
}

fn log(number: u128) -> LogId {
    LogId(uuid::Uuid::from_u128(number))
}

fn url(path: &str) -> Target {
    Target::Url {
        site: SITE,
        path: path.into(),
    }
}

fn prefix(path: &str) -> Target {
    Target::Prefix {
        site: SITE,
        path: path.into(),
    }
}

fn tag(tag: &str) -> Target {
    Target::Tag {
        site: SITE,
        tag: tag.into(),
    }
}

/// Begins to store an untagged object whose path is its key.
fn begin(
    cache: &Arc<Cache<()>>,
    name: &str,
    expectation: Expectation,
) -> Result<Writer<()>, Refusal> {
    let record = Record::of_fetch(identity(name, &[]), *cache.begin_fetch(), ());
    cache.fill(key(name), record, expectation)
}

/// Stores an untagged object whose path is its key.
fn put(cache: &Arc<Cache<()>>, name: &str, body: impl Into<bytes::Bytes>) -> Result<(), Refusal> {
    let mut writer = begin(cache, name, ANY_SIZE)?;
    writer
        .write(&body.into())
        .map_err(|Abandoned(refusal)| refusal)?;
    writer.finish()
}

/// What a look-up serves, if it finds a complete object.
fn body(cache: &Cache<()>, name: &str) -> Option<Vec<u8>> {
    let Found {
        reader: Reader::Stored(mut reader),
        ..
    } = cache.find(key(name))?
    else {
        panic!("{name} is still arriving");
    };
    Some(
        std::iter::from_fn(|| reader.read().unwrap())
            .flatten()
            .collect(),
    )
}
