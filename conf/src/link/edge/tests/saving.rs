//! Acks that mean that the marks are on disk.

use super::*;

fn saving(saved: Option<Position>) -> EdgeLink {
    let introduction = Introduction {
        saves_marks: true,
        ..new_link().introduction().clone()
    };
    match saved {
        Some(saved) => EdgeLink::resuming(introduction, saved),
        None => EdgeLink::new(introduction),
    }
}

fn attach(link: &mut EdgeLink, start: &Position, reset: bool) -> Vec<Action> {
    link.disconnected();
    link.connected(Duration::ZERO);
    link.receive(to(To::Welcome(welcome(start, reset))), Duration::ZERO)
}

fn obey(link: &mut EdgeLink, log: &Log, n: usize) {
    link.receive(to(To::Delivery(log.delivery(n))), Duration::ZERO);
    let actions = link.applied(&log.positions[n]);
    assert_eq!(acks(&actions), [0; 0], "obeyed is not saved");
}

#[test]
fn an_ack_waits_until_the_marks_are_saved() {
    let log = Log::new(1, 3);
    let mut link = saving(None);
    attach(&mut link, &log.positions[0], true);
    link.applied(&log.positions[0]);
    for n in 1..=3 {
        obey(&mut link, &log, n);
    }
    assert_eq!(acks(&link.saved(&log.positions[2])), [20], "cumulative");
    assert_eq!(acks(&link.saved(&log.positions[1])), [0; 0], "a late word");
    let actions = attach(&mut link, &log.positions[3], false);
    assert_eq!(
        acks(&actions),
        [20],
        "what Hello named is obeyed, not saved; this is"
    );
    assert_eq!(acks(&link.saved(&log.positions[3])), [30]);
}

#[test]
fn what_was_saved_of_another_history_is_not_acked() {
    let (ours, other) = (Log::new(1, 3), Log::new(2, 3));
    let mut link = saving(None);
    attach(&mut link, &ours.positions[0], true);
    link.applied(&ours.positions[0]);
    obey(&mut link, &ours, 1);
    obey(&mut link, &ours, 2);
    link.saved(&ours.positions[1]);
    let actions = attach(&mut link, &other.positions[1], true);
    assert_eq!(acks(&actions), [0; 0]);
    link.applied(&other.positions[1]);
    assert_eq!(acks(&link.saved(&ours.positions[2])), [0; 0]);
    assert_eq!(acks(&attach(&mut link, &other.positions[1], false)), [0; 0]);
    assert_eq!(acks(&link.saved(&other.positions[1])), [10]);
}

#[test]
fn a_restarted_edge_goes_on_where_it_saved() {
    let log = Log::new(1, 3);
    let mut link = saving(Some(log.positions[2]));
    assert_eq!(link.obeyed(), Some(log.positions[2]));
    assert_eq!(
        link.isolation(Duration::ZERO),
        Some(Isolation::NotJoined),
        "what it saved says nothing of what came since"
    );
    assert_eq!(acks(&attach(&mut link, &log.positions[2], false)), [20]);
    obey(&mut link, &log, 3);
    assert_eq!(acks(&link.saved(&log.positions[3])), [30]);
}

#[test]
fn of_too_many_unsaved_positions_the_newest_is_still_known() {
    let log = Log::new(1, UNSAVED_MAX as u64 + 10);
    let mut link = saving(None);
    attach(&mut link, &log.positions[0], true);
    link.applied(&log.positions[0]);
    for n in 1..log.positions.len() {
        obey(&mut link, &log, n);
    }
    assert_eq!(link.unsaved.len(), UNSAVED_MAX);
    let newest = *log.positions.last().unwrap();
    assert_eq!(acks(&link.saved(&newest)), [newest.epoch.0]);
}
