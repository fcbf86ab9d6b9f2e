use super::*;
use crate::{
    change::{LogId, Revision, SiteId},
    digest::Digest,
    link::chain,
};
use std::collections::BTreeMap;
use uuid::Uuid;

const PROCESS: Uuid = Uuid::from_u128(7);

fn log(number: u128) -> LogId {
    LogId(Uuid::from_u128(number))
}

/// The positions of a log of `entries` accepted entries, genesis first.
fn positions(log: LogId, entries: u64) -> Vec<Position> {
    let mut positions = vec![chain::genesis(log)];
    for epoch in 1..=entries {
        let next = chain::extend(
            &positions[positions.len() - 1],
            Epoch(epoch),
            &epoch.to_be_bytes(),
        );
        positions.push(next);
    }
    positions
}

fn accepted(positions: &[Position], epoch: usize) -> Accepted {
    Accepted {
        previous: positions[epoch - 1],
        position: positions[epoch],
        entry: Bytes::copy_from_slice(&(epoch as u64).to_be_bytes()),
    }
}

fn from(message: From) -> message::FromEdge {
    message::FromEdge {
        message: Some(message),
    }
}

fn hello(position: Option<Position>) -> message::Hello {
    message::Hello {
        protocol: PROTOCOL,
        edge: "paris".into(),
        process: Bytes::copy_from_slice(PROCESS.as_bytes()),
        position: position.as_ref().map(write_position),
        version: "0.1.0".into(),
        ..Default::default()
    }
}

fn replica() -> Replica {
    Replica::new(Terms {
        lease_ms: 10_000,
        heartbeat_ms: 2_000,
        replica: "one".into(),
    })
}

/// A live stream, welcomed where the edge stands on a log of three entries.
fn live(position: Option<Position>) -> (Replica, Vec<Action>) {
    let positions = positions(log(1), 3);
    let mut replica = replica();
    let actions = replica.receive(from(From::Hello(hello(position))), Epoch(3));
    assert!(matches!(&actions[..], [Action::Admit(peer)] if peer.position == position));
    let known = position.and_then(|at| positions.get(at.epoch.0 as usize).copied());
    let actions = replica.admit(Admission {
        head: positions[3],
        known,
        target: None,
    });
    (replica, actions)
}

fn welcome(actions: &[Action]) -> (u64, bool) {
    let welcomes: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Send(message::ToEdge {
                message: Some(To::Welcome(welcome)),
            }) => Some(welcome),
            _ => None,
        })
        .collect();
    assert_eq!(welcomes.len(), 1, "{actions:?}");
    (welcomes[0].start.as_ref().unwrap().epoch, welcomes[0].reset)
}

fn end(actions: &[Action]) -> (End, bool) {
    match actions {
        [
            Action::Send(message::ToEdge {
                message: Some(To::Refusal(refusal)),
            }),
            Action::End(end),
        ] => {
            assert!(!refusal.reason.is_empty());
            (*end, refusal.r#final)
        }
        _ => panic!("not an end: {actions:?}"),
    }
}

#[test]
fn an_edge_continues_only_where_log_epoch_and_hash_are_the_logs_own() {
    let ours = positions(log(1), 3);
    let others = positions(log(2), 3);
    let forged = Position {
        hash: others[2].hash,
        ..ours[2]
    };
    let cases = [
        ("a new edge", None, (3, true)),
        ("at genesis", Some(ours[0]), (0, false)),
        ("in the middle", Some(ours[2]), (2, false)),
        ("at the head", Some(ours[3]), (3, false)),
        ("on another log", Some(others[2]), (3, true)),
        (
            "ahead on another log",
            Some(Position {
                epoch: Epoch(9),
                ..others[2]
            }),
            (3, true),
        ),
        ("with another hash", Some(forged), (3, true)),
    ];
    for (name, position, expected) in cases {
        let (replica, actions) = live(position);
        assert_eq!(welcome(&actions), expected, "{name}");
        assert_eq!(
            replica.sent().map(|sent| sent.epoch.0),
            Some(expected.0),
            "{name}"
        );
        let acked = actions
            .iter()
            .any(|action| matches!(action, Action::Acked(_)));
        assert_eq!(
            acked, !expected.1,
            "{name}: a position that continues is an ack"
        );
    }
}

#[test]
fn an_edge_ahead_of_its_replica_is_told_to_wait() {
    let ahead = positions(log(1), 5)[5];
    let (_, actions) = live(Some(ahead));
    assert_eq!(end(&actions), (End::ReplicaBehind, false));
}

#[test]
fn entries_are_delivered_in_order_and_acked_cumulatively() {
    let positions = positions(log(1), 3);
    let (mut replica, _) = live(Some(positions[1]));
    for epoch in 2..=3 {
        let actions = replica.deliver(&accepted(&positions, epoch));
        let [
            Action::Send(message::ToEdge {
                message: Some(To::Delivery(delivery)),
            }),
        ] = &actions[..]
        else {
            panic!("{actions:?}")
        };
        assert_eq!(
            (delivery.previous_epoch, delivery.epoch),
            (epoch as u64 - 1, epoch as u64)
        );
        assert_eq!(delivery.hash[..], positions[epoch].hash.0);
    }
    let mut ack = |epoch| replica.receive(from(From::Ack(message::Ack { epoch })), Epoch(3));
    assert_eq!(ack(3), [Action::Acked(Epoch(3))]);
    assert_eq!(ack(2), [], "an older ack says nothing new");
    assert_eq!(end(&ack(4)), (End::AckAhead, true));
    assert_eq!(ack(3), [], "nothing follows the end");
}

#[test]
fn an_entry_that_does_not_follow_ends_the_stream() {
    let positions = positions(log(1), 3);
    let (mut replica, _) = live(Some(positions[1]));
    assert_eq!(
        end(&replica.deliver(&accepted(&positions, 3))),
        (End::ChainBroken, false)
    );
}

#[test]
fn what_is_not_of_the_protocol_is_refused_for_good() {
    let cases: [(&str, message::Hello, End); 7] = [
        (
            "older",
            message::Hello {
                protocol: 0,
                ..hello(None)
            },
            End::ProtocolMismatch,
        ),
        (
            "newer",
            message::Hello {
                protocol: PROTOCOL + 1,
                ..hello(None)
            },
            End::ProtocolMismatch,
        ),
        (
            "no name",
            message::Hello {
                edge: String::new(),
                ..hello(None)
            },
            End::BadMessage,
        ),
        (
            "odd name",
            message::Hello {
                edge: "a/b".into(),
                ..hello(None)
            },
            End::BadMessage,
        ),
        (
            "short process",
            message::Hello {
                process: Bytes::from_static(b"x"),
                ..hello(None)
            },
            End::BadMessage,
        ),
        (
            "bad position",
            message::Hello {
                position: Some(message::Position::default()),
                ..hello(None)
            },
            End::BadMessage,
        ),
        (
            "long version",
            message::Hello {
                version: "x".repeat(501),
                ..hello(None)
            },
            End::BadMessage,
        ),
    ];
    for (name, hello, expected) in cases {
        let actions = replica().receive(from(From::Hello(hello)), Epoch(0));
        assert_eq!(end(&actions), (expected, true), "{name}");
    }
    let first = from(From::Ack(message::Ack { epoch: 1 }));
    assert_eq!(
        end(&replica().receive(first, Epoch(0))),
        (End::BadMessage, true)
    );
    let (mut twice, _) = live(None);
    assert_eq!(
        end(&twice.receive(from(From::Hello(hello(None))), Epoch(0))),
        (End::BadMessage, true)
    );
    assert_eq!(
        end(&replica().receive(message::FromEdge { message: None }, Epoch(0))),
        (End::BadMessage, true)
    );
}

#[test]
fn heartbeats_reports_targets_and_leaving() {
    let (mut replica, _) = live(None);
    let beat = replica.receive(
        from(From::Heartbeat(message::Heartbeat { sequence: 5 })),
        Epoch(3),
    );
    assert_eq!(
        beat,
        [send(To::Heartbeat(message::HeartbeatAnswer {
            sequence: 5,
            head: 3
        }))]
    );

    let report = message::PolicyReport {
        running: Bytes::copy_from_slice(&[1; 32]),
        revision: 4,
        reason: "é".repeat(REASON_BYTES_MAX),
        ..Default::default()
    };
    let actions = replica.receive(from(From::Policy(report)), Epoch(3));
    let [Action::Reported(report)] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(report.running, Some((Revision(4), Digest([1; 32]))));
    assert_eq!(
        (report.failed, report.reason.len()),
        (None, REASON_BYTES_MAX)
    );

    let target = Target {
        revision: Revision(2),
        digest: Digest([2; 32]),
        sites: BTreeMap::from([("shop".to_owned(), SiteId(1))]),
        signed: None,
    };
    assert!(matches!(&replica.target(&target)[..], [Action::Send(_)]));

    let leave = replica.receive(from(From::Leave(message::Leave {})), Epoch(3));
    assert_eq!(leave, [Action::Left, Action::End(End::Left)]);
    assert_eq!(
        (replica.sent(), replica.target(&target)),
        (None, Vec::new())
    );
}
