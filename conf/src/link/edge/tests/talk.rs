//! Everything beside deliveries.

use super::*;

#[test]
fn messages_out_of_their_place_are_refused() {
    let log = Log::new(1, 2);
    let target = |digest: &'static [u8]| {
        To::Target(message::PolicyTarget {
            revision: 1,
            digest: Bytes::from_static(digest),
            sites: Vec::new(),
            ..Default::default()
        })
    };
    let answer = |sequence| To::Heartbeat(message::HeartbeatAnswer { sequence, head: 0 });
    let refusal = To::Refusal(message::Refusal {
        reason: "full".into(),
        r#final: false,
        removed: false,
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

/// What it is called, what comes in which second, and when the stream is given up.
type KeptBack<'c> = (&'static str, &'c [(u64, To)], Option<u64>);

#[test]
fn a_replica_that_keeps_back_what_it_tells_of_is_given_up() {
    let log = Log::new(1, 4);
    let at = Duration::from_secs;
    let answer = |sequence, n: usize| {
        let head = log.positions[n].epoch.0;
        to(To::Heartbeat(message::HeartbeatAnswer { sequence, head }))
    };
    // What comes when, and when the stream is given up; none: it goes on for as long as heartbeats are answered. The last
    // position that was received is that of entry 1.
    let cases: [KeptBack<'_>; 4] = [
        ("nothing is missing", &[], None),
        ("the last delivery is kept back", &[(2, told(2))], Some(12)),
        (
            "it comes, and what was accepted after it was told does not",
            &[(2, told(2)), (4, To::Delivery(log.delivery(2)))],
            None,
        ),
        (
            "a long way, and it stops half way",
            &[
                (2, told(4)),
                (8, To::Delivery(log.delivery(2))),
                (17, To::Delivery(log.delivery(3))),
            ],
            Some(27),
        ),
    ];
    fn told(n: u64) -> To {
        To::Heartbeat(message::HeartbeatAnswer {
            sequence: 0,
            head: n * 10,
        })
    }
    for (name, comes, given_up) in cases {
        let mut link = live(&log, 1);
        for second in 0..40 {
            let mut actions = link.tick(at(second));
            for sequence in beats(&actions) {
                link.receive(answer(sequence, 1), at(second));
            }
            for (_, message) in comes.iter().filter(|(when, _)| *when == second) {
                link.receive(to(message.clone()), at(second));
            }
            actions.retain(|action| matches!(action, Action::Disconnect(_)));
            if given_up == Some(second) {
                assert_eq!(fault(&actions), "behind_told_head", "{name}");
                assert!(link.obeyed().is_some(), "{name}: where it stands, stays");
                break;
            }
            assert_eq!(actions, [], "{name}: at {second}");
            assert!(link.next_tick().is_some_and(|tick| tick <= at(second + 2)));
        }
    }
}
