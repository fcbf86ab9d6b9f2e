//! The power is lost after any act of the disk, and of what was not synced any part is lost: what is found afterwards is
//! something that was stored under that key, whole; and what was synced is there.

use super::{
    model::{Chance, Model},
    *,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What happens to a tier.
#[derive(Debug, Clone, Copy)]
enum Step {
    Put { name: u8, length: u16 },
    Get { name: u8 },
    Remove { name: u8 },
    Renew { name: u8 },
    Save,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..12_u8, 0..4000_u16).prop_map(|(name, length)| Step::Put { name, length }),
        4 => (0..12_u8).prop_map(|name| Step::Get { name }),
        2 => (0..12_u8).prop_map(|name| Step::Remove { name }),
        1 => (0..12_u8).prop_map(|name| Step::Renew { name }),
        1 => Just(Step::Save),
        1 => Just(Step::Restart),
    ]
}

/// Every (generation, length) that was stored under a name, and what is there now.
#[derive(Default)]
struct Story {
    ever: BTreeMap<u8, BTreeSet<(u64, usize)>>,
    now: BTreeMap<u8, (u64, usize)>,
}

fn name_of(name: u8) -> String {
    format!("n{name}")
}

fn play(steps: &[Step]) -> (Model, Story) {
    let model = Model::default();
    let mut tier = open(&model);
    let mut story = Story::default();
    let mut generation = 0;
    for step in steps {
        match *step {
            Step::Put { name, length } => {
                generation += 1;
                let length = usize::from(length);
                put(&tier, &name_of(name), generation, length).unwrap();
                story
                    .ever
                    .entry(name)
                    .or_default()
                    .insert((generation, length));
                story.now.insert(name, (generation, length));
            }
            Step::Get { name } => match get(&tier, &name_of(name)) {
                Ok(found) => assert_eq!(Some(&found), story.now.get(&name)),
                // Evicted.
                Err(miss) => assert_eq!(miss, Miss::Absent),
            },
            Step::Remove { name } => {
                tier.remove(key(&name_of(name)), None);
                story.now.remove(&name);
            }
            Step::Renew { name } => {
                if let Ok(stored) = find(&tier, &name_of(name)) {
                    generation += 1;
                    // The body says of which generation it is; so does the header, still.
                    let mut renewed = stored.head().clone();
                    renewed.fetch.generation = generation;
                    kept(tier.renew(stored.version(), renewed)).unwrap();
                }
            }
            Step::Save => tier.save(),
            Step::Restart => {
                close(&tier);
                tier = open(&model);
            }
        }
    }
    close(&tier);
    (model, story)
}

fn check(model: &Model, story: &Story, what: &str) {
    let tier = open(model);
    for (name, ever) in &story.ever {
        match get(&tier, &name_of(*name)) {
            Ok(found) => assert!(ever.contains(&found), "{what}: {name} has {found:?}"),
            Err(Miss::Absent | Miss::Damaged | Miss::Evicted) => {}
            Err(miss) => panic!("{what}: {name}: {miss:?}"),
        }
    }
    // And it stores again, over whatever was left.
    put(&tier, "after", u64::from(u32::MAX), 3000).unwrap();
    assert_eq!(get(&tier, "after").unwrap().1, 3000, "{what}");
    let bytes_max = settings().bytes_max;
    assert!(
        model.bytes() <= bytes_max,
        "{what}: {} of {bytes_max}",
        model.bytes()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_power_loss_tears_nothing(steps in prop::collection::vec(step(), 1..120), seed in any::<u64>()) {
        let (model, story) = play(&steps);
        let mut chance = Chance(seed | 1);
        for _ in 0..8 {
            let acts = chance.below(model.acts() as u64 + 1) as usize;
            let seed = chance.below(u64::MAX);
            check(&model.cut(acts, seed), &story, &format!("after {acts} acts, seed {seed}"));
        }
    }

    #[test]
    fn what_a_close_has_saved_is_there_whatever_is_lost_later(steps in prop::collection::vec(step(), 1..80), seed in any::<u64>()) {
        let (model, story) = play(&steps);
        let cut = model.cut(model.acts(), seed);
        let tier = open(&cut);
        let after = open(&model);
        for (name, now) in &story.now {
            let found = get(&tier, &name_of(*name));
            prop_assert_eq!(&found, &get(&after, &name_of(*name)), "{}", name);
            if let Ok(found) = found {
                prop_assert_eq!(found, *now, "{}", name);
            }
        }
        for name in story.ever.keys().filter(|name| !story.now.contains_key(name)) {
            prop_assert_eq!(get(&tier, &name_of(*name)), Err(Miss::Absent), "{} was removed", name);
        }
    }
}

/// Every act of one story, one after the other.
#[test]
fn the_power_may_go_after_any_act() {
    let mut chance = Chance(0x5eed);
    let steps: Vec<_> = (0..60)
        .map(|_| match chance.below(8) {
            0 => Step::Remove {
                name: chance.below(6) as u8,
            },
            1 => Step::Save,
            2 => Step::Renew {
                name: chance.below(6) as u8,
            },
            _ => Step::Put {
                name: chance.below(6) as u8,
                length: chance.below(3000) as u16,
            },
        })
        .collect();
    let (model, story) = play(&steps);
    for acts in 0..=model.acts() {
        for seed in 0..3 {
            check(
                &model.cut(acts, seed),
                &story,
                &format!("after {acts} acts, seed {seed}"),
            );
        }
    }
}
