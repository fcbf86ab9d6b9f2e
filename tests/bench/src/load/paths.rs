//! The requests of a plan, one after the other, without an allocation each.

use crate::works::Paths;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

/// Digits of a number in a path.
const DIGITS: usize = 12;
/// So many draws are made before anything is measured, and then gone through again and again.
const DRAWS: usize = 1 << 20;

/// Requests, one after the other.
pub struct Requests {
    request: Vec<u8>,
    /// Where the number stands.
    number_at: usize,
    next: Next,
}

enum Next {
    Same,
    Counting { next: u64, end: u64 },
    Drawn { numbers: Vec<u32>, at: usize },
}

/// The path of one of many objects.
pub fn object(number: u64) -> String {
    format!("/obj/1024/{number:0DIGITS$}")
}

/// The path of something new.
pub fn unique(number: u64) -> String {
    format!("/new/1024/{number:0DIGITS$}")
}

impl Requests {
    /// As the plan says.
    pub fn new(paths: &Paths) -> Self {
        let (path, next) = match paths {
            Paths::One(path) => (path.clone(), Next::Same),
            Paths::Unique(first) => {
                let next = Next::Counting {
                    next: *first,
                    end: u64::MAX,
                };
                (unique(0), next)
            }
            Paths::Each(objects) => {
                let next = Next::Counting {
                    next: 0,
                    end: u64::from(*objects),
                };
                (object(0), next)
            }
            Paths::Zipf {
                objects,
                exponent,
                seed,
            } => {
                let numbers = zipf(*objects, *exponent, *seed, DRAWS);
                (object(0), Next::Drawn { numbers, at: 0 })
            }
        };
        Self {
            request: super::request(&path),
            number_at: "GET ".len() + path.len().saturating_sub(DIGITS),
            next,
        }
    }

    /// The next one; none, if all were given out.
    pub fn next(&mut self) -> Option<&[u8]> {
        let number = match &mut self.next {
            Next::Same => return Some(&self.request),
            Next::Counting { next, end } if *next < *end => {
                *next += 1;
                *next - 1
            }
            Next::Counting { .. } => return None,
            Next::Drawn { numbers, at } => {
                let number = numbers.get(*at).copied().unwrap_or_default();
                *at = (*at + 1) % numbers.len().max(1);
                u64::from(number)
            }
        };
        self.write(number);
        Some(&self.request)
    }

    fn write(&mut self, mut number: u64) {
        let digits = self.request.iter_mut().skip(self.number_at).take(DIGITS);
        for digit in digits.rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
}

/// Draws of `1/k^exponent`, each popular object anywhere among the numbers: neighbours in popularity are not neighbours in time.
fn zipf(objects: u32, exponent: f64, seed: u64, draws: usize) -> Vec<u32> {
    let mut sum = 0.0;
    let cumulated: Vec<f64> = (1..=objects)
        .map(|rank| {
            sum += f64::from(rank).powf(-exponent);
            sum
        })
        .collect();
    let mut chance = SmallRng::seed_from_u64(seed);
    (0..draws)
        .map(|_| {
            let drawn = chance.random::<f64>() * sum;
            let rank = cumulated.partition_point(|&end| end <= drawn) as u64;
            scattered(rank.min(u64::from(objects) - 1), objects)
        })
        .collect()
}

/// Another number for each rank: a step that has no divisor in common with how many there are goes through all of them.
fn scattered(rank: u64, objects: u32) -> u32 {
    let objects = u64::from(objects);
    let mut step = objects * 618 / 1_000 + 1;
    while common_divisor(step, objects) != 1 {
        step += 1;
    }
    (rank * step % objects) as u32
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn path(request: &[u8]) -> String {
        let text = String::from_utf8(request.to_vec()).unwrap();
        text.split(' ').nth(1).unwrap().to_owned()
    }

    #[test]
    fn numbers_are_written_into_the_request() {
        let mut requests = Requests::new(&Paths::Unique(1_999_999_999));
        assert_eq!(path(requests.next().unwrap()), unique(1_999_999_999));
        assert_eq!(path(requests.next().unwrap()), unique(2_000_000_000));
        let mut each = Requests::new(&Paths::Each(2));
        assert_eq!(path(each.next().unwrap()), object(0));
        assert_eq!(path(each.next().unwrap()), object(1));
        assert!(each.next().is_none());
        let mut same = Requests::new(&Paths::One("/a".to_owned()));
        assert_eq!(path(same.next().unwrap()), "/a");
        assert_eq!(path(same.next().unwrap()), "/a");
    }

    #[test]
    fn every_rank_has_a_number_of_its_own() {
        for objects in [1_000, 1_024, 9_973] {
            let numbers: BTreeSet<_> = (0..objects)
                .map(|rank| scattered(rank, objects as u32))
                .collect();
            assert_eq!(numbers.len() as u64, objects);
        }
    }

    #[test]
    fn popularity_falls_as_zipf_says() {
        let draws = 400_000;
        let drawn = zipf(1_000, 0.9, 1, draws);
        assert_eq!(drawn, zipf(1_000, 0.9, 1, draws), "a seed is a seed");
        let share = |rank: u64| {
            let number = scattered(rank, 1_000);
            drawn.iter().filter(|&&found| found == number).count() as f64 / draws as f64
        };
        let sum: f64 = (1..=1_000).map(|rank| f64::from(rank).powf(-0.9)).sum();
        for rank in [0_u64, 1, 9, 99] {
            let wanted = ((rank + 1) as f64).powf(-0.9) / sum;
            let seen = share(rank);
            assert!(
                (seen / wanted - 1.0).abs() < 0.15,
                "rank {rank}: {seen} instead of {wanted}"
            );
        }
    }
}
