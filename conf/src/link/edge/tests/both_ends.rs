//! The edge's end against control's.

use super::*;
use crate::link::replica::{Accepted, Action as Answer, Admission, Replica, Terms};

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
                                    to_replica.extend(sent(&link.applied(&start)));
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
