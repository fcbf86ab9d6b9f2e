//! Whatever happens to the bytes on disk, what is found is what was stored.

use super::*;
use crate::{Broken, Fault};

const SIZES: [(&str, usize); 5] = [("a", 40), ("b", 1100), ("c", 0), ("d", 500), ("e", 2100)];

/// A closed tier of one segment.
fn small() -> (Model, String) {
    let model = Model::default();
    let tier = open(&model);
    for (name, length) in SIZES {
        put(&tier, name, 1, length).unwrap();
    }
    tier.remove(key("c"), None);
    close(&tier);
    let [segment] = <[String; 1]>::try_from(model.segments()).unwrap();
    (model, segment)
}

/// Every object is whole or a miss; how many are whole.
fn check(model: &Model, what: impl Fn() -> String) -> usize {
    let tier = open(model);
    let mut whole = 0;
    for (name, length) in SIZES {
        match get(&tier, name) {
            Ok(found) => {
                assert_eq!(found, (1, length), "{}", what());
                assert_ne!(name, "c", "a removed object is back: {}", what());
                whole += 1;
            }
            Err(Miss::Absent | Miss::Damaged | Miss::Evicted) => {}
            Err(miss) => panic!("{miss:?}: {}", what()),
        }
    }
    whole
}

#[test]
fn a_segment_cut_off_at_any_byte_is_whole_up_to_there() {
    let (model, segment) = small();
    let bytes = model.read(&segment);
    for with_snapshot in [true, false] {
        let mut most = 0;
        for length in 0..=bytes.len() {
            let model = model.copy();
            model.write(&segment, &bytes[..length]);
            if !with_snapshot {
                model.remove_file("index");
                // The removal stands behind what it removes, and may be what is lost.
                let tier = open(&model);
                let found = SIZES
                    .iter()
                    .filter(|(name, length)| match get(&tier, name) {
                        Ok(found) => found == (1, *length) || panic!("{found:?}"),
                        Err(_) => false,
                    })
                    .count();
                assert!(found >= most.min(4), "cut at {length}");
                most = most.max(found);
                continue;
            }
            let found = check(&model, || format!("cut at {length}"));
            assert!(found >= most, "cut at {length}: {found} after {most}");
            most = found;
        }
        assert!(most >= 4, "{most}");
    }
}

#[test]
fn a_bit_flipped_anywhere_costs_one_object() {
    let (model, segment) = small();
    let bytes = model.read(&segment);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let model = model.copy();
        model.write(&segment, &flipped);
        let found = check(&model, || format!("flipped at {at}"));
        let in_head = at < crate::format::SEGMENT_HEAD_BYTES as usize;
        assert!(found >= 3 || in_head, "flipped at {at}: {found} left");
    }
}

#[test]
fn a_bit_flipped_anywhere_without_a_snapshot_never_tears() {
    let (model, segment) = small();
    model.remove_file("index");
    let bytes = model.read(&segment);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let model = model.copy();
        model.write(&segment, &flipped);
        let tier = open(&model);
        let mut found = 0;
        for (name, length) in SIZES {
            match get(&tier, name) {
                Ok(got) => assert_eq!(got, (1, length), "flipped at {at}"),
                Err(_) => continue,
            }
            found += 1;
        }
        let in_head = at < crate::format::SEGMENT_HEAD_BYTES as usize;
        assert!(found >= 3 || in_head, "flipped at {at}: {found} left");
    }
}

#[test]
fn frames_in_another_place_or_of_another_segment_are_not_believed() {
    let (model, segment) = small();
    let bytes = model.read(&segment);
    let head = crate::format::SEGMENT_HEAD_BYTES as usize;
    for shift in [1, 8, 24, 100] {
        let mut moved = bytes[..head].to_vec();
        moved.resize(head + shift, 0);
        moved.extend_from_slice(&bytes[head..]);
        let model = model.copy();
        model.write(&segment, &moved);
        assert_eq!(check(&model, || format!("moved by {shift}")), 0);
        model.remove_file("index");
        assert_eq!(open(&model).count().objects, 0, "moved by {shift}");
    }
    // The blocks of one file under the head of another, which has the same name.
    let (other, _) = small();
    let tier = open(&other);
    drop(tier);
    let mut mixed = SegmentHeadOf(77).encode();
    mixed.extend_from_slice(&bytes[head..]);
    model.write(&segment, &mixed);
    assert_eq!(check(&model, || "mixed".to_owned()), 0);
}

/// The head of segment 0 with another nonce.
struct SegmentHeadOf(u64);

impl SegmentHeadOf {
    fn encode(&self) -> Vec<u8> {
        crate::format::SegmentHead {
            number: 0,
            nonce: self.0,
        }
        .encode()
    }
}

#[test]
fn damage_behind_the_index_is_a_miss_once_and_told() {
    let model = Model::default();
    let tier = open(&model);
    put(&tier, "small", 1, 100).unwrap();
    put(&tier, "large", 1, 3000).unwrap();
    let [segment] = <[String; 1]>::try_from(model.segments()).unwrap();
    let mut bytes = model.read(&segment);
    for byte in &mut bytes[28..] {
        *byte ^= 0x55;
    }
    model.write(&segment, &bytes);
    for name in ["small", "large"] {
        assert_eq!(get(&tier, name), Err(Miss::Damaged));
        assert_eq!(get(&tier, name), Err(Miss::Absent), "it is forgotten");
    }
    assert_eq!(tier.faults(Fault::DamagedRecord), 2);
    // And the tier goes on.
    put(&tier, "small", 2, 100).unwrap();
    assert_eq!(get(&tier, "small"), Ok((2, 100)));
}

#[test]
fn a_damaged_chunk_is_found_before_an_answer_begins() {
    let model = Model::default();
    let tier = open(&model);
    put(&tier, "large", 1, 5000).unwrap();
    close(&tier);
    let [segment] = <[String; 1]>::try_from(model.segments()).unwrap();
    let mut bytes = model.read(&segment);
    // In the fourth chunk.
    bytes[28 + 3 * 1048 + 500] ^= 1;
    model.write(&segment, &bytes);
    let tier = open(&model);
    let stored = find(&tier, "large").unwrap();
    assert!(!stored.is_proven(), "nobody has looked in this run");
    assert_eq!(kept(stored.prove()), Err(Miss::Damaged));
    assert_eq!(kept(stored.read(3500, u64::MAX)), Err(Broken::Damaged));
    assert_eq!(get(&tier, "large"), Err(Miss::Absent));
    drop(stored);
    put(&tier, "large", 2, 5000).unwrap();
    assert!(
        find(&tier, "large").unwrap().is_proven(),
        "written in this run"
    );
}

/// A tier with a large body of an earlier run.
fn with_large(model: &Model) -> Tier {
    let earlier = open(model);
    put(&earlier, "large", 1, 5000).unwrap();
    close(&earlier);
    open(model)
}

#[test]
fn a_proof_is_given_once_a_run() {
    let model = Model::default();
    let tier = with_large(&model);
    let stored = find(&tier, "large").unwrap();
    kept(stored.prove()).unwrap();
    assert!(find(&tier, "large").unwrap().is_proven());
}

#[test]
fn whoever_waits_for_a_proof_waits_for_the_same() {
    let model = Model::default();
    let tier = with_large(&model);
    let stored: Vec<_> = (0..8).map(|_| find(&tier, "large").unwrap()).collect();
    model.stall();
    let mut proofs: Vec<_> = stored.iter().map(Stored::prove).collect();
    assert_eq!(tier.shared().proofs.len(), 1);
    assert!(tier.count().reads <= 1, "{:?}", tier.count());
    // Those who go away take it from nobody, and it is brought to its end when all have gone.
    proofs.truncate(1);
    drop(stored);
    assert_eq!(tier.shared().bodies(), 1, "the proof has a place");
    drop(proofs);
    model.go_on();
    wait_until(&tier, "it goes on", |_| tier.shared().proofs.len() == 0);
    assert!(find(&tier, "large").unwrap().is_proven());
    wait_until(&tier, "its place is free", |count| count.bodies == 0);
}

#[test]
fn what_waits_for_a_proof_is_told_when_the_tier_closes() {
    let model = Model::default();
    let tier = with_large(&model);
    let stored = find(&tier, "large").unwrap();
    model.stall();
    let proofs = [stored.prove(), stored.prove(), stored.prove_part(0, 1)];
    drop(tier);
    model.go_on();
    for proof in proofs {
        assert_eq!(kept(proof), Err(Miss::Stopped));
    }
}
