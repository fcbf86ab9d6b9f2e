//! What was measured.

use crate::{
    peers::Peer,
    works::{Against, Demand, Measure, Work},
};

/// One round of one peer.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Answers per second.
    pub rate: f64,
    /// Median latency in µs.
    pub p50_us: f64,
    /// The latency that one in a hundred exceeds, in µs.
    pub p99_us: f64,
    /// Seconds of processor time for a million requests; of the peer alone.
    pub cpu_s_per_million: f64,
    /// Memory of its processes after the round, in MiB.
    pub memory_mib: f64,
    /// Its files in tmpfs after the round, in MiB.
    pub store_mib: f64,
}

impl Sample {
    fn of(&self, measure: Measure) -> f64 {
        match measure {
            Measure::Rate => self.rate,
            Measure::P99 => self.p99_us,
        }
    }
}

/// All rounds of a work.
#[derive(Debug)]
pub struct Results {
    /// The work.
    pub work: Work,
    /// Of each peer its rounds, in order; none: the round does not count.
    pub rounds: Vec<(Peer, Vec<Option<Sample>>)>,
    /// Rounds that do not count, and why.
    pub failures: Vec<String>,
    /// What else is to be said.
    pub notes: Vec<String>,
}

impl Results {
    /// The rounds of that peer that count.
    pub fn samples(&self, peer: Peer) -> Vec<Sample> {
        self.of(peer).iter().flatten().copied().collect()
    }

    /// The median of something over the rounds of that peer.
    pub fn median(&self, peer: Peer, what: impl Fn(&Sample) -> f64) -> Option<f64> {
        median(self.samples(peer).iter().map(what).collect())
    }

    /// The median of the ratios of single rounds, a peer's to another's.
    pub fn ratio(&self, peer: Peer, to: Peer) -> Option<f64> {
        let measure = self.work.measure();
        let pairs = self.of(peer).iter().zip(self.of(to));
        let ratios = pairs.filter_map(|(ours, theirs)| {
            Some(ours.as_ref()?.of(measure) / theirs.as_ref()?.of(measure))
        });
        median(ratios.collect())
    }

    /// The best of the peers that are no limit and not ours.
    pub fn best(&self) -> Option<Peer> {
        let measure = self.work.measure();
        let rivals = self
            .rounds
            .iter()
            .map(|&(peer, _)| peer)
            .filter(|peer| peer.is_rival());
        let measured = rivals.filter_map(|peer| {
            let value = self.median(peer, |sample| sample.of(measure))?;
            Some((
                peer,
                if measure == Measure::Rate {
                    -value
                } else {
                    value
                },
            ))
        });
        measured
            .min_by(|(_, one), (_, other)| one.total_cmp(other))
            .map(|(peer, _)| peer)
    }

    /// Ours against what the demand names; none, if one of them was not measured.
    pub fn against(&self, demand: Demand) -> Option<(Peer, f64)> {
        let other = match demand.against {
            Against::One(peer) => peer,
            Against::Best => self.best()?,
        };
        Some((other, self.ratio(Peer::Latencify, other)?))
    }

    fn of(&self, peer: Peer) -> &[Option<Sample>] {
        let found = self.rounds.iter().find(|(of, _)| *of == peer);
        found.map_or(&[], |(_, rounds)| rounds)
    }
}

/// The median; of an even number, the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Rounds in which nothing but that matters.
    pub fn results(work: Work, rounds: &[(Peer, &[Option<f64>])]) -> Results {
        let sample = |value: f64| Sample {
            rate: value,
            p50_us: value,
            p99_us: value,
            cpu_s_per_million: value,
            memory_mib: value,
            store_mib: value,
        };
        let rounds = rounds.iter().map(|(peer, values)| {
            (
                *peer,
                values.iter().map(|value| value.map(sample)).collect(),
            )
        });
        Results {
            work,
            rounds: rounds.collect(),
            failures: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn medians() {
        for (values, expected) in [
            (vec![], None),
            (vec![2.0], Some(2.0)),
            (vec![3.0, 1.0], Some(2.0)),
            (vec![9.0, 1.0, 2.0], Some(2.0)),
        ] {
            assert_eq!(median(values.clone()), expected, "{values:?}");
        }
    }

    #[test]
    fn rounds_are_compared_with_each_other_and_lost_ones_left_out() {
        // The machine slows down: every ratio is 2 all the same, and the ratio of the medians is not.
        let found = results(
            Work::Hit1k,
            &[
                (Peer::Nginx, &[Some(100.0), None, Some(50.0), Some(10.0)]),
                (Peer::Haproxy, &[Some(150.0), Some(75.0), None, Some(15.0)]),
                (Peer::Limit, &[Some(1e6), Some(1e6), Some(1e6), Some(1e6)]),
                (
                    Peer::Latencify,
                    &[Some(200.0), Some(90.0), Some(100.0), Some(20.0)],
                ),
            ],
        );
        assert_eq!(found.ratio(Peer::Latencify, Peer::Nginx), Some(2.0));
        assert_eq!(found.best(), Some(Peer::Haproxy), "the limit is no peer");
        assert_eq!(found.ratio(Peer::Latencify, Peer::Varnish), None);
    }

    #[test]
    fn the_best_latency_is_the_lowest() {
        let found = results(
            Work::Open,
            &[
                (Peer::Nginx, &[Some(100.0)]),
                (Peer::Haproxy, &[Some(150.0)]),
                (Peer::Latencify, &[Some(80.0)]),
            ],
        );
        assert_eq!(found.best(), Some(Peer::Nginx));
        assert_eq!(found.against(Work::Open.goal()), Some((Peer::Nginx, 0.8)));
    }
}
