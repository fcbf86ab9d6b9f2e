use super::*;

fn plan(stages: Vec<Stage>) -> Plan {
    Plan {
        stages,
        ..Plan::usual()
    }
}

#[test]
fn a_stage_keeps_the_edges_of_those_before_it_and_the_last_has_all() {
    let label = [("tier".to_owned(), "test".to_owned())];
    let plan = plan(vec![
        Stage::Edges(vec!["paris".to_owned()]),
        Stage::Labels(label.clone().into()),
        Stage::Percent(30),
        Stage::Percent(100),
    ]);
    plan.check().unwrap();
    let (none, tagged) = (BTreeMap::new(), BTreeMap::from(label));
    assert!(plan.covers(0, "paris", &none) && !plan.covers(0, "tokyo", &tagged));
    assert!(plan.covers(1, "tokyo", &tagged) && plan.covers(1, "paris", &none));
    let names: Vec<_> = (0..1_000).map(|n| format!("edge-{n}")).collect();
    let share = |stage| {
        names
            .iter()
            .filter(|name| plan.covers(stage, name, &none))
            .count()
    };
    assert!((230..370).contains(&share(2)), "{}", share(2));
    assert_eq!(share(3), names.len());
}

/// Computed apart from this code: a fleet that is upgraded must not change who is a canary.
#[test]
fn the_hash_of_names_never_changes() {
    let places = ["paris", "tokyo", "nyc"].map(place_in_a_hundred);
    assert_eq!(places, PLACES);
}

const PLACES: [u8; 3] = [50, 70, 89];

#[test]
fn a_plan_that_can_not_be_meant_is_refused_with_the_reason() {
    let all = || Stage::Percent(100);
    let cases = [
        (plan(vec![]), "1 to 20 stages"),
        (plan(vec![all(); 21]), "1 to 20 stages"),
        (plan(vec![Stage::Percent(10)]), "100%"),
        (plan(vec![Stage::Percent(0), all()]), "stage 1"),
        (
            plan(vec![Stage::Percent(50), Stage::Percent(10), all()]),
            "grow",
        ),
        (
            plan(vec![Stage::Edges(vec![]), all()]),
            "stage 1 names no edge",
        ),
        (
            Plan {
                soak_ms: u64::MAX,
                ..Plan::usual()
            },
            "soak",
        ),
        (
            Plan {
                deadline_ms: 0,
                ..Plan::usual()
            },
            "deadline",
        ),
        (
            Plan {
                gates: Gates {
                    errors_ppm_max: Some(MILLION + 1),
                    ..Gates::default()
                },
                ..Plan::usual()
            },
            "5xx",
        ),
    ];
    for (plan, why) in cases {
        let error = plan.check().unwrap_err().to_string();
        assert!(error.contains(why), "{error} for {plan:?}");
    }
    Plan::usual().check().unwrap();
}
