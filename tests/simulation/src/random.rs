//! Chance, all of it from the seed (SplitMix64, Steele et al., OOPSLA 2014).

use std::{ops::Range, time::Duration};

/// A sequence of numbers that its seed decides.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A sequence of its own, so that what one part of the world draws does not move what another draws.
    pub fn branch(&mut self) -> Self {
        Self(self.draw())
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw().checked_rem(end).unwrap_or(0)
    }

    /// An index of a slice of that length.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// A number of a range.
    pub fn of(&mut self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }

    /// True so many times of a thousand.
    pub fn permille(&mut self, of_thousand: u64) -> bool {
        self.below(1000) < of_thousand
    }

    /// A span between two, in milliseconds, to the microsecond.
    pub fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_micros(self.of(range.start * 1000..range.end * 1000))
    }

    /// A span between two.
    pub fn span(&mut self, from: Duration, to: Duration) -> Duration {
        let (from, to) = (from.as_micros() as u64, to.as_micros() as u64);
        Duration::from_micros(self.of(from..to.max(from + 1)))
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.index(of.len()))
    }
}

/// Spreads a number over all its bits.
pub fn mix(number: u64) -> u64 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
