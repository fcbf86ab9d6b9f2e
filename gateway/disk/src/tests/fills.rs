//! Followers of a body under way.

use super::*;
use crate::{Broken, FILLS_PER_KEY_MAX, Follower, WINDOW_BYTES_MAX};

fn follow(tier: &Tier, name: &str) -> Follower {
    match tier.find(key(name)) {
        Look::Following(follower) => follower,
        other => panic!("not under way: {other:?}"),
    }
}

fn read_to_end(follower: &mut Follower) -> Result<Vec<u8>, Broken> {
    let mut read = Vec::new();
    while let Some(piece) = block_on(follower.read())? {
        read.extend_from_slice(&piece);
    }
    Ok(read)
}

#[test]
fn followers_read_what_is_in_memory_and_what_is_on_disk() {
    let tier = open(&Model::default());
    let whole = body("x", 1, 10_000);
    let mut writer = tier.fill(head("x", 1), None).unwrap();
    let (first, rest) = whole.split_at(4500);
    writer.write(first).unwrap();
    let mut early = follow(&tier, "x");
    assert_eq!(early.body_bytes(), None);
    assert_eq!(early.head(), &head("x", 1));
    wait_until(&tier, "four chunks are on disk", |count| {
        count.queue_bytes < 2000
    });
    let mut late = follow(&tier, "x");
    let reading = std::thread::spawn(move || (read_to_end(&mut early), read_to_end(&mut late)));
    for piece in rest.chunks(333) {
        writer.write(piece).unwrap();
    }
    kept(writer.commit()).unwrap();
    let (early, late) = reading.join().unwrap();
    assert!(early.unwrap() == whole && late.unwrap() == whole);
    assert_eq!(get(&tier, "x"), Ok((1, 10_000)));
}

#[test]
fn a_follower_goes_to_an_offset() {
    let tier = open(&Model::default());
    let whole = body("x", 1, 5000);
    let mut writer = tier.fill(head("x", 1), Some(5000)).unwrap();
    writer.write(&whole[..3000]).unwrap();
    let mut follower = follow(&tier, "x");
    assert_eq!(follower.body_bytes(), Some(5000));
    follower.seek(1500, Some(4100));
    let reading = std::thread::spawn(move || read_to_end(&mut follower).unwrap());
    writer.write(&whole[3000..]).unwrap();
    assert!(reading.join().unwrap() == whole[1500..4100]);
}

#[test]
fn nothing_falls_between_the_end_of_a_fill_and_its_being_found() {
    let model = Model::default();
    let tier = open(&model);
    let mut writer = tier.fill(head("x", 1), Some(100)).unwrap();
    writer.write(&body("x", 1, 100)).unwrap();
    model.stall();
    let ticket = writer.commit();
    // It waits for the disk, and is read meanwhile.
    assert!(read_to_end(&mut follow(&tier, "x")).unwrap() == body("x", 1, 100));
    model.go_on();
    kept(ticket).unwrap();
    assert_eq!(get(&tier, "x"), Ok((1, 100)));
}

#[test]
fn a_writer_that_goes_away_breaks_the_body_off() {
    let tier = open(&Model::default());
    let mut writer = tier.fill(head("x", 1), None).unwrap();
    writer.write(&body("x", 1, 2000)).unwrap();
    let mut follower = follow(&tier, "x");
    drop(writer);
    assert_eq!(read_to_end(&mut follower), Err(Broken::Aborted));
    assert_eq!(get(&tier, "x"), Err(Miss::Absent));
    drop(follower);
    wait_until(&tier, "all is given back", |count| {
        count.queue_bytes == 0 && count.bodies == 0
    });
}

#[test]
fn a_body_of_another_length_is_never_whole() {
    let tier = open(&Model::default());
    let mut short = tier.fill(head("x", 1), Some(2000)).unwrap();
    short.write(&body("x", 1, 1999)).unwrap();
    let mut follower = follow(&tier, "x");
    assert_eq!(kept(short.commit()), Err(Refusal::WrongLength));
    assert_eq!(read_to_end(&mut follower), Err(Broken::WrongLength));
    let mut long = tier.fill(head("x", 1), Some(2000)).unwrap();
    let written = long.write(&body("x", 1, 2001));
    assert_eq!(written.unwrap_err().0, Refusal::WrongLength);
    assert_eq!(get(&tier, "x"), Err(Miss::Absent));
}

#[test]
fn a_newer_object_is_found_before_an_older_fill() {
    let tier = open(&Model::default());
    let older = tier.fill(head("x", 1), None).unwrap();
    put(&tier, "x", 2, 100).unwrap();
    assert_eq!(get(&tier, "x"), Ok((2, 100)));
    let newer = tier.fill(head("x", 3), None).unwrap();
    assert_eq!(follow(&tier, "x").head().fetch.generation, 3);
    drop((older, newer));
    assert_eq!(get(&tier, "x"), Ok((2, 100)));
}

#[test]
fn fills_of_a_key_have_a_bound() {
    let tier = open(&Model::default());
    let begin = || tier.fill(head("x", 1), None);
    let fills: Vec<_> = (0..FILLS_PER_KEY_MAX).map(|_| begin().unwrap()).collect();
    assert_eq!(begin().unwrap_err(), Refusal::TooManyFills);
    drop(fills);
    assert!(begin().is_ok());
}

#[test]
fn a_fill_that_the_disk_is_too_slow_for_goes_on_for_those_who_follow() {
    let model = Model::default();
    let tier = open(&model);
    let whole = body("x", 1, 60_000);
    put(&tier, "before", 1, 1).unwrap();
    model.stall();
    let mut writer = tier.fill(head("x", 1), Some(60_000)).unwrap();
    let mut follower = follow(&tier, "x");
    let mut others: Vec<_> = (0..40)
        .map(|number| tier.fill(head(&format!("o{number}"), 1), None).unwrap())
        .collect();
    writer.write(&whole[..1000]).unwrap();
    // The queue is full of others, which the disk does not take.
    let chunk = vec![0; 1024];
    'full: loop {
        for other in &mut others {
            if other.write(&chunk).is_err() {
                break 'full;
            }
        }
    }
    let mut read = Vec::new();
    for piece in whole[1000..].chunks(500) {
        writer.write(piece).unwrap();
        read.extend_from_slice(&block_on(follower.read()).unwrap().unwrap());
    }
    assert_eq!(writer.refused(), Some(Refusal::QueueFull));
    assert_eq!(kept(writer.commit()), Err(Refusal::QueueFull));
    read.extend(read_to_end(&mut follower).unwrap());
    assert!(read == whole);
    model.go_on();
    drop((others, follower));
    wait_until(&tier, "all is given back", |count| {
        count.queue_bytes == 0 && count.fills == 0
    });
}

/// Whether what runs out is the window of the body or the memory of all bodies that are not stored.
#[test]
fn who_stops_reading_a_refused_fill_cuts_off_nobody_else() {
    for queue_bytes_max in [1 << 20, 64 << 20] {
        let settings = Settings {
            queue_bytes_max,
            ..settings()
        };
        let tier = open_with(&Model::default(), settings, Arc::new(Marks::default()));
        let mut writer = tier.fill(head("x", 1), None).unwrap();
        writer.write(&body("x", 1, 5000)).unwrap();
        let (mut reads, mut stalled) = (follow(&tier, "x"), follow(&tier, "x"));
        assert!(block_on(stalled.read()).unwrap().is_some());
        writer.pass(Refusal::TooLarge);
        let most = WINDOW_BYTES_MAX.min(queue_bytes_max);
        let (mut written, mut read) = (5000, 0);
        while written < most + most / 8 {
            let piece = [7; 4096];
            writer.write(&piece).unwrap();
            written += piece.len() as u64;
            while read < written {
                read += block_on(reads.read()).unwrap().unwrap().len() as u64;
            }
        }
        assert!(tier.count().passing_bytes < most / 2, "{:?}", tier.count());
        assert_eq!(kept(writer.commit()), Err(Refusal::TooLarge));
        assert_eq!(block_on(reads.read()), Ok(None));
        assert_eq!(read_to_end(&mut stalled), Err(Broken::TooSlow));
    }
}

#[test]
fn what_is_declined_takes_what_was_before_it_along() {
    let tier = open(&Model::default());
    put(&tier, "x", 1, 100).unwrap();
    drop(tier.fill(head("x", 2), None).unwrap());
    assert_eq!(get(&tier, "x"), Ok((1, 100)), "that broke off");
    let later = tier.fill(head("x", 4), None).unwrap();
    let mut declined = tier.fill(head("x", 3), None).unwrap();
    declined.write(b"some of it").unwrap();
    declined.decline(Refusal::TooLarge);
    assert_eq!(tier.shared().index.len(), 0);
    kept(later.commit()).unwrap();
    assert_eq!(get(&tier, "x"), Ok((4, 0)));
}
