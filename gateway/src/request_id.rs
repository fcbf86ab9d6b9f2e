//! Ids of requests: UUIDs of version 7 (RFC 9562 §5.7), in the order in which the requests came to this process. The library's
//! own asks the kernel for chance each time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};
use uuid::Uuid;

/// Behind the milliseconds, this many bits count within one (§6.2, method 1).
const COUNTER_BITS: u32 = 12;

/// Milliseconds and counter of the newest id.
static NEWEST: AtomicU64 = AtomicU64::new(0);

/// A new id. Nobody can guess it: 62 bits of it are chance.
pub fn new(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let place = next(&NEWEST, since.as_millis() as u64);
    let (millis, counter) = (place >> COUNTER_BITS, place & ((1 << COUNTER_BITS) - 1));
    let chance = rand::random::<u64>() >> 2;
    let id = u128::from(millis) << 80
        | 0x7 << 76
        | u128::from(counter) << 64
        | 0b10 << 62
        | u128::from(chance);
    let mut text = Uuid::encode_buffer();
    Uuid::from_u128(id)
        .hyphenated()
        .encode_lower(&mut text)
        .to_owned()
}

/// The place after the newest, or the first of this millisecond. A clock that goes back, or more ids than a millisecond
/// holds, go on counting where they are.
fn next(newest: &AtomicU64, millis: u64) -> u64 {
    let first = millis << COUNTER_BITS;
    let after = |newest: u64| first.max(newest + 1);
    let before = newest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |newest| {
        Some(after(newest))
    });
    before.map_or(first, after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ids_are_of_version_7_and_in_order() {
        let now = SystemTime::now();
        let ids: Vec<_> = (0..10_000).map(|_| new(now)).collect();
        assert!(ids.is_sorted());
        let id: Uuid = ids[0].parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        let (seconds, _) = id.get_timestamp().unwrap().to_unix();
        let since = now.duration_since(UNIX_EPOCH).unwrap();
        assert!(seconds.abs_diff(since.as_secs()) <= 10, "{seconds}");
        let chance = |id: &String| id[19..].to_owned();
        assert_ne!(chance(&ids[0]), chance(&ids[1]));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_take_the_order_along() {
        let newest = AtomicU64::new(0);
        let millis = |at: Duration| next(&newest, at.as_millis() as u64);
        let first = millis(Duration::from_secs(2));
        assert_eq!(first, 2_000 << COUNTER_BITS);
        assert_eq!(millis(Duration::from_secs(1)), first + 1);
        assert_eq!(millis(Duration::from_secs(3)), 3_000 << COUNTER_BITS);
    }
}
