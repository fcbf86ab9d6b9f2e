//! What was written once is read for ever: a log is never migrated. These lines were written by version 1 of the format;
//! a test here that fails says that a log of today can no longer be read, or that edges would no longer agree on it.

mod hashes;

use super::*;
use crate::link::chain;
use hashes::CHAIN;

/// Lines are only ever added; none is changed.
const WRITTEN: &str = include_str!("entry.v1.jsonl");

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

fn announced(
    number: u8,
    replaces: Replaces,
    unread_max_ms: Option<u64>,
    lease_ms: Option<u64>,
) -> Entry {
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
        lease_ms,
    };
    entry(number, "control", change)
}

fn plan() -> Plan {
    Plan {
        stages: vec![
            Stage::Edges(vec!["paris".to_owned()]),
            Stage::Labels([("tier".to_owned(), "test".to_owned())].into()),
            Stage::Percent(10),
            Stage::Percent(100),
        ],
        soak_ms: 300_000,
        deadline_ms: 120_000,
        gates: Gates {
            errors_ppm_max: Some(10_000),
            hits_ppm_min: Some(500_000),
            p99_ms_max: Some(250),
            requests_min: 100,
        },
    }
}

fn stepped(number: u8, by: &str, step: u32, to: RolloutStep) -> Entry {
    let revision = Revision(4);
    entry(number, by, Change::RolloutStepped { revision, step, to })
}

fn key_added(
    number: u8,
    kid: &str,
    purpose: KeyUse,
    octet: u8,
    vouched_by: Option<VouchedBy>,
) -> Entry {
    let change = Change::KeyAdded {
        kid: kid.to_owned(),
        purpose,
        public_key: Octets([octet; 32]),
        vouched_by,
    };
    entry(number, "user:ada", change)
}

fn revoked(number: u8, what: Revoked) -> Entry {
    let change = Change::Revoked {
        what,
        before_ms: 1_795_395_722_000,
        until_ms: 1_795_396_382_000,
    };
    entry(number, "user:ada", change)
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
                lease_ms: None,
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
        announced(16, Replaces::Nobody, None, None),
        announced(17, Replaces::Run(REPLICA), Some(120_000), None),
        entry(18, "control", Change::ReplicaAlone { replica: REPLICA }),
        announced(19, Replaces::Nobody, None, Some(10_000)),
        entry(
            20,
            "token:default",
            Change::RolloutStarted {
                digest: bundle,
                sites: vec!["shop".to_owned()],
                base: Some(Revision(3)),
                message: "canary".to_owned(),
                plan: plan(),
            },
        ),
        stepped(21, "rollout", 0, RolloutStep::Stage(1)),
        stepped(22, "user:ada", 1, RolloutStep::Pause),
        entry(
            23,
            "rollout",
            Change::RolloutEnded {
                revision: Revision(4),
                step: 2,
                why: RolloutEnd::Returned(GateFailure::new(
                    Gate::Errors5xx,
                    "paris",
                    "50.0% (60 of 120 requests with 5xx)".to_owned(),
                    "at most 1%".to_owned(),
                )),
            },
        ),
        entry(
            24,
            "user:ada",
            Change::RolloutEnded {
                revision: Revision(5),
                step: 0,
                why: RolloutEnd::Promoted,
            },
        ),
        entry(
            25,
            "user:ada",
            Change::SecretChanged {
                name: "origin-key".to_owned(),
                version: 3,
            },
        ),
        entry(
            26,
            "user:ada",
            Change::SecretRemoved {
                name: "origin-key".to_owned(),
                seen: Revision(4),
            },
        ),
        key_added(27, "t01", KeyUse::Tokens, 1, None),
        key_added(
            28,
            "p02",
            KeyUse::Policies,
            2,
            Some(VouchedBy {
                kid: "p01".to_owned(),
                signature: Octets([3; 64]),
            }),
        ),
        entry(
            29,
            "user:ada",
            Change::KeyRetired {
                kid: "t01".to_owned(),
            },
        ),
        revoked(30, Revoked::Token(uuid(0xe1))),
        revoked(31, Revoked::Family(uuid(0xe2))),
        revoked(32, Revoked::Subject("alice".to_owned())),
        revoked(33, Revoked::Everybody),
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
