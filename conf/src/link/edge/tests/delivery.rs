//! What is believed, applied and acked.

use super::*;

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
