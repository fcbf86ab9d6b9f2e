//! A disk that is full, gone, read-only, broken or slow: misses and counters, never an error or a wait.

use super::{model::Trouble, *};
use crate::Fault;
use std::io::ErrorKind;

/// Puts until the tier says why not.
fn put_until_refused(tier: &Tier, name: &str) -> Refusal {
    (0..100_000)
        .find_map(|number| put(tier, &format!("{name}{number}"), 1, 900).err())
        .expect("a refusal")
}

#[test]
fn a_folder_that_is_missing_is_waited_for() {
    for (kind, fault) in [
        (ErrorKind::NotFound, Fault::MissingFolder),
        (ErrorKind::PermissionDenied, Fault::ReadOnly),
        (ErrorKind::ReadOnlyFilesystem, Fault::ReadOnly),
        (ErrorKind::StorageFull, Fault::DiskFull),
        (ErrorKind::Other, Fault::WriteFailed),
    ] {
        let model = Model::default();
        model.trouble(Trouble {
            names: Some(kind),
            ..Trouble::default()
        });
        let tier = Tier::open_on(
            Arc::new(model.clone()),
            settings(),
            Arc::new(Marks::default()),
        );
        let tier = tier.unwrap();
        wait_until(&tier, "it was tried again", |_| tier.faults(fault) > 2);
        assert_eq!(get(&tier, "x"), Err(Miss::NotReady));
        assert_eq!(put(&tier, "x", 1, 100), Err(Refusal::NotReady));
        model.trouble(Trouble::default());
        assert!(tier.wait_ready(LIMIT));
        put(&tier, "x", 1, 100).unwrap();
        assert_eq!(get(&tier, "x"), Ok((1, 100)));
        close(&tier);
    }
}

#[test]
fn a_folder_of_the_machine_may_come_later_and_go() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("later");
    let settings = Settings {
        folder: folder.clone(),
        ..settings()
    };
    let tier = Tier::open(settings, Arc::new(Marks::default())).unwrap();
    wait_until(&tier, "it was told", |_| {
        tier.faults(Fault::MissingFolder) > 1
    });
    std::fs::create_dir(&folder).unwrap();
    assert!(tier.wait_ready(LIMIT));
    put(&tier, "x", 1, 100).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    // The files that are open go on; the next one can't be made.
    put_until_refused(&tier, "n");
    wait_until(&tier, "it was told", |_| {
        tier.faults(Fault::MissingFolder) > 5
    });
    assert_eq!(get(&tier, "x"), Err(Miss::NotReady));
    std::fs::create_dir(&folder).unwrap();
    assert!(tier.wait_ready(LIMIT));
    put(&tier, "y", 1, 100).unwrap();
    assert_eq!(get(&tier, "y"), Ok((1, 100)));
    close(&tier);
}

#[test]
fn a_disk_that_breaks_is_left_and_comes_back_with_what_it_had() {
    let model = Model::default();
    let tier = open(&model);
    for number in 0..50 {
        put(&tier, &format!("n{number}"), 1, number * 50).unwrap();
    }
    model.trouble(Trouble {
        names: Some(ErrorKind::NotFound),
        writes: Some(ErrorKind::NotFound),
        reads: Some(ErrorKind::Other),
        ..Trouble::default()
    });
    assert_eq!(put(&tier, "x", 1, 100), Err(Refusal::WriteFailed));
    wait_until(&tier, "it was left", |count| !count.is_ready);
    assert_eq!(get(&tier, "n5"), Err(Miss::NotReady));
    assert_eq!(tier.count().fills, 0);
    model.trouble(Trouble::default());
    assert!(tier.wait_ready(LIMIT));
    for number in 0..50 {
        assert_eq!(get(&tier, &format!("n{number}")), Ok((1, number * 50)));
    }
    assert_eq!(tier.count().openings, 2);
}

#[test]
fn a_disk_that_is_full_gives_back_and_goes_on() {
    let model = Model::default();
    let tier = open(&model);
    for number in 0..100 {
        put(&tier, &format!("n{number}"), 1, 900).unwrap();
    }
    let bytes_max = Some(model.bytes() as usize + 5000);
    model.trouble(Trouble {
        bytes_max,
        ..Trouble::default()
    });
    assert_eq!(put_until_refused(&tier, "full"), Refusal::DiskFull);
    assert!(tier.faults(Fault::DiskFull) > 0);
    assert!(tier.is_ready(), "it goes on");
    // The oldest goes, and what comes is stored again; much fewer are refused than stored.
    let outcomes = (0..200).map(|number| put(&tier, &format!("again{number}"), 1, 900));
    let refused = outcomes.filter(Result::is_err).count();
    assert!(refused < 100, "{refused}: {:?}", tier.count());
    assert_eq!(tier.count().fills, 0);
    let mut whole = 0;
    for number in 0..200 {
        match get(&tier, &format!("again{number}")) {
            Ok(found) => assert_eq!(found, (1, 900)),
            Err(miss) => {
                assert_eq!(miss, Miss::Absent);
                continue;
            }
        }
        whole += 1;
    }
    assert!(whole > 10, "{whole}");
    model.trouble(Trouble::default());
    put(&tier, "x", 1, 3000).unwrap();
    let found = open(&model.copy()).count().objects;
    assert_eq!(found, tier.count().objects, "a start finds the same");
}

#[test]
fn a_disk_without_a_single_byte_refuses_and_stays_open() {
    let model = Model::default();
    model.trouble(Trouble {
        bytes_max: Some(0),
        ..Trouble::default()
    });
    let tier = open(&model);
    for number in 0..20 {
        assert_eq!(
            put(&tier, &format!("n{number}"), 1, 900),
            Err(Refusal::DiskFull)
        );
    }
    assert!(tier.is_ready());
    assert_eq!(tier.count().fills, 0);
    tier.save();
    close(&tier);
}

#[test]
fn a_read_that_fails_is_a_miss_once_and_told() {
    let model = Model::default();
    let tier = open(&model);
    put(&tier, "x", 1, 100).unwrap();
    model.trouble(Trouble {
        reads: Some(ErrorKind::Other),
        ..Trouble::default()
    });
    assert_eq!(get(&tier, "x"), Err(Miss::ReadFailed));
    model.trouble(Trouble::default());
    assert_eq!(get(&tier, "x"), Err(Miss::Absent), "it is forgotten");
    assert_eq!(tier.faults(Fault::ReadFailed), 1);
}

/// Every call comes back while the disk stands still; had one waited for it, this test would never end.
#[test]
fn a_disk_that_hangs_holds_nobody_up() {
    let model = Model::default();
    let settings = Settings {
        lookups_max: 20,
        ..settings()
    };
    let tier = open_with(&model, settings, Arc::default());
    for number in 0..30 {
        put(&tier, &format!("n{number}"), 1, 100).unwrap();
    }
    model.stall();
    let mut asked = Vec::new();
    let refused = (0..100).find_map(
        |number| match tier.find(key(&format!("n{}", number % 30))) {
            Look::Reading(ticket) => {
                asked.push(ticket);
                None
            }
            Look::Miss(miss) => Some(miss),
            Look::Following(_) => None,
        },
    );
    assert_eq!(refused, Some(Miss::QueueFull));
    assert!((20..=22).contains(&asked.len()), "{}", asked.len());
    let mut committed = Vec::new();
    let refused = (0..).find_map(|number| {
        let name = format!("more{number}");
        match tier.fill(head(&name, 1), None) {
            Ok(mut writer) => {
                if let Err(abandoned) = writer.write(&body(&name, 1, 5000)) {
                    return Some(abandoned.0);
                }
                committed.push((name, writer.commit()));
                None
            }
            Err(refusal) => Some(refusal),
        }
    });
    assert_eq!(refused, Some(Refusal::QueueFull));
    assert!(tier.count().queue_bytes <= 1 << 20);
    tier.remove(key("n1"), None);
    tier.save();
    drop(tier.walk(crate::Place::default(), 10));
    assert!(
        !tier.close(Duration::from_millis(20)),
        "that would wait, and says so"
    );
    model.go_on();
    let stored = committed.into_iter().map(|(_, ticket)| kept(ticket));
    assert!(stored.flatten().count() > 0, "what was admitted is stored");
}

#[test]
fn whoever_gives_up_waiting_leaves_no_work_behind() {
    let model = Model::default();
    let tier = open(&model);
    put(&tier, "x", 1, 100).unwrap();
    model.stall();
    for _ in 0..50 {
        drop(tier.find(key("x")));
    }
    model.go_on();
    wait_until(&tier, "all is given back", |count| {
        count.reads == 0 && count.bodies == 0
    });
    assert!(
        tier.count().found <= 2,
        "one a thread had begun: {:?}",
        tier.count().found
    );
}

#[test]
fn a_judge_that_panics_breaks_one_question() {
    let model = Model::default();
    let judge = |identity: &Identity, _: &Stamp| {
        assert_ne!(&*identity.path, "/bad", "as a test");
        false
    };
    let tier = Tier::open_on(Arc::new(model), settings(), Arc::new(judge)).unwrap();
    assert!(tier.wait_ready(LIMIT));
    put(&tier, "good", 1, 100).unwrap();
    for _ in 0..5 {
        assert_eq!(get(&tier, "good"), Ok((1, 100)));
    }
    // The thread that writes goes home; whoever waits is told.
    assert_eq!(put(&tier, "bad", 1, 100), Err(Refusal::Stopped));
    wait_until(&tier, "it is closed", |count| !count.is_ready);
    assert_eq!(put(&tier, "good", 2, 100), Err(Refusal::NotReady));
}

/// Everything that a round meets, in steps of so many records; an error: it did not come to an end.
fn round(tier: &Tier, records: usize) -> Result<Vec<crate::Walked>, Miss> {
    let mut place = Some(crate::Place::default());
    let mut steps = Vec::new();
    while let Some(from) = place {
        let walked = kept(tier.walk(from, records))?;
        place = walked.next;
        steps.push(walked);
    }
    Ok(steps)
}

#[test]
fn one_sector_that_can_not_be_read_does_not_keep_a_round_from_its_end() {
    for records in [1, 7, 1000] {
        let model = Model::default();
        let marks = Arc::new(Marks::default());
        let tier = open_with(&model, settings(), Arc::clone(&marks));
        for number in 0..10 {
            put(&tier, &format!("n{number}"), 1, 100).unwrap();
        }
        marks.purge("/n9");
        let [segment] = <[String; 1]>::try_from(model.segments()).unwrap();
        let bytes = model.read(&segment).len() as u64;
        // Within the fourth record, about.
        let at = bytes * 35 / 100;
        model.trouble(Trouble {
            unreadable: Some((at, at + 1)),
            ..Trouble::default()
        });
        let steps = round(&tier, records).expect("an end");
        let dead: usize = steps.iter().map(|walked| walked.dead).sum();
        let given_up: usize = steps.iter().map(|walked| walked.given_up).sum();
        assert_eq!((dead, given_up), (1, 1), "{records}: {steps:?}");
        assert!(steps.iter().all(|walked| walked.met <= records));
        let met: usize = steps.iter().map(|walked| walked.met).sum();
        assert_eq!(met, 9, "{records}: {steps:?}");
        assert_eq!(tier.faults(Fault::UnreadableRecord), 1);
        assert_eq!(tier.count().objects, 8);
        let left = (0..9).filter(|number| get(&tier, &format!("n{number}")) == Ok((1, 100)));
        assert_eq!(left.count(), 8);
        // What was given up stays so.
        close(&tier);
        model.trouble(Trouble::default());
        assert_eq!(open(&model.copy()).count().objects, 8);
    }
}

#[test]
fn a_disk_that_can_not_be_read_at_all_loses_little_to_a_round() {
    let model = Model::default();
    let tier = open(&model);
    for number in 0..300 {
        put(&tier, &format!("n{number}"), 1, 10).unwrap();
    }
    model.trouble(Trouble {
        reads: Some(ErrorKind::Other),
        ..Trouble::default()
    });
    for failed in 1..=2 {
        assert_eq!(round(&tier, 1000), Err(Miss::ReadFailed));
        let left = 300 - failed * crate::GIVEN_UP_MAX as u64;
        assert_eq!(tier.count().objects, left);
    }
    model.trouble(Trouble::default());
    round(&tier, 1000).unwrap();
}
