//! How a stream begins.

use super::*;

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
