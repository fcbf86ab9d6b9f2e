//! Strangers may be refused as often as they like; records of it are bounded.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// Refusals of one address that have a record of their own, in one [`WINDOW`].
pub const RECORDED_PER_ADDRESS: u32 = 10;
/// The same of all addresses.
pub const RECORDED_IN_ALL: u32 = 300;
/// How long a window is.
pub const WINDOW: Duration = Duration::from_mins(1);
/// Addresses that are known at a time; of more, all share one count.
pub const ADDRESSES_MAX: usize = 4096;

/// What was refused in this window, and what had no record since the last one that had.
#[derive(Debug, Default)]
pub struct Quiet {
    began: Option<Instant>,
    recorded: u32,
    addresses: HashMap<Option<IpAddr>, u32>,
    unrecorded: u64,
}

impl Quiet {
    /// Whether a refusal has a record: then how many had none before it.
    pub fn admits(&mut self, from: Option<IpAddr>, now: Instant) -> Option<u64> {
        if self
            .began
            .is_none_or(|began| now.saturating_duration_since(began) >= WINDOW)
        {
            self.began = Some(now);
            self.recorded = 0;
            self.addresses.clear();
        }
        let is_known = self.addresses.contains_key(&from);
        let from = from.filter(|_| is_known || self.addresses.len() < ADDRESSES_MAX);
        let count = self.addresses.entry(from).or_default();
        if *count >= RECORDED_PER_ADDRESS || self.recorded >= RECORDED_IN_ALL {
            self.unrecorded += 1;
            return None;
        }
        *count += 1;
        self.recorded += 1;
        Some(std::mem::take(&mut self.unrecorded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_that_goes_on_is_counted_and_others_are_recorded() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        let [one, other] = [1, 2].map(|last| Some(IpAddr::from([192, 0, 2, last])));
        for _ in 0..RECORDED_PER_ADDRESS {
            assert_eq!(quiet.admits(one, start), Some(0));
        }
        for _ in 0..5 {
            assert_eq!(quiet.admits(one, start), None);
        }
        assert_eq!(
            quiet.admits(other, start),
            Some(5),
            "it tells of those without"
        );
        assert_eq!(quiet.admits(one, start + WINDOW), Some(0));
    }

    #[test]
    fn all_together_are_bounded() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        let admitted = (0..100_000_u32)
            .filter(|number| {
                let from = IpAddr::from(number.to_be_bytes());
                quiet.admits(Some(from), start).is_some()
            })
            .count();
        assert_eq!(admitted, RECORDED_IN_ALL as usize);
        assert!(quiet.addresses.len() <= ADDRESSES_MAX + 1);
    }
}
