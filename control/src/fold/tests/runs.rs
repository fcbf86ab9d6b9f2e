//! What runs of control say in the log, and what it is worth when it comes there late.

use super::*;

#[test]
fn what_becomes_of_the_word_of_runs() {
    let conflict = Outcome::Conflict;
    let cases: Vec<(&str, Vec<Entry>, Outcome)> = vec![
        (
            "a removal by the run that serves",
            vec![
                entry(2, replica_joined(1, 1)),
                entry(3, joined(7)),
                entry(4, taken_out(7, 1)),
            ],
            Outcome::Accepted,
        ),
        (
            "a removal by a run that was killed, which a broker held up until the next run served",
            vec![
                entry(2, replica_joined(1, 1)),
                entry(3, joined(7)),
                entry(4, replica_joined(2, 1)),
                entry(5, taken_out(7, 1)),
            ],
            conflict(Conflict::WriterGone),
        ),
        (
            "a removal by a run that has left",
            vec![
                entry(2, replica_joined(1, 1)),
                entry(3, joined(7)),
                entry(4, replica_left(1)),
                entry(5, taken_out(7, 1)),
            ],
            conflict(Conflict::WriterGone),
        ),
        (
            "a removal that is tried twice, and comes twice: who has joined again in between stays",
            vec![
                entry(2, replica_joined(1, 1)),
                entry(3, joined(7)),
                keyed(4, "removal/1", "7", taken_out(7, 1)),
                entry(5, welcomed(7, 1)),
                keyed(6, "removal/1", "7", taken_out(7, 1)),
            ],
            Outcome::Repeat(Original {
                id: Uuid::from_u128(4),
                epoch: Epoch(4),
                request: Some(Digest::of_parts([b"7".as_slice()])),
            }),
        ),
        (
            "a join that the run welcomes which serves",
            vec![entry(2, replica_joined(1, 1)), entry(3, welcomed(7, 1))],
            Outcome::Accepted,
        ),
        (
            "a join by a run that was killed, which a broker held up until the process had joined the next run and left",
            vec![
                entry(2, replica_joined(1, 1)),
                entry(3, replica_joined(2, 1)),
                entry(4, welcomed(7, 2)),
                entry(5, left(7)),
                entry(6, welcomed(7, 1)),
            ],
            conflict(Conflict::WriterGone),
        ),
        (
            "an announcement in the place of the run that is there",
            vec![
                entry(2, replica_replaces(1, None)),
                entry(3, replica_replaces(2, Some(1))),
            ],
            Outcome::Accepted,
        ),
        (
            "an announcement by a run that was killed, which a broker held up until another run served",
            vec![
                entry(2, replica_replaces(1, None)),
                entry(3, replica_replaces(3, Some(1))),
                entry(4, replica_replaces(2, Some(1))),
            ],
            conflict(Conflict::OtherRun {
                present: Some(run(3)),
            }),
        ),
        (
            "an announcement again, when the run is over",
            vec![
                entry(2, replica_replaces(1, None)),
                entry(3, replica_replaces(2, Some(1))),
                entry(4, replica_replaces(1, None)),
            ],
            conflict(Conflict::OtherRun {
                present: Some(run(2)),
            }),
        ),
        (
            "an older version's announcement, whoever is there",
            vec![
                entry(2, replica_replaces(1, None)),
                entry(3, replica_joined(2, 1)),
            ],
            Outcome::Accepted,
        ),
        (
            "alone",
            vec![
                entry(2, replica_replaces(1, None)),
                entry(3, replica_alone(1)),
            ],
            Outcome::Accepted,
        ),
        (
            "alone, by a run that was replaced",
            vec![
                entry(2, replica_replaces(1, None)),
                entry(3, replica_replaces(2, Some(1))),
                entry(4, replica_alone(1)),
            ],
            conflict(Conflict::NoSuchReplica),
        ),
    ];
    for (name, rest, expected) in cases {
        let entries: Vec<_> = std::iter::once(entry(1, created())).chain(rest).collect();
        check(name, &entries, expected);
    }
}

/// Taken out by a run of control.
fn taken_out(number: u128, replica: u128) -> Change {
    Change::EdgeLeft {
        replica: Some(run(replica)),
        process: process(number),
        why: LeaveReason::Removed,
    }
}
