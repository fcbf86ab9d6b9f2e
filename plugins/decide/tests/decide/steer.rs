//! The order of origins.

use crate::house::{NEW_YORK, PARIS, TOKYO, policy, weighted};
use latencify_conf::{
    Point,
    policy::{OriginId, Steering},
};
use latencify_decide::steer::{Health, order};
use proptest::prelude::*;

const LYON: Point = Point {
    latitude: 45.76,
    longitude: 4.84,
};
const NEAR_PARIS: Point = Point {
    latitude: 48.95,
    longitude: 2.45,
};

fn run(
    steering: &Steering,
    places: &[Option<Point>],
    client: Option<Point>,
    ill: &[usize],
    random: u64,
) -> Vec<usize> {
    let policy = policy(vec![], places);
    let health = |id: OriginId| {
        if ill.contains(&id.0) {
            Health::Unhealthy
        } else {
            Health::Healthy
        }
    };
    order(steering, &policy, client, &health, random)
        .into_iter()
        .map(|id| id.0)
        .collect()
}

#[test]
fn the_nearest_healthy_origin_comes_first() {
    let places = [Some(PARIS), Some(TOKYO), Some(NEW_YORK), None];
    let nearest = Steering::Nearest(weighted(&[1, 1, 1, 1]));
    let check = |client, ill: &[usize], expected: [usize; 4]| {
        for random in 0..20 {
            assert_eq!(
                run(&nearest, &places, Some(client), ill, random),
                expected,
                "{client:?} {ill:?}"
            );
        }
    };
    check(LYON, &[], [0, 2, 1, 3]);
    check(TOKYO, &[], [1, 0, 2, 3]);
    check(NEW_YORK, &[], [2, 0, 1, 3]);
    check(LYON, &[0], [2, 1, 3, 0]);
    check(LYON, &[0, 2], [1, 3, 0, 2]);
    check(LYON, &[0, 1, 2, 3], [0, 2, 1, 3]);
}

#[test]
fn equally_near_origins_share_by_weight() {
    let places = [Some(PARIS), Some(NEAR_PARIS), Some(TOKYO)];
    let nearest = Steering::Nearest(weighted(&[3, 1, 100]));
    let firsts: Vec<usize> = (0..4_000)
        .map(|random| run(&nearest, &places, Some(LYON), &[], random)[0])
        .collect();
    let share = |id| firsts.iter().filter(|first| **first == id).count();
    assert!((2_850..=3_150).contains(&share(0)), "{} of 4000", share(0));
    assert_eq!(share(2), 0);
}

#[test]
fn without_a_place_the_weights_decide() {
    let places = [Some(PARIS), Some(TOKYO)];
    for steering in [
        Steering::Nearest(weighted(&[1, 4])),
        Steering::Weighted(weighted(&[1, 4])),
    ] {
        let second = (0..4_000)
            .filter(|random| run(&steering, &places, None, &[], *random)[0] == 1)
            .count();
        assert!((3_050..=3_350).contains(&second), "{second} of 4000");
    }
}

proptest! {
    #[test]
    fn every_origin_once_healthy_first_and_the_same_again(
        weights in proptest::collection::vec(1u32.., 0..6),
        ill in proptest::collection::vec(0usize..6, 0..4),
        near: bool,
        random: u64,
    ) {
        let places = vec![Some(PARIS); weights.len()];
        let steering = if near { Steering::Nearest(weighted(&weights)) } else { Steering::Weighted(weighted(&weights)) };
        let found = run(&steering, &places, Some(TOKYO), &ill, random);
        let mut sorted = found.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..weights.len()).collect::<Vec<_>>());
        prop_assert!(found.is_sorted_by_key(|id| ill.contains(id)));
        prop_assert_eq!(&found, &run(&steering, &places, Some(TOKYO), &ill, random));
    }
}
