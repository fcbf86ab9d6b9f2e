//! When stored objects may be used.

use super::*;
use Isolation::{CatchingUp, LeaseOver, Left, NotJoined, Removed};

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn answer(sequence: u64, head: u64) -> message::ToEdge {
    to(To::Heartbeat(message::HeartbeatAnswer { sequence, head }))
}

/// A stream on which the edge continues at the n-th entry; its heartbeat 1 more than before goes out at `now`.
fn reconnect(link: &mut EdgeLink, start: &Position, reset: bool, now: Duration) -> u64 {
    link.disconnected();
    link.connected(now);
    let actions = link.receive(to(To::Welcome(welcome(start, reset))), now);
    beats(&actions)[0]
}

/// A live link whose first heartbeat, sent at 0, was answered: it obeys all of the log, and its lease runs.
fn trusted(log: &Log) -> EdgeLink {
    let entries = log.entries.len();
    let mut link = live(log, entries);
    link.receive(answer(1, log.positions[entries].epoch.0), at(1));
    assert_eq!(link.isolation(at(1)), None);
    link
}

#[test]
fn an_edge_that_has_just_started_is_isolated_until_it_obeys_the_head() {
    let log = Log::new(1, 2);
    let mut link = new_link();
    assert_eq!(link.isolation(at(0)), Some(NotJoined));
    link.connected(at(0));
    let start = log.positions[0];
    link.receive(to(To::Welcome(welcome(&start, true))), at(0));
    link.applied(&start);
    assert_eq!(link.isolation(at(1)), Some(NotJoined), "no head was told");
    link.receive(answer(1, 20), at(2));
    assert_eq!(link.isolation(at(2)), Some(CatchingUp));
    assert_eq!(link.trusted_until(), None);
    for (n, expected) in [(1, Some(CatchingUp)), (2, None)] {
        link.receive(to(To::Delivery(log.delivery(n))), at(3));
        assert_eq!(
            link.isolation(at(3)),
            Some(CatchingUp),
            "delivered is not obeyed"
        );
        link.applied(&log.positions[n]);
        assert_eq!(link.isolation(at(3)), expected);
    }
    assert_eq!(link.trusted_until(), Some(LEASE), "from sending");
}

#[test]
fn a_lease_that_runs_out_isolates_to_the_millisecond_with_nobody_looking() {
    let log = Log::new(1, 1);
    let link = trusted(&log);
    assert_eq!(link.isolation(at(9999)), None);
    assert_eq!(link.isolation(LEASE), Some(LeaseOver));
    assert_eq!(
        link.trusted_until(),
        Some(LEASE),
        "whoever keeps that needs no news"
    );
}

#[test]
fn a_broken_stream_isolates_nobody_while_the_lease_runs() {
    let log = Log::new(1, 1);
    let mut link = trusted(&log);
    link.disconnected();
    assert_eq!(link.isolation(at(5000)), None);
    reconnect(&mut link, &log.positions[1], false, at(6000));
    assert_eq!(link.isolation(at(6000)), None);
    assert_eq!(link.isolation(LEASE), Some(LeaseOver));
}

/// A lost answer comes late: the lease would run again, but the edge has to catch up first.
#[test]
fn a_stopped_process_wakes_up_isolated_whatever_waits_for_it() {
    let log = Log::new(1, 2);
    let mut link = live(&log, 1);
    link.receive(answer(1, 10), at(1));
    let sent = beats(&link.tick(at(9000)));
    // Stopped here. Control answered at once, and at 30 s the answer is read.
    link.receive(answer(sent[0], 20), at(18_500));
    assert_eq!(link.lease_until(), Some(at(19_000)));
    assert_eq!(link.isolation(at(18_500)), Some(CatchingUp));
    link.receive(to(To::Delivery(log.delivery(2))), at(18_600));
    link.applied(&log.positions[2]);
    assert_eq!(link.isolation(at(18_600)), None);

    // An answer that is older than a lease when it is read lifts nothing, even if the edge obeys its head.
    let sent = beats(&link.tick(at(18_700)));
    link.receive(answer(sent[0], 20), at(40_000));
    assert_eq!(link.isolation(at(40_000)), Some(LeaseOver));
    link.receive(answer(sent[0], 20), at(40_000));
    assert_eq!(link.isolation(at(40_000)), Some(LeaseOver));
}

/// Nothing looked at the link between the end of the lease and the next word of control, which is no answer.
#[test]
fn deliveries_do_not_hide_that_the_lease_was_over() {
    let log = Log::new(1, 2);
    let mut link = live(&log, 1);
    link.receive(answer(1, 10), at(1));
    let sent = beats(&link.tick(at(9500)));
    link.receive(to(To::Delivery(log.delivery(2))), at(10_500));
    link.applied(&log.positions[2]);
    assert_eq!(link.isolation(at(10_500)), Some(LeaseOver));
    link.receive(answer(sent[0], 30), at(10_600));
    assert_eq!(
        link.isolation(at(10_600)),
        Some(CatchingUp),
        "30 is to come"
    );
}

#[test]
fn after_the_lease_an_edge_is_isolated_until_it_obeys_what_the_present_stream_told() {
    let log = Log::new(1, 3);
    let mut link = live(&log, 1);
    link.receive(answer(1, 10), at(1));
    // Cut off; back at 20 s. The first replica tells 30, the stream breaks before the deliveries.
    let beat = reconnect(&mut link, &log.positions[1], false, at(20_000));
    assert_eq!(link.isolation(at(20_000)), Some(LeaseOver));
    link.receive(answer(beat, 30), at(20_001));
    assert_eq!(link.isolation(at(20_001)), Some(CatchingUp));
    // The next one is behind it: what the former told may have been promised to somebody.
    let beat = reconnect(&mut link, &log.positions[1], false, at(21_000));
    link.receive(to(To::Delivery(log.delivery(2))), at(21_000));
    link.applied(&log.positions[2]);
    assert_eq!(
        link.isolation(at(21_000)),
        Some(CatchingUp),
        "nothing is told on this stream"
    );
    link.receive(answer(beat, 20), at(21_001));
    assert_eq!(link.isolation(at(21_001)), Some(CatchingUp));
    link.receive(to(To::Delivery(log.delivery(3))), at(21_002));
    link.applied(&log.positions[3]);
    assert_eq!(link.isolation(at(21_002)), None);
}

#[test]
fn slow_deliveries_isolate_nobody_but_an_edge_that_has_to_catch_up() {
    let log = Log::new(1, 1);
    let mut link = trusted(&log);
    let sent = beats(&link.tick(at(2000)));
    link.receive(answer(sent[0], 90), at(2001));
    assert_eq!(
        link.isolation(at(2001)),
        None,
        "control knows that it has not acked: missing"
    );
}

#[test]
fn epochs_of_another_history_do_not_compare() {
    let (ours, other) = (Log::new(1, 3), Log::new(2, 2));
    let mut link = trusted(&ours);
    let start = other.positions[1];
    let beat = reconnect(&mut link, &start, true, at(20_000));
    link.receive(answer(beat, 20), at(20_001));
    assert_eq!(
        link.isolation(at(20_001)),
        Some(CatchingUp),
        "30 of our log is not past 20 of the other"
    );
    link.applied(&start);
    assert_eq!(link.isolation(at(20_001)), Some(CatchingUp));
    link.receive(to(To::Delivery(other.delivery(2))), at(20_002));
    link.applied(&other.positions[2]);
    assert_eq!(link.isolation(at(20_002)), None);
}

#[test]
fn whoever_is_taken_out_of_the_roster_is_isolated_at_once() {
    let log = Log::new(1, 1);
    let refusal = |removed| {
        to(To::Refusal(message::Refusal {
            reason: "why".into(),
            r#final: false,
            removed,
        }))
    };
    let mut link = trusted(&log);
    link.receive(refusal(false), at(2));
    assert_eq!(link.isolation(at(2)), None, "the replica stops, say");

    let mut link = trusted(&log);
    link.receive(refusal(true), at(2));
    assert_eq!(link.isolation(at(2)), Some(Removed));
    assert_eq!((link.trusted_until(), link.lease_until()), (None, None));
    let beat = reconnect(&mut link, &log.positions[1], false, at(3));
    assert_eq!(link.isolation(at(3)), Some(Removed));
    link.receive(answer(beat, 10), at(4));
    assert_eq!(link.isolation(at(4)), None);
}

#[test]
fn a_refusal_or_a_fault_leaves_the_lease_to_run_out() {
    let log = Log::new(1, 2);
    let forged = message::Delivery {
        entry: Bytes::from_static(b"{}"),
        ..log.delivery(2)
    };
    let behind = To::Refusal(message::Refusal {
        reason: "behind".into(),
        r#final: true,
        removed: false,
    });
    for last in [To::Delivery(forged), behind] {
        let mut link = live(&log, 1);
        link.receive(answer(1, 10), at(1));
        fault(&link.receive(to(last), at(2)));
        link.disconnected();
        assert_eq!(link.isolation(at(9999)), None);
        assert_eq!(link.isolation(LEASE), Some(LeaseOver));
    }
}

#[test]
fn what_the_edge_does_when_isolated_is_said_in_hello() {
    let hello = sent(&new_link().connected(at(0)));
    let [From::Hello(hello)] = &hello[..] else {
        panic!("{hello:?}")
    };
    assert_eq!(hello.when_isolated(), message::WhenIsolated::Refuse);
    assert!(!hello.saves_marks);
}

/// Control takes it out of the roster as soon as it hears of it, and receipts are complete without it.
#[test]
fn an_edge_that_leaves_is_isolated_at_once_and_for_good() {
    let log = Log::new(1, 1);
    let mut link = trusted(&log);
    assert_eq!(sent(&link.leave()), [From::Leave(message::Leave {})]);
    assert_eq!((link.trusted_until(), link.lease_until()), (None, None));
    assert_eq!(link.isolation(at(1)), Some(Left));
    link.receive(answer(1, 10), at(2));
    assert_eq!(link.isolation(at(2)), Some(Left));
    // It may leave without a stream, too.
    let mut link = trusted(&log);
    link.disconnected();
    assert_eq!(link.leave(), []);
    assert_eq!(link.isolation(at(1)), Some(Left));
}

fn told_in_hello(actions: &[Action]) -> u64 {
    match &sent(actions)[..] {
        [From::Hello(hello)] => hello.told,
        other => panic!("no hello: {other:?}"),
    }
}

/// The copy ends at 10; what was told as 20 is gone.
#[test]
fn a_log_that_was_put_back_is_told_and_isolates_until_it_has_outgrown_what_was_told() {
    let (log, told, head) = (Log::new(1, 3), Epoch(20), Epoch(10));
    let mut link = new_link();
    assert_eq!(told_in_hello(&link.connected(at(0))), 0);
    let mut link = trusted(&Log::new(1, 1));
    let sent = beats(&link.tick(at(5000)));
    link.receive(answer(sent[0], told.0), at(5001));
    assert_eq!(link.shortened(), None);
    link.disconnected();
    assert_eq!(told_in_hello(&link.connected(at(16_000))), told.0);
    let welcome = to(To::Welcome(welcome(&log.positions[1], false)));
    let first = beats(&link.receive(welcome, at(16_000)));
    link.receive(answer(first[0], head.0), at(16_001));
    assert_eq!(link.shortened(), None, "a replica may be behind another");
    for time in [18_000, 20_000] {
        let sent = beats(&link.tick(at(time)));
        link.receive(answer(sent[0], head.0), at(time + 1));
        assert_eq!(link.shortened(), Some(Shortened { told, head }));
        assert_eq!(link.isolation(at(time + 1)), Some(CatchingUp));
    }
    for n in [2, 3] {
        link.receive(to(To::Delivery(log.delivery(n))), at(20_100));
        link.applied(&log.positions[n]);
    }
    let sent = beats(&link.tick(at(22_000)));
    link.receive(answer(sent[0], 30), at(22_001));
    assert_eq!((link.shortened(), link.isolation(at(22_001))), (None, None));
}
