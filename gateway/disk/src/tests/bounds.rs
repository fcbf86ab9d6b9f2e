//! Bytes, objects, readers and what waits: all within their bounds, at all times.

use super::*;
use crate::{Fault, REWRITE_SHARE};

#[test]
fn bytes_on_disk_stay_within_their_bound_under_a_storm() {
    let model = Model::default();
    let tier = open(&model);
    let bytes_max = settings().bytes_max;
    let mut most = 0;
    for number in 0..1500_u64 {
        let name = format!("n{}", number % 700);
        let length = (number * 37 % 9000) as usize;
        put(&tier, &name, number + 1, length).unwrap();
        if number % 100 == 0 {
            tier.save();
        }
        most = most.max(model.bytes());
        assert!(most <= bytes_max, "{most} of {bytes_max} after {number}");
    }
    let count = tier.count();
    assert!(count.bytes <= bytes_max, "{count:?}");
    assert!(most > bytes_max / 2, "it is used: {most} of {bytes_max}");
    assert!(count.objects > 20 && count.evicted > 500, "{count:?}");
    assert_eq!(get(&tier, "n99"), Ok((1500, 1499 * 37 % 9000)), "the last");
    close(&tier);
    assert!(model.bytes() <= bytes_max);
}

#[test]
fn many_writers_at_once_stay_within_it_too() {
    let model = Model::default();
    let tier = Arc::new(open(&model));
    let writers: Vec<_> = (0..8_u64)
        .map(|thread| {
            let tier = Arc::clone(&tier);
            std::thread::spawn(move || {
                for number in 0..200 {
                    let name = format!("n{}", (number * 7 + thread * 3) % 60);
                    let generation = number * 8 + thread + 1;
                    let length = (number * 53 % 6000) as usize;
                    match put(&tier, &name, generation, length) {
                        Ok(())
                        | Err(
                            Refusal::Older
                            | Refusal::QueueFull
                            | Refusal::TooManyFills
                            | Refusal::TooSlow,
                        ) => {}
                        Err(refusal) => panic!("{refusal:?}"),
                    }
                    if let Look::Reading(ticket) = tier.find(key(&name)) {
                        // Whole, or gone meanwhile.
                        if let Ok(stored) = kept(ticket) {
                            let read = read_all(&stored);
                            let header = String::from_utf8(stored.head().header.to_vec()).unwrap();
                            let generation: u64 =
                                header.rsplit(' ').next().unwrap().parse().unwrap();
                            assert!(
                                read == body(&name, generation, read.len()),
                                "{name} is torn"
                            );
                        }
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    assert!(model.bytes() <= settings().bytes_max);
    wait_until(&tier, "all is given back", |count| {
        count.fills == 0 && count.bodies == 0 && count.queue_bytes == 0
    });
    assert_eq!(open(&model.copy()).count().objects, tier.count().objects);
}

#[test]
fn objects_have_a_bound_as_well() {
    let tier = open(&Model::default());
    for number in 0..3000 {
        put(&tier, &format!("n{number}"), 1, 1).unwrap();
        assert!(tier.count().objects <= settings().objects_max);
    }
    assert_eq!(get(&tier, "n2999"), Ok((1, 1)));
}

#[test]
fn what_is_asked_for_stays_and_writing_again_has_a_bound() {
    let model = Model::default();
    let tier = open(&model);
    // Together, less than is written again of a segment.
    for number in 0..4 {
        put(&tier, &format!("hot{number}"), 1, 100 + number * 200).unwrap();
    }
    for number in 0..1500_u64 {
        put(&tier, &format!("cold{number}"), 1, 900).unwrap();
        if number % 40 == 0 {
            for hot in 0..4 {
                assert!(
                    get(&tier, &format!("hot{hot}")).is_ok(),
                    "{hot} after {number}"
                );
            }
        }
    }
    assert_eq!(get(&tier, "cold0"), Err(Miss::Absent));
    let count = tier.count();
    assert!(count.rewritten_bytes > 0, "{count:?}");
    let share = count.written_bytes / u64::from(REWRITE_SHARE);
    assert!(count.rewritten_bytes <= share, "{count:?}");
    assert_eq!(open(&model.copy()).count().objects, count.objects);
}

#[test]
fn when_everything_is_asked_for_writing_again_has_its_bound_still() {
    let tier = open(&Model::default());
    for number in 0..1000_u64 {
        put(&tier, &format!("n{number}"), 1, 900).unwrap();
        for back in 0..60 {
            let _ = tier.find(key(&format!("n{}", number.saturating_sub(back))));
        }
    }
    let count = tier.count();
    assert!(count.rewritten_bytes > 0, "{count:?}");
    assert!(
        count.rewritten_bytes <= count.written_bytes / u64::from(REWRITE_SHARE),
        "{count:?}"
    );
}

#[test]
fn whoever_reads_what_is_evicted_reads_it_to_the_end() {
    let model = Model::default();
    let tier = open(&model);
    put(&tier, "large", 1, 9000).unwrap();
    let stored = find(&tier, "large").unwrap();
    assert_eq!(kept(stored.read(0, u64::MAX)).unwrap().len(), 1024);
    for number in 0..1500 {
        put(&tier, &format!("n{number}"), 1, 900).unwrap();
        assert!(model.bytes() <= settings().bytes_max);
    }
    assert_eq!(get(&tier, "large"), Err(Miss::Absent));
    assert!(read_all(&stored) == body("large", 1, 9000));
    assert!(
        model.names().iter().any(|name| name.contains(".dead")),
        "{:?}",
        model.names()
    );
    drop(stored);
    put(&tier, "x", 1, 1).unwrap();
    wait_until(&tier, "it is deleted", |_| {
        !model.names().iter().any(|name| name.contains(".dead"))
    });
}

#[test]
fn readers_that_hold_everything_keep_new_objects_out_and_not_the_bound() {
    let model = Model::default();
    let tier = open(&model);
    let mut held = Vec::new();
    let refusal = (0..5000).find_map(|number| {
        let name = format!("n{number}");
        match put(&tier, &name, 1, 3000) {
            Ok(()) => held.push((name.clone(), find(&tier, &name).unwrap())),
            Err(refusal) => return Some(refusal),
        }
        assert!(model.bytes() <= settings().bytes_max, "{number}");
        None
    });
    assert_eq!(refusal, Some(Refusal::NoRoom));
    for (name, stored) in &held {
        assert!(read_all(stored) == body(name, 1, 3000), "{name}");
    }
    held.clear();
    put(&tier, "x", 1, 3000).unwrap();
    assert_eq!(get(&tier, "x"), Ok((1, 3000)));
    assert_eq!(tier.faults(Fault::WriteFailed), 0);
}

#[test]
fn bodies_that_are_read_at_once_have_a_bound() {
    let settings = Settings {
        bodies_max: 3,
        ..settings()
    };
    let tier = open_with(&Model::default(), settings, Arc::default());
    put(&tier, "x", 1, 3000).unwrap();
    let held: Vec<_> = (0..3).map(|_| find(&tier, "x").unwrap()).collect();
    assert_eq!(find(&tier, "x").err(), Some(Miss::TooManyReaders));
    drop(held);
    assert_eq!(get(&tier, "x"), Ok((1, 3000)));
}

#[test]
fn a_fill_that_takes_longer_than_the_log_is_refused() {
    let tier = open(&Model::default());
    let mut slow = tier.fill(head("slow", 1), Some(3000)).unwrap();
    slow.write(&body("slow", 1, 3000)[..2000]).unwrap();
    for number in 0..1500 {
        put(&tier, &format!("n{number}"), 1, 900).unwrap();
    }
    slow.write(&body("slow", 1, 3000)[2000..]).unwrap();
    assert_eq!(kept(slow.commit()), Err(Refusal::TooSlow));
    assert_eq!(get(&tier, "slow"), Err(Miss::Absent));
}
