//! Streams that a mistaken or forged replica has had its hands in.

use super::*;
use proptest::prelude::*;

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
