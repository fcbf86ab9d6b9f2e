//! What was written once is read for ever: a log is never migrated. These lines were written by version 1 of the format;
//! a test here that fails says that a log of today can no longer be read, or that edges would no longer agree on it.

use super::*;
use crate::link::chain;

/// Lines are only ever added; none is changed.
const WRITTEN: &str = include_str!("entry.v1.jsonl");

/// The chain before the first line and after each, at epochs 2, 4, 6 … Computed apart from this code.
const CHAIN: [&str; 19] = [
    "sha256:345f7c69955de6f5a66a7299f7a4970be4072b071742ec797869a55fa673a7f4",
    "sha256:0cc3cf4f9f2ef663974fcead3f15db4db30badb991ae64d694bec8c25b4e8b2a",
    "sha256:378a3bb2d126f22dabf8f59c127806d8269b2946368daa6177d1594f1b3e262d",
    "sha256:31fca2521d9e01148427fc3d86c11842fa43013653dba3e5590340c17d21e1c7",
    "sha256:a7d35dd2f074cf2d8336946b682ab5243b81a9ba09bb725d18d924b4aff40742",
    "sha256:0078a9b80cfee143c489ac41dc785854316d916a62834f92f265adac32e1a218",
    "sha256:e6509c39469477580fe7711f4ac911a600a57556286e0661733518b9c3894f24",
    "sha256:dadf041d15cea9784ef7eb598193da456b6e3f2487f696bba71d267b05173406",
    "sha256:3d056ff51806da4a438834c41e7589dc6201c59187086b6f696c21fd17acb5f8",
    "sha256:2e6a8ba1321184a635cfd56ab4bce974777cf6cc722631887fba85e1ef6c24c9",
    "sha256:2ce714804e9fd0b11d43ae51e8580924d1410cf842ceaca953ffeb70760669dc",
    "sha256:f52c4823b91269f36e36352a49eeaa2f48eec7497610b543a16392291a05bf1d",
    "sha256:25c29091ee95ccd0236b3920be891a60520147ba1ec87b1790a5a7ad635edda3",
    "sha256:6b05558b1a15020f2a18c8ffc0b33490876c20e330b1adcb2bb0c5890fe30f10",
    "sha256:6a8ff3acbfee65f97b5d9e8f761a572ee502971cdf828250143f4d193e9b4f15",
    "sha256:eb4bd329aaee6f8c2a3d6442db8181fba4bbf14cf0e281854e54b659574e7757",
    "sha256:50e6c7e1df347d9715c2a10a70eff5a2656f23f286a2f3b1a27ca04df036dc59",
    "sha256:ff06b02c48a654b3e20fc3aec70dd9aa8f581f87cf56b5402bf1131c3b577e3e",
    "sha256:8b663245fb4137de59fc6ebbba174e1ebf1d9ef1c5f240dedc7257df9af41a71",
];

const LOG: LogId = LogId(uuid(0xaa));
const PARIS: ProcessId = ProcessId(uuid(0xb1));
const TOKYO: ProcessId = ProcessId(uuid(0xb2));
const REPLICA: ReplicaId = ReplicaId(uuid(0xc1));

const fn uuid(last: u128) -> Uuid {
    Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0000 | last)
}

fn digest(text: &str) -> Digest {
    format!("sha256:{}", text.repeat(2)).parse().unwrap()
}

fn entry(number: u8, by: &str, change: Change) -> Entry {
    let at = OffsetDateTime::from_unix_timestamp(1_795_395_722 + i64::from(number)).unwrap();
    Entry {
        id: uuid(number.into()),
        key: None,
        request: None,
        by: by.to_owned(),
        at,
        change,
    }
}

fn announced(number: u8, replaces: Replaces, unread_max_ms: Option<u64>) -> Entry {
    let change = Change::ReplicaJoined {
        replica: REPLICA,
        name: "control-1".to_owned(),
        store: StoreRef {
            kind: StoreKind::Sqlite,
            id: StoreId(uuid(0xd1)),
        },
        version: "0.1.0".to_owned(),
        replaces: Some(replaces),
        unread_max_ms,
    };
    entry(number, "control", change)
}

/// What the lines say, in their order.
fn meant() -> Vec<Entry> {
    let bundle = digest("00112233445566778899aabbccddeeff");
    let policy = |sites: &[&str], base, message: &str| Change::Policy {
        digest: bundle,
        sites: sites.iter().map(|&site| site.to_owned()).collect(),
        base,
        message: message.to_owned(),
    };
    let joined = |process, edge: &str, about: &[(&str, &str)]| Change::EdgeJoined {
        process,
        edge: edge.to_owned(),
        about: about
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        replica: None,
    };
    let every_target = vec![
        Target::Url {
            site: SiteId(1),
            path: "/a%20b".to_owned(),
        },
        Target::Prefix {
            site: SiteId(1),
            path: "/".to_owned(),
        },
        Target::Tag {
            site: SiteId(2),
            tag: "product:17".to_owned(),
        },
        Target::Site {
            site: SiteId(u64::MAX),
        },
        Target::All,
    ];
    let from_event = Change::Purge {
        mode: Mode::Hard,
        targets: every_target,
        event: Some(EventId {
            source: "//cms".to_owned(),
            id: "42".to_owned(),
        }),
        seen: None,
    };
    let soft = Change::Purge {
        mode: Mode::Soft,
        targets: vec![Target::All],
        event: None,
        seen: None,
    };
    let left = |process, why| Change::EdgeLeft {
        process,
        why,
        replica: None,
    };
    let about_paris = [("place", "48.85,2.35"), ("version", "0.1.0")];

    let mut first = entry(
        2,
        "token:default",
        policy(&["blog", "shop"], Some(Revision(1)), "Straße → shop"),
    );
    first.key = Some("api/first".to_owned());
    first.request = Some(digest("ffeeddccbbaa99887766554433221100"));
    first.at += time::Duration::milliseconds(500);
    let mut event = entry(4, "event:cms", from_event);
    event.key = Some("event/cms".to_owned());
    vec![
        entry(
            1,
            "control",
            Change::LogCreated {
                log: LOG,
                from: None,
            },
        ),
        first,
        entry(3, "token:default", policy(&[], None, "")),
        event,
        entry(5, "token:default", soft),
        entry(6, "edge:paris", joined(PARIS, "paris", &about_paris)),
        entry(7, "edge:tokyo", joined(TOKYO, "tokyo", &[])),
        entry(8, "edge:paris", left(PARIS, LeaveReason::Stopped)),
        entry(9, "token:default", left(TOKYO, LeaveReason::Removed)),
        entry(
            10,
            "control",
            Change::LogCreated {
                log: LogId(uuid(0xab)),
                from: Some(Moved {
                    log: LOG,
                    entries: 8,
                }),
            },
        ),
        entry(
            11,
            "control",
            Change::ReplicaJoined {
                replica: REPLICA,
                name: "control-1".to_owned(),
                store: StoreRef {
                    kind: StoreKind::Sqlite,
                    id: StoreId(uuid(0xd1)),
                },
                version: "0.1.0".to_owned(),
                replaces: None,
                unread_max_ms: None,
            },
        ),
        entry(
            12,
            "control",
            Change::ReplicaLeft {
                replica: REPLICA,
                why: LeaveReason::Stopped,
            },
        ),
        entry(
            13,
            "control",
            Change::LogMoved {
                log: LOG,
                after: Epoch(24),
                to: MovedTo {
                    log: LogId(uuid(0xac)),
                    place: "the topic new.changes on kafka:9092".to_owned(),
                    flags: "--data d --kafka kafka:9092 --kafka-prefix new".to_owned(),
                },
            },
        ),
        entry(
            14,
            "token:default",
            Change::EdgeLeft {
                process: PARIS,
                why: LeaveReason::Removed,
                replica: Some(REPLICA),
            },
        ),
        entry(
            15,
            "edge:paris",
            Change::EdgeJoined {
                process: PARIS,
                edge: "paris".to_owned(),
                about: BTreeMap::new(),
                replica: Some(REPLICA),
            },
        ),
        announced(16, Replaces::Nobody, None),
        announced(17, Replaces::Run(REPLICA), Some(120_000)),
        entry(18, "control", Change::ReplicaAlone { replica: REPLICA }),
    ]
}

#[test]
fn entries_of_version_1_are_read_and_still_written_so() {
    let meant = meant();
    assert_eq!(WRITTEN.lines().count(), meant.len());
    for (line, meant) in WRITTEN.lines().zip(meant) {
        let read = Entry::decode(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(read, meant, "{line}");
        let again = String::from_utf8(meant.encode().unwrap()).unwrap();
        assert_eq!(again, line, "an older reader would meet another form");
    }
}

#[test]
fn an_unknown_kind_or_field_of_a_change_is_refused() {
    let known = WRITTEN.lines().next().unwrap();
    for (from, to) in [
        ("log_created", "log_burned"),
        ("\"log\":", "\"more\":1,\"log\":"),
    ] {
        let line = known.replace(from, to);
        assert_ne!(line, known);
        assert!(
            matches!(
                Entry::decode(line.as_bytes()),
                Err(EntryError::NotUnderstood(_))
            ),
            "{line}"
        );
    }
}

#[test]
fn the_chain_over_them_never_changes() {
    let mut position = chain::genesis(LOG);
    let mut chained = vec![position.hash.to_string()];
    for (line, number) in WRITTEN.lines().zip(1..) {
        position = chain::extend(&position, Epoch(2 * number), line.as_bytes());
        chained.push(position.hash.to_string());
    }
    assert_eq!(chained, CHAIN);
}
