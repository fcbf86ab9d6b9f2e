use super::*;
use crate::{
    change::{Change, LogId, Mode, Target as PurgeTarget},
    link::replica::{Accepted, Action as Answer, Admission, Replica, Terms},
};
use proptest::prelude::*;
use time::OffsetDateTime;
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(2);

/// A log and its accepted entries, one purge each.
struct Log {
    positions: Vec<Position>,
    entries: Vec<Bytes>,
}

impl Log {
    /// `entries` purges at the epochs 10, 20, 30 …: epochs are not gapless.
    fn new(number: u128, entries: u64) -> Self {
        let mut positions = vec![chain::genesis(LogId(Uuid::from_u128(number)))];
        let mut bytes = Vec::new();
        for n in 1..=entries {
            let entry = Entry {
                id: Uuid::from_u128(n.into()),
                key: None,
                request: None,
                by: "test".into(),
                at: OffsetDateTime::UNIX_EPOCH,
                change: Change::Purge {
                    mode: Mode::Hard,
                    targets: vec![PurgeTarget::Site { site: SiteId(n) }],
                    event: None,
                },
            };
            let entry = Bytes::from(entry.encode().unwrap());
            positions.push(chain::extend(
                positions.last().unwrap(),
                Epoch(n * 10),
                &entry,
            ));
            bytes.push(entry);
        }
        Self {
            positions,
            entries: bytes,
        }
    }

    /// The delivery of the n-th entry, from 1.
    fn delivery(&self, n: usize) -> message::Delivery {
        let (previous, position) = (&self.positions[n - 1], &self.positions[n]);
        message::Delivery {
            previous_epoch: previous.epoch.0,
            previous_hash: Bytes::copy_from_slice(&previous.hash.0),
            epoch: position.epoch.0,
            hash: Bytes::copy_from_slice(&position.hash.0),
            entry: self.entries[n - 1].clone(),
        }
    }
}

fn to(message: To) -> message::ToEdge {
    message::ToEdge {
        message: Some(message),
    }
}

fn welcome(start: &Position, reset: bool) -> message::Welcome {
    message::Welcome {
        start: Some(write_position(start)),
        reset,
        lease_ms: LEASE.as_millis() as u32,
        heartbeat_ms: HEARTBEAT.as_millis() as u32,
        replica: "one".into(),
    }
}

fn new_link() -> EdgeLink {
    EdgeLink::new(Introduction {
        edge: "paris".into(),
        process: ProcessId(Uuid::from_u128(7)),
        version: "0.1.0".into(),
        about: Vec::new(),
    })
}

/// A live link that obeys the first `obeyed` entries of the log.
fn live(log: &Log, obeyed: usize) -> EdgeLink {
    let mut link = new_link();
    link.connected(Duration::ZERO);
    let start = &log.positions[0];
    assert_eq!(
        resets(&link.receive(to(To::Welcome(welcome(start, true))), Duration::ZERO)),
        [*start]
    );
    link.applied(start);
    for n in 1..=obeyed {
        let actions = link.receive(to(To::Delivery(log.delivery(n))), Duration::ZERO);
        assert_eq!(applies(&actions), [log.positions[n]]);
        assert_eq!(
            acks(&link.applied(&log.positions[n])),
            [log.positions[n].epoch.0]
        );
    }
    link
}

fn resets(actions: &[Action]) -> Vec<Position> {
    let resets = actions.iter().map(|action| {
        if let Action::Reset { start } = action {
            Some(*start)
        } else {
            None
        }
    });
    resets.flatten().collect()
}

fn applies(actions: &[Action]) -> Vec<Position> {
    let applies = actions.iter().map(|action| {
        if let Action::Apply { position, .. } = action {
            Some(*position)
        } else {
            None
        }
    });
    applies.flatten().collect()
}

fn sent(actions: &[Action]) -> Vec<From> {
    let sent = actions.iter().map(|action| {
        if let Action::Send(message) = action {
            message.message.clone()
        } else {
            None
        }
    });
    sent.flatten().collect()
}

fn acks(actions: &[Action]) -> Vec<u64> {
    sent(actions)
        .iter()
        .filter_map(|from| {
            if let From::Ack(ack) = from {
                Some(ack.epoch)
            } else {
                None
            }
        })
        .collect()
}

fn beats(actions: &[Action]) -> Vec<u64> {
    let sequence = |from: &From| {
        if let From::Heartbeat(beat) = from {
            Some(beat.sequence)
        } else {
            None
        }
    };
    sent(actions).iter().filter_map(sequence).collect()
}

fn fault(actions: &[Action]) -> &'static str {
    match actions {
        [Action::Disconnect(fault)] => {
            assert!(Fault::NAMES.contains(&fault.as_str()));
            fault.as_str()
        }
        _ => panic!("no fault: {actions:?}"),
    }
}

#[test]
fn hello_names_what_the_edge_obeys_and_a_welcome_continues_there() {
    let log = Log::new(1, 3);
    let mut link = new_link();
    let hello = |actions: &[Action]| match &sent(actions)[..] {
        [From::Hello(hello)] => (
            hello.protocol,
            hello.position.as_ref().and_then(read_position),
        ),
        other => panic!("{other:?}"),
    };
    assert_eq!(hello(&link.connected(Duration::ZERO)), (PROTOCOL, None));
    let mut link = live(&log, 2);
    link.disconnected();
    assert_eq!(
        hello(&link.connected(Duration::ZERO)),
        (PROTOCOL, Some(log.positions[2]))
    );
    let actions = link.receive(
        to(To::Welcome(welcome(&log.positions[2], false))),
        Duration::ZERO,
    );
    assert_eq!(resets(&actions), []);
    assert!(
        matches!(&sent(&actions)[..], [From::Policy(_), From::Heartbeat(_)]),
        "{actions:?}"
    );
    let actions = link.receive(to(To::Delivery(log.delivery(3))), Duration::ZERO);
    assert_eq!(applies(&actions), [log.positions[3]]);
}

#[test]
fn a_welcome_that_does_not_fit_is_refused() {
    let (ours, other) = (Log::new(1, 3), Log::new(2, 3));
    let forged = Position {
        hash: other.positions[2].hash,
        ..ours.positions[2]
    };
    let good = welcome(&ours.positions[2], false);
    let cases = [
        (
            "before it",
            welcome(&ours.positions[1], false),
            "wrong_start",
        ),
        (
            "after it",
            welcome(&ours.positions[3], false),
            "wrong_start",
        ),
        ("another hash", welcome(&forged, false), "wrong_start"),
        (
            "another log",
            welcome(&other.positions[2], false),
            "wrong_start",
        ),
        (
            "no start",
            message::Welcome {
                start: None,
                ..good.clone()
            },
            "malformed",
        ),
        (
            "an empty start",
            message::Welcome {
                start: Some(message::Position::default()),
                ..good.clone()
            },
            "malformed",
        ),
        (
            "no heartbeats",
            message::Welcome {
                heartbeat_ms: 0,
                ..good.clone()
            },
            "malformed",
        ),
        (
            "a lease shorter than a heartbeat",
            message::Welcome {
                lease_ms: 1,
                ..good.clone()
            },
            "malformed",
        ),
        (
            "a lease for ever",
            message::Welcome {
                lease_ms: u32::MAX,
                ..good
            },
            "malformed",
        ),
    ];
    for (name, welcome, expected) in cases {
        let mut link = live(&ours, 2);
        link.disconnected();
        link.connected(Duration::ZERO);
        assert_eq!(
            fault(&link.receive(to(To::Welcome(welcome)), Duration::ZERO)),
            expected,
            "{name}"
        );
        assert_eq!(
            link.obeyed(),
            Some(ours.positions[2]),
            "{name}: the position stays"
        );
        assert!(!link.is_live(), "{name}");
    }
    let mut link = new_link();
    link.connected(Duration::ZERO);
    let actions = link.receive(
        to(To::Welcome(welcome(&ours.positions[0], false))),
        Duration::ZERO,
    );
    assert_eq!(
        fault(&actions),
        "wrong_start",
        "an edge that obeys nothing can't continue"
    );
}

#[test]
fn a_delivery_that_does_not_extend_the_chain_is_refused_whole() {
    let (ours, other) = (Log::new(1, 4), Log::new(2, 4));
    let good = ours.delivery(3);
    let flip = |bytes: &Bytes| {
        let mut bytes = bytes.to_vec();
        bytes[0] ^= 1;
        Bytes::from(bytes)
    };
    // Valid on the chain, but of a kind that this version does not know.
    let unknown = Bytes::from_static(br#"{"id":"00000000-0000-0000-0000-000000000000","by":"x","at":"1970-01-01T00:00:00Z","change":{"kind":"new"}}"#);
    let chained = |epoch: u64, entry: Bytes| message::Delivery {
        epoch,
        hash: Bytes::copy_from_slice(
            &chain::extend(&ours.positions[2], Epoch(epoch), &entry)
                .hash
                .0,
        ),
        entry,
        ..good.clone()
    };
    let cases = [
        ("the last one again", ours.delivery(2), "repeated"),
        ("an older one again", ours.delivery(1), "repeated"),
        ("one left out", ours.delivery(4), "out_of_order"),
        ("another log's", other.delivery(3), "other_history"),
        (
            "another hash before it",
            message::Delivery {
                previous_hash: flip(&good.previous_hash),
                ..good.clone()
            },
            "other_history",
        ),
        (
            "no hash before it",
            message::Delivery {
                previous_hash: Bytes::new(),
                ..good.clone()
            },
            "other_history",
        ),
        (
            "an epoch that does not grow",
            chained(20, good.entry.clone()),
            "repeated",
        ),
        (
            "another epoch",
            message::Delivery {
                epoch: 31,
                ..good.clone()
            },
            "altered",
        ),
        (
            "an altered entry",
            message::Delivery {
                entry: flip(&good.entry),
                ..good.clone()
            },
            "altered",
        ),
        (
            "another entry",
            message::Delivery {
                entry: ours.entries[0].clone(),
                ..good.clone()
            },
            "altered",
        ),
        (
            "an altered hash",
            message::Delivery {
                hash: flip(&good.hash),
                ..good.clone()
            },
            "altered",
        ),
        (
            "no hash",
            message::Delivery {
                hash: Bytes::new(),
                ..good.clone()
            },
            "altered",
        ),
        (
            "an unknown kind of entry",
            chained(30, unknown),
            "not_understood",
        ),
        (
            "not an entry",
            chained(30, Bytes::from_static(b"{}")),
            "not_understood",
        ),
        (
            "too large",
            chained(30, vec![b' '; crate::change::ENTRY_BYTES_MAX + 1].into()),
            "not_understood",
        ),
    ];
    for (name, delivery, expected) in cases {
        let mut link = live(&ours, 2);
        assert_eq!(
            fault(&link.receive(to(To::Delivery(delivery)), Duration::ZERO)),
            expected,
            "{name}"
        );
        assert_eq!(
            link.obeyed(),
            Some(ours.positions[2]),
            "{name}: the position stays"
        );
        let after = link.receive(to(To::Delivery(ours.delivery(3))), Duration::ZERO);
        assert_eq!(after, [], "{name}: nothing more is read from that stream");
        // A new stream goes on from the verified position.
        link.disconnected();
        link.connected(Duration::ZERO);
        link.receive(
            to(To::Welcome(welcome(&ours.positions[2], false))),
            Duration::ZERO,
        );
        let actions = link.receive(to(To::Delivery(ours.delivery(3))), Duration::ZERO);
        assert_eq!(applies(&actions), [ours.positions[3]], "{name}");
    }
}

#[test]
fn messages_out_of_their_place_are_refused() {
    let log = Log::new(1, 2);
    let target = |digest: &'static [u8]| {
        To::Target(message::PolicyTarget {
            revision: 1,
            digest: Bytes::from_static(digest),
            sites: Vec::new(),
        })
    };
    let answer = |sequence| To::Heartbeat(message::HeartbeatAnswer { sequence, head: 0 });
    let refusal = To::Refusal(message::Refusal {
        reason: "full".into(),
        r#final: false,
    });
    let welcome = To::Welcome(welcome(&log.positions[0], true));
    // (name, whether the stream is live, message, fault)
    let cases = [
        ("empty before the Welcome", false, None, "malformed"),
        ("empty", true, None, "malformed"),
        (
            "delivery before the Welcome",
            false,
            Some(To::Delivery(log.delivery(1))),
            "unexpected",
        ),
        (
            "target before the Welcome",
            false,
            Some(target(&[0; 32])),
            "unexpected",
        ),
        (
            "answer before the Welcome",
            false,
            Some(answer(0)),
            "unexpected",
        ),
        ("a second Welcome", true, Some(welcome), "unexpected"),
        (
            "target with a short digest",
            true,
            Some(target(b"short")),
            "malformed",
        ),
        (
            "answer to what was not asked",
            true,
            Some(answer(99)),
            "unexpected",
        ),
        (
            "refusal instead of a Welcome",
            false,
            Some(refusal.clone()),
            "refused",
        ),
        ("refusal", true, Some(refusal), "refused"),
    ];
    for (name, is_live, message, expected) in cases {
        let mut link = if is_live { live(&log, 0) } else { new_link() };
        if !is_live {
            link.connected(Duration::ZERO);
        }
        assert_eq!(
            fault(&link.receive(message::ToEdge { message }, Duration::ZERO)),
            expected,
            "{name}"
        );
    }
}

#[test]
fn acks_are_cumulative_and_follow_what_is_applied() {
    let log = Log::new(1, 4);
    let mut link = live(&log, 0);
    for n in 1..=3 {
        let actions = link.receive(to(To::Delivery(log.delivery(n))), Duration::ZERO);
        assert_eq!(
            acks(&actions),
            [0; 0],
            "nothing is acked before it is applied"
        );
    }
    assert_eq!(link.obeyed(), Some(log.positions[0]));
    assert_eq!(acks(&link.applied(&log.positions[3])), [30]);
    assert_eq!(link.obeyed(), Some(log.positions[3]));
    assert_eq!(
        link.applied(&log.positions[2]),
        [],
        "an older position says nothing new"
    );
    assert_eq!(
        link.applied(&log.positions[4]),
        [],
        "what was not delivered can't be applied"
    );

    link.receive(to(To::Delivery(log.delivery(4))), Duration::ZERO);
    link.disconnected();
    assert_eq!(
        acks(&link.applied(&log.positions[4])),
        [0; 0],
        "no stream, no ack"
    );
    assert_eq!(
        link.obeyed(),
        Some(log.positions[4]),
        "but the next Hello names it"
    );
}

#[test]
fn a_reset_moves_the_position_only_when_it_is_applied() {
    let (ours, other) = (Log::new(1, 3), Log::new(2, 3));
    let mut link = live(&ours, 2);
    link.disconnected();
    link.connected(Duration::ZERO);
    let start = other.positions[1];
    assert_eq!(
        resets(&link.receive(to(To::Welcome(welcome(&start, true))), Duration::ZERO)),
        [start]
    );
    assert_eq!(link.obeyed(), Some(ours.positions[2]));
    link.receive(to(To::Delivery(other.delivery(2))), Duration::ZERO);
    assert_eq!(acks(&link.applied(&start)), [10]);
    assert_eq!(link.obeyed(), Some(start));
    assert_eq!(acks(&link.applied(&other.positions[2])), [20]);
}

#[test]
fn the_lease_counts_from_sending_the_heartbeat_that_was_answered() {
    let log = Log::new(1, 0);
    let at = Duration::from_secs;
    let answer = |sequence| {
        to(To::Heartbeat(message::HeartbeatAnswer {
            sequence,
            head: 40,
        }))
    };
    let mut link = new_link();
    link.connected(at(0));
    let actions = link.receive(to(To::Welcome(welcome(&log.positions[0], true))), at(1));
    assert_eq!(beats(&actions), [1], "the first heartbeat goes out at once");
    assert_eq!(link.lease_until(), None);
    assert_eq!(link.next_tick(), Some(at(3)));
    assert_eq!(beats(&link.tick(at(2))), [0; 0]);
    assert_eq!(beats(&link.tick(at(3))), [2]);
    assert_eq!(beats(&link.tick(at(5))), [3]);
    link.receive(answer(2), at(6));
    assert_eq!(link.lease_until(), Some(at(3) + LEASE));
    assert_eq!(link.head(), Epoch(40));
    link.receive(answer(1), at(6));
    link.receive(answer(2), at(7));
    assert_eq!(
        link.lease_until(),
        Some(at(3) + LEASE),
        "late and second answers extend nothing"
    );
    // From here on nothing is answered: 3 was sent at 5.
    for second in [7, 9, 11, 13] {
        assert_eq!(beats(&link.tick(at(second))).len(), 1);
    }
    assert_eq!(link.next_tick(), Some(at(15)));
    assert_eq!(fault(&link.tick(at(15))), "silent");
    assert_eq!(
        link.lease_until(),
        Some(at(13)),
        "a lost stream does not take the lease away early"
    );
}

#[test]
fn a_welcome_must_come_in_time() {
    let mut link = new_link();
    assert_eq!(link.next_tick(), None);
    link.connected(Duration::from_secs(1));
    assert_eq!(
        link.next_tick(),
        Some(Duration::from_secs(1) + WELCOME_WITHIN)
    );
    assert_eq!(link.tick(WELCOME_WITHIN), []);
    assert_eq!(
        fault(&link.tick(Duration::from_secs(1) + WELCOME_WITHIN)),
        "no_welcome"
    );
    assert_eq!(link.next_tick(), None);
}

#[test]
fn reports_are_told_when_they_change_and_after_every_welcome() {
    let log = Log::new(1, 0);
    let report = Report {
        running: Some((Revision(1), Digest([1; 32]))),
        failed: Some((Revision(2), Digest([2; 32]))),
        reason: "missing".into(),
    };
    let mut link = new_link();
    assert_eq!(
        link.report(report.clone()),
        [],
        "kept until somebody listens"
    );
    link.connected(Duration::ZERO);
    let actions = link.receive(
        to(To::Welcome(welcome(&log.positions[0], true))),
        Duration::ZERO,
    );
    let told: Vec<_> = sent(&actions)
        .into_iter()
        .filter(|from| matches!(from, From::Policy(_)))
        .collect();
    assert_eq!(told, [write_report(&report)]);
    assert_eq!(
        sent(&link.report(Report::default())),
        [write_report(&Report::default())]
    );
}

#[test]
fn a_clean_stop_says_goodbye_once() {
    let log = Log::new(1, 1);
    let mut link = live(&log, 0);
    assert_eq!(sent(&link.leave()), [From::Leave(message::Leave {})]);
    assert_eq!(link.leave(), []);
    assert_eq!(
        link.receive(to(To::Delivery(log.delivery(1))), Duration::ZERO),
        []
    );
    assert_eq!(link.next_tick(), None);
}

#[test]
fn a_driver_that_applies_nothing_is_cut_off() {
    let log = Log::new(1, UNAPPLIED_MAX as u64 + 1);
    let mut link = live(&log, 0);
    for n in 1..=UNAPPLIED_MAX {
        assert_eq!(
            applies(&link.receive(to(To::Delivery(log.delivery(n))), Duration::ZERO)).len(),
            1
        );
    }
    let over = link.receive(
        to(To::Delivery(log.delivery(UNAPPLIED_MAX + 1))),
        Duration::ZERO,
    );
    assert_eq!(fault(&over), "overrun");
}

#[test]
fn both_ends_of_the_link_understand_each_other() {
    let log = Log::new(1, 5);
    let terms = Terms {
        lease_ms: 10_000,
        heartbeat_ms: 2_000,
        replica: "one".into(),
    };
    let mut link = new_link();
    let mut obeyed = Vec::new();
    // (entries of the log when the edge comes, entries when it goes)
    for (come, go) in [(2, 4), (4, 5), (5, 5)] {
        let mut replica = Replica::new(terms.clone());
        let mut to_replica = sent(&link.connected(Duration::ZERO));
        let mut acked = Epoch(0);
        let mut delivered_to = come;
        while let Some(message) = to_replica.pop() {
            let head = log.positions[come].epoch;
            let mut answers = replica.receive(
                message::FromEdge {
                    message: Some(message),
                },
                head,
            );
            if let [Answer::Admit(peer)] = &answers[..] {
                let known = peer.position.filter(|at| log.positions.contains(at));
                answers = replica.admit(Admission {
                    head: log.positions[come],
                    known,
                    target: None,
                });
                while delivered_to < go {
                    delivered_to += 1;
                    answers.extend(replica.deliver(&Accepted {
                        previous: log.positions[delivered_to - 1],
                        position: log.positions[delivered_to],
                        entry: log.entries[delivered_to - 1].clone(),
                    }));
                }
            }
            for answer in answers {
                match answer {
                    Answer::Send(message) => {
                        for action in link.receive(message, Duration::ZERO) {
                            match action {
                                Action::Send(message) => to_replica.extend(message.message),
                                Action::Reset { start } => {
                                    to_replica.extend(sent(&link.applied(&start)))
                                }
                                Action::Apply { position, .. } => {
                                    obeyed.push(position.epoch.0);
                                    to_replica.extend(sent(&link.applied(&position)));
                                }
                                other => panic!("{other:?}"),
                            }
                        }
                    }
                    Answer::Acked(epoch) => acked = acked.max(epoch),
                    Answer::Reported(_) | Answer::Reset => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(acked, log.positions[go].epoch);
        link.disconnected();
    }
    assert_eq!(
        obeyed,
        [30, 40, 50],
        "what came before the edge joined is under its floors"
    );
}

/// What a mistaken or forged replica may do to a stream of deliveries.
#[derive(Debug, Clone)]
enum Corruption {
    Drop(usize),
    Repeat(usize),
    Swap(usize, usize),
    FlipEntry(usize, usize),
    FlipHash(usize, usize),
    FlipPrevious(usize, usize),
    Epoch(usize, u64),
    FromOtherLog(usize),
}

fn corruption() -> impl Strategy<Value = Corruption> {
    let at = 0..8usize;
    prop_oneof![
        at.clone().prop_map(Corruption::Drop),
        at.clone().prop_map(Corruption::Repeat),
        (at.clone(), at.clone()).prop_map(|(a, b)| Corruption::Swap(a, b)),
        (at.clone(), any::<usize>()).prop_map(|(a, bit)| Corruption::FlipEntry(a, bit)),
        (at.clone(), any::<usize>()).prop_map(|(a, bit)| Corruption::FlipHash(a, bit)),
        (at.clone(), any::<usize>()).prop_map(|(a, bit)| Corruption::FlipPrevious(a, bit)),
        (at.clone(), any::<u64>()).prop_map(|(a, epoch)| Corruption::Epoch(a, epoch)),
        at.prop_map(Corruption::FromOtherLog),
    ]
}

fn flip(bytes: &mut Bytes, bit: usize) {
    let mut flipped = bytes.to_vec();
    if !flipped.is_empty() {
        let bit = bit % (flipped.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    *bytes = flipped.into();
}

proptest! {
    /// Whatever is done to a stream, what the edge applies is a run of the true log's entries, in order, each once.
    #[test]
    fn a_corrupted_stream_never_applies_anything_wrong(corruptions in prop::collection::vec(corruption(), 1..6)) {
        let (log, other) = (Log::new(1, 8), Log::new(2, 8));
        let mut stream: Vec<_> = (1..=8).map(|n| log.delivery(n)).collect();
        for corruption in corruptions {
            let len = stream.len();
            if len == 0 {
                break;
            }
            match corruption {
                Corruption::Drop(at) => drop(stream.remove(at % len)),
                Corruption::Repeat(at) => stream.insert(at % len, stream[at % len].clone()),
                Corruption::Swap(a, b) => stream.swap(a % len, b % len),
                Corruption::FlipEntry(at, bit) => flip(&mut stream[at % len].entry, bit),
                Corruption::FlipHash(at, bit) => flip(&mut stream[at % len].hash, bit),
                Corruption::FlipPrevious(at, bit) => flip(&mut stream[at % len].previous_hash, bit),
                Corruption::Epoch(at, epoch) => stream[at % len].epoch = epoch,
                Corruption::FromOtherLog(at) => stream[at % len] = other.delivery(at % 8 + 1),
            }
        }
        let mut link = live(&log, 0);
        let mut applied = 0;
        for delivery in stream {
            for action in link.receive(to(To::Delivery(delivery)), Duration::ZERO) {
                if let Action::Apply { entry, position } = action {
                    applied += 1;
                    prop_assert_eq!(position, log.positions[applied]);
                    prop_assert_eq!(entry.encode().unwrap(), log.entries[applied - 1].to_vec());
                    link.applied(&position);
                }
            }
        }
        prop_assert_eq!(link.obeyed(), Some(log.positions[applied]));
    }
}
