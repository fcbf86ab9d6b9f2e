//! The index does what a map does.

use crate::{
    hash::KeyHash,
    index::{Entry, Index},
};
use proptest::prelude::*;
use std::collections::HashMap;

#[derive(Debug, Clone, Copy)]
enum Step {
    Insert { key: u64, order: u64 },
    Remove { key: u64, order: u64 },
    Replace { key: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    // Few shards and few hashes, so that they meet.
    let key = 0..600_u64;
    prop_oneof![
        4 => (key.clone(), 0..50_u64).prop_map(|(key, order)| Step::Insert { key, order }),
        2 => (key.clone(), 0..50_u64).prop_map(|(key, order)| Step::Remove { key, order }),
        1 => key.prop_map(|key| Step::Replace { key }),
    ]
}

fn hash(key: u64) -> KeyHash {
    KeyHash {
        high: key % 2,
        low: key % 7 + (key << 40),
    }
}

proptest! {
    #[test]
    fn it_does_what_a_map_does(steps in prop::collection::vec(step(), 0..3000)) {
        let index = Index::new();
        let mut map: HashMap<KeyHash, Entry> = HashMap::new();
        for (number, step) in (0..).zip(steps) {
            match step {
                Step::Insert { key, order } => {
                    let entry = Entry { hash: hash(key), order, offset: number, ..Entry::default() };
                    let is_newer = map.get(&entry.hash).is_none_or(|old| old.order < order);
                    if is_newer {
                        map.insert(entry.hash, entry);
                    }
                    prop_assert_eq!(index.insert(entry), is_newer);
                }
                Step::Remove { key, order } => {
                    let is_there = map.get(&hash(key)).is_some_and(|old| old.order <= order);
                    let removed = if is_there { map.remove(&hash(key)) } else { None };
                    prop_assert_eq!(index.remove_up_to(hash(key), order), removed);
                }
                Step::Replace { key } => {
                    if let Some(old) = map.get_mut(&hash(key)) {
                        let new = Entry { segment: number, ..*old };
                        prop_assert!(index.replace(old, new));
                        prop_assert!(!index.replace(old, new), "that one is gone");
                        *old = new;
                    }
                }
            }
            prop_assert_eq!(index.len(), map.len() as u64);
        }
        for (hash, entry) in &map {
            prop_assert_eq!(index.get(*hash), Some(*entry));
        }
        let mut all: Vec<_> = (0..crate::index::SHARDS).flat_map(|shard| index.shard(shard)).collect();
        all.sort_by_key(|entry| (entry.hash.high, entry.hash.low));
        let mut expected: Vec<_> = map.into_values().collect();
        expected.sort_by_key(|entry| (entry.hash.high, entry.hash.low));
        prop_assert_eq!(all, expected);
        index.clear();
        prop_assert_eq!(index.len(), 0);
    }
}
