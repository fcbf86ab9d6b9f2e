//! What is stored is found, as it was stored.

use super::*;
use crate::{Place, Version};

#[test]
fn what_is_stored_is_found_whatever_its_length() {
    let model = Model::default();
    let tier = open(&model);
    for length in [0, 1, 511, 512, 513, 1023, 1024, 1025, 2048, 5000] {
        let name = format!("of {length}");
        assert_eq!(get(&tier, &name), Err(Miss::Absent));
        assert_eq!(put(&tier, &name, 1, length), Ok(()), "{length}");
        assert_eq!(get(&tier, &name), Ok((1, length)));
    }
    assert_eq!(tier.count().objects, 10);
    close(&tier);
}

#[test]
fn every_range_reads_as_of_the_whole() {
    let tier = open(&Model::default());
    let whole = body("x", 1, 3000);
    put(&tier, "x", 1, 3000).unwrap();
    let stored = find(&tier, "x").unwrap();
    assert_eq!(stored.body_bytes(), 3000);
    for (start, end) in [
        (0, 1),
        (1023, 1025),
        (1024, 2048),
        (2999, 3000),
        (5, 9000),
        (3000, 3001),
    ] {
        let mut read = Vec::new();
        loop {
            let piece = kept(stored.read(start + read.len() as u64, end)).unwrap();
            if piece.is_empty() {
                break;
            }
            read.extend_from_slice(&piece);
        }
        let end = (end as usize).min(3000);
        assert!(read == whole[start as usize..end], "{start}..{end}");
    }
}

#[test]
fn variants_of_a_key_are_apart() {
    let tier = open(&Model::default());
    let variant = |byte| KeyRef {
        primary: b"x",
        variance: Some([byte; 16]),
    };
    let mut writer = tier
        .fill(
            Head {
                key: variant(1).to_key(),
                ..head("x", 1)
            },
            None,
        )
        .unwrap();
    writer.write(b"one").unwrap();
    kept(writer.commit()).unwrap();
    assert!(tier.contains(variant(1)));
    assert!(!tier.contains(variant(2)));
    assert!(!tier.contains(key("x")));
}

#[test]
fn a_later_fetch_wins_whoever_comes_first() {
    let tier = open(&Model::default());
    put(&tier, "x", 5, 100).unwrap();
    assert_eq!(put(&tier, "x", 4, 100), Err(Refusal::Older));
    assert_eq!(put(&tier, "x", 5, 100), Err(Refusal::Older));
    assert_eq!(get(&tier, "x"), Ok((5, 100)));
    // Two at once: the older one ends last.
    let older = tier.fill(head("x", 6), Some(0)).unwrap();
    put(&tier, "x", 7, 3000).unwrap();
    assert_eq!(kept(older.commit()), Err(Refusal::Older));
    assert_eq!(get(&tier, "x"), Ok((7, 3000)));
    assert_eq!(tier.count().objects, 1);
}

#[test]
fn what_an_earlier_run_stored_is_older_than_what_this_one_fetches() {
    let model = Model::default();
    let tier = open(&model);
    put(&tier, "x", 900, 100).unwrap();
    close(&tier);
    let tier = open(&model);
    let stored = find(&tier, "x").unwrap();
    assert_eq!(stored.head().fetch.generation, 0);
    // Handed back from memory, say: there is one already.
    assert_eq!(put(&tier, "x", 0, 100), Err(Refusal::Older));
    put(&tier, "x", 1, 200).unwrap();
    let stored = find(&tier, "x").unwrap();
    assert_eq!(
        (stored.head().fetch.generation, stored.body_bytes()),
        (1, 200)
    );
    put(&tier, "never there", 0, 100).unwrap();
}

#[test]
fn a_removal_is_obeyed_at_once_and_after_a_kill() {
    let model = Model::default();
    let tier = open(&model);
    put(&tier, "x", 1, 100).unwrap();
    put(&tier, "y", 1, 3000).unwrap();
    put(&tier, "z", 1, 100).unwrap();
    let version = find(&tier, "x").unwrap().version();
    assert!(tier.remove(key("x"), Some(version)));
    assert!(!tier.remove(key("x"), None));
    assert!(tier.remove(key("y"), None));
    assert!(
        !tier.remove(key("z"), Some(Version(0))),
        "that is an older one"
    );
    assert_eq!(get(&tier, "x"), Err(Miss::Absent));
    // Operations are written in their order: behind the removals.
    put(&tier, "after", 1, 1).unwrap();
    let killed = open(&model.copy());
    assert_eq!(get(&killed, "x"), Err(Miss::Absent));
    assert_eq!(get(&killed, "y"), Err(Miss::Absent));
    assert_eq!(get(&killed, "z"), Ok((1, 100)));
}

#[test]
fn a_validation_puts_a_new_head_to_the_same_body() {
    let model = Model::default();
    let tier = open(&model);
    for (name, length) in [("small", 300), ("large", 4000)] {
        put(&tier, name, 1, length).unwrap();
        let stored = find(&tier, name).unwrap();
        let mut renewed = head(name, 2);
        renewed.header = Bytes::from_static(b"fresh");
        kept(tier.renew(stored.version(), renewed.clone())).unwrap();
        let again = find(&tier, name).unwrap();
        assert_eq!(&again.head().header[..], b"fresh");
        assert_eq!(again.head().fetch.generation, 2);
        assert!(read_all(&again) == body(name, 1, length));
        assert_eq!(
            kept(tier.renew(stored.version(), renewed)),
            Err(Refusal::Gone),
            "that version is no longer stored"
        );
        let killed = open(&model.copy());
        assert_eq!(&find(&killed, name).unwrap().head().header[..], b"fresh");
    }
}

#[test]
fn a_renewal_that_comes_too_late_does_not_come_back_with_the_next_start() {
    let model = Model::default();
    let tier = open(&model);
    put(&tier, "x", 1, 100).unwrap();
    let version = find(&tier, "x").unwrap().version();
    model.stall();
    let renewal = tier.renew(version, head("x", 2));
    tier.remove(key("x"), None);
    model.go_on();
    let outcome = kept(renewal);
    put(&tier, "after", 1, 1).unwrap();
    put(&tier, "after", 2, 1).unwrap();
    assert_eq!(get(&tier, "x"), Err(Miss::Absent), "{outcome:?}");
    close(&tier);
    assert_eq!(get(&open(&model), "x"), Err(Miss::Absent), "{outcome:?}");
}

#[test]
fn what_the_marks_name_is_neither_found_nor_stored_nor_renewed() {
    let model = Model::default();
    let marks = Arc::new(Marks::default());
    let tier = open_with(&model, settings(), Arc::clone(&marks));
    put(&tier, "x", 1, 100).unwrap();
    put(&tier, "y", 1, 100).unwrap();
    let y = find(&tier, "y").unwrap().version();
    let under_way = tier.fill(head("z", 2), Some(0)).unwrap();
    for path in ["/x", "/y", "/z"] {
        marks.purge(path);
    }
    assert_eq!(get(&tier, "x"), Err(Miss::Dead));
    assert_eq!(get(&tier, "x"), Err(Miss::Absent), "it is forgotten");
    assert_eq!(kept(tier.renew(y, head("y", 3))), Err(Refusal::Purged));
    assert_eq!(kept(under_way.commit()), Err(Refusal::Purged));
    assert_eq!(get(&tier, "z"), Err(Miss::Absent));
    assert_eq!(count(&tier.count().refusals, Refusal::Purged), 2);
}

#[test]
fn a_sweep_meets_everything_that_was_stored_and_forgets_the_dead() {
    let model = Model::default();
    let marks = Arc::new(Marks::default());
    let tier = open_with(&model, settings(), Arc::clone(&marks));
    for number in 0..60 {
        put(&tier, &format!("n{number}"), 1, number * 25).unwrap();
    }
    for number in 0..20 {
        // An older version of these is not met.
        put(&tier, &format!("n{number}"), 2, 10).unwrap();
    }
    for number in 0..20 {
        marks.purge(&format!("/n{}", number * 3));
    }
    let (mut met, mut dead, mut place) = (0, 0, Place::default());
    loop {
        let walked = kept(tier.walk(place, 7)).unwrap();
        (met, dead) = (met + walked.met, dead + walked.dead);
        match walked.next {
            Some(next) => place = next,
            None => break,
        }
    }
    assert_eq!((met, dead), (60, 20));
    assert_eq!(tier.count().objects, 40);
    put(&tier, "after", 1, 1).unwrap();
    assert_eq!(
        open(&model.copy()).count().objects,
        41,
        "and it is written down"
    );
}

#[test]
fn heads_and_bodies_have_bounds() {
    let tier = open(&Model::default());
    let large = Head {
        header: vec![0; 1100].into(),
        ..head("x", 1)
    };
    assert_eq!(tier.fill(large, None).unwrap_err(), Refusal::HeadTooLarge);
    let bytes_max = tier.shared().settings.object_bytes_max();
    let begun = tier.fill(head("x", 1), Some(bytes_max + 1));
    assert_eq!(begun.unwrap_err(), Refusal::TooLarge);
    let mut writer = tier.fill(head("x", 1), None).unwrap();
    let chunk = vec![0; 1024];
    let refusal = (0..).find_map(|_| {
        // As fast as the disk takes it.
        wait_until(&tier, "the queue is taken", |count| {
            count.queue_bytes < 100_000
        });
        writer.write(&chunk).err()
    });
    assert_eq!(refusal.unwrap().0, Refusal::TooLarge);
    assert_eq!(get(&tier, "x"), Err(Miss::Absent));
    wait_until(&tier, "all is given back", |count| count.fills == 0);
    drop(writer);
    wait_until(&tier, "all is given back", |count| count.queue_bytes == 0);
}

#[test]
fn a_tier_that_is_too_small_says_what_it_needs() {
    let too_small = Settings {
        bytes_max: 1000,
        ..settings()
    };
    let error = too_small.check().unwrap_err();
    assert!(error.to_string().contains("give it at least"), "{error}");
    assert!(Settings::new("/x", crate::TIER_BYTES_MIN).check().is_ok());
    assert!(Settings::new("/x", 10 << 30).check().is_ok());
    let layout = Layout {
        head_bytes_max: 16 << 10,
        ..LAYOUT
    };
    assert!(
        Settings {
            layout,
            ..settings()
        }
        .check()
        .is_err()
    );
}
