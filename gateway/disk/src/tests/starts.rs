//! What a start finds.

use super::*;
use crate::{Fault, Version};

/// Stored with and without a snapshot behind it.
fn filled() -> (Model, Tier) {
    let model = Model::default();
    let tier = open(&model);
    for number in 0..40 {
        put(&tier, &format!("old{number}"), 1, number * 60).unwrap();
    }
    tier.save();
    wait_until(&tier, "a snapshot", |count| count.snapshots > 0);
    for number in 0..40 {
        put(&tier, &format!("new{number}"), 1, number * 60).unwrap();
    }
    (model, tier)
}

fn assert_all_there(tier: &Tier) {
    for number in 0..40 {
        for age in ["old", "new"] {
            assert_eq!(get(tier, &format!("{age}{number}")), Ok((1, number * 60)));
        }
    }
    assert_eq!(tier.count().objects, 80);
}

#[test]
fn everything_is_there_after_a_close() {
    let (model, tier) = filled();
    close(&tier);
    assert_all_there(&open(&model));
}

#[test]
fn everything_is_there_after_a_kill() {
    let (model, tier) = filled();
    assert_all_there(&open(&model.copy()));
    drop(tier);
}

#[test]
fn everything_is_there_without_the_snapshot() {
    let (model, tier) = filled();
    close(&tier);
    model.remove_file("index");
    assert_all_there(&open(&model));
}

#[test]
fn a_snapshot_that_is_damaged_is_as_none() {
    let (model, tier) = filled();
    close(&tier);
    let whole = model.read("index");
    for at in (0..whole.len()).step_by(97) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        model.write("index", &damaged);
        let model = model.copy();
        let tier = open(&model);
        let count = tier.count();
        assert_eq!(count.objects, 80, "flipped at {at}: {count:?}");
        let is_told = |fault| tier.faults(fault) == 1;
        assert!(
            is_told(Fault::DamagedSnapshot) || is_told(Fault::OtherVersion),
            "{count:?}"
        );
        assert_all_there(&tier);
    }
    model.write("index", &whole[..whole.len() - 1]);
    assert_all_there(&open(&model));
}

#[test]
fn nothing_is_found_before_the_folder_is_open() {
    let (model, tier) = filled();
    let stored = get(&tier, "old5");
    tier.remove(key("old7"), None);
    put(&tier, "old8", 2, 100).unwrap();
    close(&tier);
    // The opening stands still at each of its operations in turn.
    for operations in 0.. {
        let model = model.copy();
        model.stall_after(operations);
        let marks = Arc::new(Marks::default());
        let tier = Tier::open_on(Arc::new(model.clone()), settings(), marks).unwrap();
        wait_until(&tier, "it stands still, or is open", |count| {
            count.is_ready || model.is_standing()
        });
        if tier.is_ready() {
            assert!(operations > 5, "{operations} operations");
            break;
        }
        for name in ["old5", "old7", "old8", "new5"] {
            let look = tier.find(key(name));
            let is_missed = matches!(look, Look::Miss(Miss::NotReady));
            assert!(is_missed, "{name} at {operations}: {look:?}");
            let known = [0, 1, 2].map(|generation| tier.version_of(key(name), generation));
            assert_eq!(known, [None; 3], "{name} at {operations}");
        }
        model.go_on();
        assert!(tier.wait_ready(LIMIT));
        assert_eq!(get(&tier, "old5"), stored);
        assert_eq!(find(&tier, "old5").unwrap().head().fetch.generation, 0);
        assert_eq!(get(&tier, "old7"), Err(Miss::Absent));
        assert_eq!(get(&tier, "old8"), Ok((2, 100)));
    }
}

/// What is not to come back is removed although the folder is not open.
#[test]
fn what_is_removed_before_the_folder_is_open_does_not_come_back() {
    let (model, tier) = filled();
    close(&tier);
    let removed = ["old5", "new5"];
    for is_first in [true, false] {
        model.stall_after(if is_first { 0 } else { u64::MAX });
        let tier = Tier::open_on(
            Arc::new(model.clone()),
            settings(),
            Arc::new(Marks::default()),
        );
        let tier = tier.unwrap();
        if is_first {
            wait_until(&tier, "it stands still", |_| model.is_standing());
            for name in removed {
                assert!(!tier.remove(key(name), None));
            }
        }
        model.go_on();
        assert!(tier.wait_ready(LIMIT));
        for name in removed {
            assert_eq!(get(&tier, name), Err(Miss::Absent), "{is_first}");
        }
        assert_eq!(tier.count().objects, 78);
        close(&tier);
    }
}

#[test]
fn many_starts_and_kills_lose_nothing() {
    let model = Model::default();
    let mut tier = open(&model);
    let mut now = model;
    for round in 0..12_u64 {
        for number in 0..10 {
            // Generations begin anew with each run.
            put(&tier, &format!("r{round} {number}"), number, 300).unwrap();
            put(&tier, "always", number + 1, 40 + round as usize).unwrap();
        }
        let next = now.copy();
        if round % 3 == 0 {
            close(&tier);
            now = now.copy();
        } else {
            now = next;
        }
        tier = open(&now);
        assert_eq!(tier.count().objects, (round + 1) * 10 + 1);
        assert_eq!(get(&tier, "always"), Ok((10, 40 + round as usize)));
    }
}

#[test]
fn what_is_removed_stays_removed_whatever_is_left_of_the_snapshot() {
    let (model, tier) = filled();
    let version = find(&tier, "old5").unwrap().version();
    put(&tier, "old5", 2, 100).unwrap();
    tier.remove(key("old5"), Some(version));
    assert_eq!(get(&tier, "old5"), Ok((2, 100)), "that was the older one");
    tier.remove(key("old5"), Some(Version(u64::MAX)));
    tier.remove(key("new7"), None);
    close(&tier);
    for without_snapshot in [false, true] {
        let model = model.copy();
        if without_snapshot {
            model.remove_file("index");
        }
        let tier = open(&model);
        assert_eq!(get(&tier, "old5"), Err(Miss::Absent));
        assert_eq!(get(&tier, "new7"), Err(Miss::Absent));
        assert_eq!(tier.count().objects, 78);
    }
}

#[test]
fn files_of_others_are_left_alone_and_told() {
    let model = Model::default();
    model.write("notes.txt", b"mine");
    model.write("segment-1.log", b"mine, too");
    model.write("segment-0000000G.log", b"and this");
    let tier = open(&model);
    put(&tier, "x", 1, 100).unwrap();
    assert_eq!(tier.faults(Fault::ForeignFile), 3);
    assert_eq!(model.read("notes.txt"), b"mine");
    assert_eq!(model.read("segment-1.log"), b"mine, too");
}

#[test]
fn files_of_another_version_and_leftovers_go() {
    let (model, tier) = filled();
    close(&tier);
    let segments = model.segments();
    let mut other = model.read(&segments[0]);
    other[8] = 2;
    model.write(&segments[0], &other);
    let mut index = model.read("index");
    index[8] = 2;
    model.write("index", &index);
    model.write("segment-00000099.dead", b"x");
    model.write("segment-00000098.log", b"nothing of ours");
    model.write("index.new", b"half");
    let tier = open(&model);
    assert_eq!(tier.faults(Fault::OtherVersion), 2);
    assert_eq!(tier.faults(Fault::DamagedSegment), 1);
    let names = model.names();
    for gone in [
        &*segments[0],
        "segment-00000099.dead",
        "segment-00000098.log",
        "index.new",
    ] {
        assert!(!names.iter().any(|name| name == gone), "{names:?}");
    }
    let left = tier.count().objects;
    assert!(left > 0 && left < 80, "{left}");
    for number in 0..40 {
        for age in ["old", "new"] {
            let found = get(&tier, &format!("{age}{number}"));
            assert!(matches!(found, Ok((1, _)) | Err(Miss::Absent)), "{found:?}");
        }
    }
}

#[test]
fn a_segment_that_is_gone_or_cut_off_takes_only_what_was_in_it() {
    let (model, tier) = filled();
    close(&tier);
    let segments = model.segments();
    assert!(segments.len() > 3, "{segments:?}");
    model.remove_file(&segments[1]);
    let cut = model.read(&segments[2]);
    model.write(&segments[2], &cut[..cut.len() / 2]);
    let tier = open(&model);
    assert_eq!(tier.faults(Fault::LostSegment), 2);
    let mut found = 0;
    for number in 0..40 {
        for age in ["old", "new"] {
            found += usize::from(get(&tier, &format!("{age}{number}")).is_ok());
        }
    }
    assert!((20..80).contains(&found), "{found}");
}

#[test]
fn a_folder_has_one_tier_at_a_time() {
    let model = Model::default();
    let first = open(&model);
    put(&first, "x", 1, 100).unwrap();
    let second = Tier::open_on(
        Arc::new(model.clone()),
        settings(),
        Arc::new(Marks::default()),
    )
    .unwrap();
    wait_until(&second, "it is told", |count| {
        super::count(&count.faults, Fault::Locked) > 1
    });
    assert_eq!(get(&second, "x"), Err(Miss::NotReady));
    assert_eq!(put(&second, "y", 1, 100), Err(Refusal::NotReady));
    close(&first);
    assert!(second.wait_ready(LIMIT));
    assert_eq!(get(&second, "x"), Ok((1, 100)));
}

#[test]
fn a_smaller_tier_begins_with_what_fits() {
    let model = Model::default();
    let large = Settings {
        bytes_max: 2 << 20,
        ..settings()
    };
    let tier = open_with(&model, large, Arc::default());
    for number in 0..300 {
        put(&tier, &format!("n{number}"), 1, 3000).unwrap();
    }
    close(&tier);
    let tier = open(&model);
    let bytes_max = settings().bytes_max;
    assert!(
        model.bytes() <= bytes_max,
        "{} of {bytes_max}",
        model.bytes()
    );
    assert_eq!(get(&tier, "n299"), Ok((1, 3000)));
    assert_eq!(get(&tier, "n0"), Err(Miss::Absent));
}

#[test]
fn a_folder_of_the_machine_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        folder: folder.path().to_owned(),
        ..settings()
    };
    let open = || {
        let tier = Tier::open(settings.clone(), Arc::new(Marks::default())).unwrap();
        assert!(tier.wait_ready(LIMIT));
        tier
    };
    let tier = open();
    for number in 0..50 {
        put(&tier, &format!("n{number}"), 1, number * 50).unwrap();
    }
    let second = Tier::open(settings.clone(), Arc::new(Marks::default())).unwrap();
    wait_until(&second, "it is told", |count| {
        super::count(&count.faults, Fault::Locked) > 0
    });
    close(&second);
    close(&tier);
    let tier = open();
    for number in 0..50 {
        assert_eq!(get(&tier, &format!("n{number}")), Ok((1, number * 50)));
    }
    close(&tier);
}
