//! Both ends of the link on a log that went back: an older copy was restored, and another history follows it.

use super::*;
use crate::link::replica::{Accepted, Action as Answer, Admission, Replica, Terms};

impl Log {
    /// The same log up to its `at`-th entry, and other entries than these after it.
    fn rewound(&self, at: usize, entries: u64) -> Self {
        let mut rewound = Self {
            positions: self.positions[..=at].to_vec(),
            entries: self.entries[..at].to_vec(),
        };
        for n in at as u64 + 1..=entries {
            let other = Log::new(1, n + 100);
            let entry = other.entries.last().unwrap().clone();
            let next = chain::extend(rewound.positions.last().unwrap(), Epoch(n * 10), &entry);
            rewound.positions.push(next);
            rewound.entries.push(entry);
        }
        rewound
    }

    fn head(&self) -> &Position {
        self.positions.last().unwrap()
    }
}

/// What came of a stream.
#[derive(Debug, PartialEq, Eq)]
enum Met {
    /// The edge was told to come again.
    TurnedAway,
    /// It went on where it stood; control counts these as acked, in this order.
    Continued(Vec<u64>),
    /// It started over; what control counts as acked after that.
    StartedOver(Vec<u64>),
}

/// A stream between an edge and a replica that has folded that log, from hello until all is said.
fn meet(link: &mut EdgeLink, log: &Log, now: Duration) -> Met {
    let mut replica = Replica::new(Terms {
        lease_ms: LEASE.as_millis() as u32,
        heartbeat_ms: HEARTBEAT.as_millis() as u32,
        replica: "one".into(),
    });
    link.disconnected();
    let mut said = sent(&link.connected(now));
    let (mut acked, mut is_new) = (Vec::new(), false);
    let mut turned_away = false;
    while !said.is_empty() {
        let message = message::FromEdge {
            message: Some(said.remove(0)),
        };
        let mut answers = replica.receive(message, log.head().epoch);
        if let [Answer::Admit(peer)] = &answers[..] {
            let at_epoch =
                |at: Position| log.positions.iter().find(|known| known.epoch == at.epoch);
            answers = replica.admit(Admission {
                head: *log.head(),
                known: peer.position.and_then(at_epoch).copied(),
                target: None,
            });
            while let Some(sent) = replica.sent().filter(|sent| sent != log.head()) {
                let n = log.positions.iter().position(|at| *at == sent).unwrap() + 1;
                answers.extend(replica.deliver(&Accepted {
                    previous: log.positions[n - 1],
                    position: log.positions[n],
                    entry: log.entries[n - 1].clone(),
                }));
            }
        }
        for answer in answers {
            match answer {
                Answer::Send(message) => {
                    for action in link.receive(message, now) {
                        said.extend(match action {
                            Action::Send(message) => message.message.into_iter().collect(),
                            Action::Reset { start } => sent(&link.applied(&start)),
                            Action::Apply { position, .. } => sent(&link.applied(&position)),
                            Action::Disconnect(Fault::Refused { is_final, .. }) => {
                                turned_away = !is_final;
                                Vec::new()
                            }
                            other => panic!("{other:?}"),
                        });
                    }
                }
                Answer::Acked(epoch) => acked.push(epoch.0),
                // What was acked before counts no more.
                Answer::Reset => {
                    acked.clear();
                    is_new = true;
                }
                _ => {}
            }
        }
    }
    match (turned_away, is_new) {
        (true, _) => {
            assert_eq!(acked, [0; 0], "nothing is believed of who is turned away");
            Met::TurnedAway
        }
        (false, false) => Met::Continued(acked),
        (false, true) => Met::StartedOver(acked),
    }
}

#[test]
fn an_edge_ahead_of_its_replica_waits_and_then_the_hash_decides() {
    let log = Log::new(1, 5);
    let shorter = |entries: usize| Log {
        positions: log.positions[..=entries].to_vec(),
        entries: log.entries[..entries].to_vec(),
    };
    type Steps = Vec<(Log, Met)>;
    let cases: [(&str, Steps); 4] = [
        (
            "a replica that lags, and catches up",
            vec![
                (shorter(3), Met::TurnedAway),
                (shorter(4), Met::TurnedAway),
                (Log::new(1, 5), Met::Continued(vec![50])),
                (Log::new(1, 7), Met::Continued(vec![50, 60, 70])),
            ],
        ),
        (
            "a log that went back, until it has passed the edge",
            vec![
                (log.rewound(3, 3), Met::TurnedAway),
                (log.rewound(3, 4), Met::TurnedAway),
                (log.rewound(3, 5), Met::StartedOver(vec![50])),
                (log.rewound(3, 6), Met::Continued(vec![50, 60])),
            ],
        ),
        (
            "a log that went back and passed the edge while it was away",
            vec![(log.rewound(2, 9), Met::StartedOver(vec![90]))],
        ),
        (
            "back and forth between two histories",
            vec![
                (log.rewound(4, 5), Met::StartedOver(vec![50])),
                (Log::new(1, 5), Met::StartedOver(vec![50])),
                (log.rewound(4, 4), Met::TurnedAway),
                (log.rewound(4, 6), Met::StartedOver(vec![60])),
            ],
        ),
    ];
    for (name, steps) in cases {
        let mut link = live(&log, 5);
        link.receive(
            to(To::Heartbeat(message::HeartbeatAnswer {
                sequence: 1,
                head: 50,
            })),
            Duration::ZERO,
        );
        let mut now = Duration::from_secs(1);
        for (number, (log, expected)) in steps.into_iter().enumerate() {
            let before = link.obeyed();
            assert_eq!(meet(&mut link, &log, now), expected, "{name}, {number}");
            if expected == Met::TurnedAway {
                assert_eq!(link.obeyed(), before, "{name}, {number}");
                now += LEASE;
                assert!(
                    link.isolation(now).is_some(),
                    "{name}, {number}: nobody extends its lease"
                );
            } else {
                assert_eq!(link.obeyed(), Some(*log.head()), "{name}, {number}");
                assert_eq!(link.isolation(now), None, "{name}, {number}");
            }
        }
    }
}
