//! What version 1 wrote is read forever, and is what is written.

use super::*;
use crate::format::segment::FileName;

const SEGMENT: &[u8] = include_bytes!("segment.v1.bin");
const INDEX: &[u8] = include_bytes!("index.v1.bin");

fn write(tier: &Tier) {
    put(tier, "small", 1, 40).unwrap();
    put(tier, "empty", 2, 0).unwrap();
    put(tier, "large", 3, 2500).unwrap();
    put(tier, "removed", 4, 10).unwrap();
    tier.remove(key("removed"), None);
    let variant = KeyRef {
        primary: b"small",
        variance: Some([0xab; 16]),
    };
    let mut head = Head {
        key: variant.to_key(),
        ..head("variant", 5)
    };
    head.fetch.stamp.log = Some(latencify_conf::change::LogId(uuid::Uuid::from_u128(0x1234)));
    let mut writer = tier.fill(head, None).unwrap();
    writer.write(b"a variant").unwrap();
    kept(writer.commit()).unwrap();
}

fn check(tier: &Tier) {
    assert_eq!(get(tier, "small"), Ok((1, 40)));
    assert_eq!(get(tier, "empty"), Ok((2, 0)));
    assert_eq!(get(tier, "large"), Ok((3, 2500)));
    assert_eq!(get(tier, "removed"), Err(Miss::Absent));
    let variant = KeyRef {
        primary: b"small",
        variance: Some([0xab; 16]),
    };
    let Look::Reading(found) = tier.find(variant) else {
        panic!("the variant is not there");
    };
    let found = kept(found).unwrap();
    assert_eq!(
        found.inline().map(|body| &body[..]),
        Some(&b"a variant"[..])
    );
    assert_eq!(found.head().fetch.stamp.log.unwrap().0.as_u128(), 0x1234);
    assert_eq!(tier.count().objects, 4);
}

#[test]
fn version_1_is_read() {
    for with_index in [true, false] {
        let model = Model::default();
        model.write(&FileName::Segment(0).name(), SEGMENT);
        if with_index {
            model.write(&FileName::Snapshot.name(), INDEX);
        }
        let tier = open(&model);
        assert!(tier.count().faults.iter().all(|(_, met)| *met == 0));
        check(&tier);
    }
}

#[test]
fn what_is_written_is_version_1() {
    let model = Model::default();
    let tier = open(&model);
    write(&tier);
    check(&tier);
    close(&tier);
    let written = model.read(&FileName::Segment(0).name());
    if let Some(folder) = std::env::var_os("LATENCIFY_WRITE_GOLDEN") {
        // For a new version: the files of the old one stay, and are read.
        let folder = std::path::Path::new(&folder);
        std::fs::write(folder.join("segment.bin"), &written).unwrap();
        std::fs::write(folder.join("index.bin"), model.read("index")).unwrap();
    }
    assert!(
        written == SEGMENT,
        "the format has changed: it needs another version"
    );
    // Entries stand in no order.
    assert_eq!(model.read("index").len(), INDEX.len());
}
