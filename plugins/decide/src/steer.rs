//! Which origins are asked, in which order.

use latencify_conf::{
    Point,
    policy::{OriginId, Policy, Steering, WeightedOrigin},
};
use latencify_geoip::distance_km;

/// Origins whose distances from the client differ by less are equally near: GeoIP places are no more exact, and the light
/// takes half a millisecond.
pub const EQUALLY_NEAR_KM: f64 = 50.0;

/// What is known of an origin's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answers, as far as is known.
    Healthy,
    /// It fails its checks or was ejected; asked only when no healthy one is left.
    Unhealthy,
}

/// The origins of a route in the order in which they are to be tried: each once, the healthy ones first.
///
/// `Nearest`: by great-circle distance from the client; among equally near ones a random order by weight; origins without
/// a place come last. When the client's place is unknown, and for `Weighted`, a random order by weight alone.
/// The same `random` gives the same order.
pub fn order(
    steering: &Steering,
    policy: &Policy,
    client: Option<Point>,
    health: &dyn Fn(OriginId) -> Health,
    random: u64,
) -> Vec<OriginId> {
    let mut chance = Chance(random);
    let mut ordered = Vec::with_capacity(steering.origins().len());
    let (healthy, unhealthy): (Vec<_>, Vec<_>) = steering
        .origins()
        .iter()
        .partition(|candidate| health(candidate.origin) == Health::Healthy);
    for group in [healthy, unhealthy] {
        match (steering, client) {
            (Steering::Nearest(_), Some(client)) => {
                nearest(group, policy, client, &mut chance, &mut ordered);
            }
            (Steering::Nearest(_), None) | (Steering::Weighted(_), _) => {
                by_weight(group, &mut chance, &mut ordered);
            }
        }
    }
    ordered
}

/// How far an origin is from a client; none if either place is unknown.
pub fn distance(policy: &Policy, origin: OriginId, client: Option<Point>) -> Option<f64> {
    let place = policy.origins.get(origin.0)?.place?;
    Some(distance_km(client?, place))
}

fn nearest(
    group: Vec<WeightedOrigin>,
    policy: &Policy,
    client: Point,
    chance: &mut Chance,
    out: &mut Vec<OriginId>,
) {
    let mut placed: Vec<(f64, WeightedOrigin)> = Vec::with_capacity(group.len());
    let mut placeless = Vec::new();
    for candidate in group {
        match distance(policy, candidate.origin, Some(client)) {
            Some(km) => placed.push((km, candidate)),
            None => placeless.push(candidate),
        }
    }
    placed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    // A band starts at its nearest origin, so that bands don't grow by chains.
    let mut rest = placed.as_slice();
    while let Some((nearest_km, _)) = rest.first() {
        let count = rest
            .iter()
            .take_while(|(km, _)| km - nearest_km <= EQUALLY_NEAR_KM)
            .count()
            .max(1);
        let (band, further) = rest.split_at(count);
        by_weight(
            band.iter().map(|(_, candidate)| *candidate).collect(),
            chance,
            out,
        );
        rest = further;
    }
    by_weight(placeless, chance, out);
}

/// A random permutation: each place goes to one of those left, with a chance in proportion to its weight.
fn by_weight(mut left: Vec<WeightedOrigin>, chance: &mut Chance, out: &mut Vec<OriginId>) {
    while left.len() > 1 {
        let total: u64 = left
            .iter()
            .map(|candidate| u64::from(candidate.weight))
            .sum();
        let mut ticket = chance.below(total);
        let index = left
            .iter()
            .position(|candidate| {
                let weight = u64::from(candidate.weight);
                let won = ticket < weight;
                ticket = ticket.saturating_sub(weight);
                won
            })
            .unwrap_or(0);
        out.push(left.remove(index).origin);
    }
    out.extend(left.first().map(|candidate| candidate.origin));
}

/// SplitMix64: enough to spread one random number over a few choices.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The high half of the product is uniform up to bound / 2^64.
        ((u128::from(mixed) * u128::from(bound)) >> 64) as u64
    }
}
