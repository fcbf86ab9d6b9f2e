//! Whether the floors are kept and the goals reached.

use crate::{
    purge,
    sample::Results,
    works::{Demand, Measure, Work},
};

/// How ours stands to a demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// As demanded.
    Kept,
    /// Not.
    Missed,
    /// One side was not measured.
    Unknown,
}

/// A work, judged.
#[derive(Debug)]
pub struct Verdict {
    /// The work.
    pub work: Work,
    /// What ours was found to be, as people read it.
    pub found: String,
    /// The floor, as people read it.
    pub floor: String,
    /// Whether it is kept.
    pub floor_is: Standing,
    /// What was found for the goal.
    pub found_for_goal: String,
    /// The goal.
    pub goal: String,
    /// Whether it is reached.
    pub goal_is: Standing,
}

impl Standing {
    /// As people read it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Kept => "yes",
            Self::Missed => "**no**",
            Self::Unknown => "**not measured**",
        }
    }
}

/// Judges rounds. A round of ours that failed misses the floor, however fast the others were.
pub fn of_results(results: &Results) -> Verdict {
    let work = results.work;
    let judge = |demand: Demand| {
        let Some((other, ratio)) = results.against(demand) else {
            return ("–".to_owned(), Standing::Unknown);
        };
        let is_kept = work.measure().keeps(ratio, demand);
        let standing = if is_kept {
            Standing::Kept
        } else {
            Standing::Missed
        };
        (format!("{ratio:.2} × {other}"), standing)
    };
    let (found, mut floor_is) = judge(work.floor());
    let (found_for_goal, goal_is) = judge(work.goal());
    let ours = format!("{} round", crate::peers::Peer::Latencify);
    if results
        .failures
        .iter()
        .any(|failure| failure.starts_with(&ours))
    {
        floor_is = Standing::Missed;
    }
    Verdict {
        work,
        found,
        floor: demanded(work, work.floor()),
        floor_is,
        found_for_goal,
        goal: demanded(work, work.goal()),
        goal_is,
    }
}

/// Judges instructions.
pub fn of_purges(purges: &purge::Instructions) -> Verdict {
    let ratio = purges.ratio();
    let demand = Work::Purge.floor();
    let is_kept = ratio <= demand.ratio;
    let standing = if is_kept {
        Standing::Kept
    } else {
        Standing::Missed
    };
    let found = format!("{ratio:.3} × instructions");
    let demanded = format!("≤ {} × instructions", demand.ratio);
    Verdict {
        work: Work::Purge,
        found: found.clone(),
        floor: demanded.clone(),
        floor_is: standing,
        found_for_goal: found,
        goal: demanded,
        goal_is: standing,
    }
}

/// A work of which nothing was measured.
pub fn of_nothing(work: Work) -> Verdict {
    Verdict {
        work,
        found: "–".to_owned(),
        floor: demanded(work, work.floor()),
        floor_is: Standing::Unknown,
        found_for_goal: "–".to_owned(),
        goal: demanded(work, work.goal()),
        goal_is: Standing::Unknown,
    }
}

fn demanded(work: Work, demand: Demand) -> String {
    use crate::works::Against;
    let sign = match work.measure() {
        Measure::Rate => "≥",
        Measure::P99 => "p99 ≤",
    };
    match demand.against {
        Against::One(peer) => format!("{sign} {} × {peer}", demand.ratio),
        Against::Best => format!("{sign} {} × the best peer", demand.ratio),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{peers::Peer, sample::tests::results};

    fn check(
        work: Work,
        nginx: f64,
        varnish: f64,
        haproxy: f64,
        ours: f64,
        expected: (Standing, Standing),
    ) {
        let found = results(
            work,
            &[
                (Peer::Nginx, &[Some(nginx)]),
                (Peer::Varnish, &[Some(varnish)]),
                (Peer::Haproxy, &[Some(haproxy)]),
                (Peer::Latencify, &[Some(ours)]),
            ],
        );
        let verdict = of_results(&found);
        assert_eq!((verdict.floor_is, verdict.goal_is), expected, "{verdict:?}");
    }

    #[test]
    fn floors_and_goals_are_those_that_are_promised() {
        use Standing::{Kept, Missed};
        check(Work::Hit1k, 100.0, 50.0, 170.0, 129.0, (Missed, Missed));
        check(Work::Hit1k, 100.0, 50.0, 170.0, 130.0, (Kept, Missed));
        check(Work::Hit1k, 100.0, 50.0, 170.0, 170.0, (Kept, Kept));
        check(Work::Open, 100.0, 90.0, 170.0, 121.0, (Missed, Missed));
        check(Work::Open, 100.0, 90.0, 170.0, 120.0, (Kept, Missed));
        check(Work::Open, 100.0, 90.0, 170.0, 90.0, (Kept, Kept));
        check(Work::Hit64k, 100.0, 200.0, 200.0, 84.0, (Missed, Missed));
        check(Work::Hit64k, 100.0, 200.0, 200.0, 85.0, (Kept, Missed));
        check(Work::Hit64k, 100.0, 200.0, 200.0, 100.0, (Kept, Kept));
        check(Work::Hit1m, 10.0, 100.0, 10.0, 89.0, (Missed, Missed));
        check(Work::Hit1m, 10.0, 100.0, 10.0, 100.0, (Kept, Kept));
        check(Work::H2, 100.0, 1.0, 200.0, 150.0, (Kept, Missed));
        check(Work::Zipf, 100.0, 1.0, 200.0, 149.0, (Kept, Missed));
        check(Work::Miss, 100.0, 120.0, 50.0, 110.0, (Kept, Missed));
        check(Work::Pass, 100.0, 120.0, 150.0, 75.0, (Kept, Missed));
        check(Work::Pass, 100.0, 120.0, 150.0, 100.0, (Kept, Kept));
    }

    #[test]
    fn what_was_not_measured_is_not_kept_and_a_failed_round_of_ours_misses_the_floor() {
        let nobody = results(Work::Hit1k, &[(Peer::Latencify, &[Some(1e9)])]);
        let verdict = of_results(&nobody);
        assert_eq!(
            (verdict.floor_is, verdict.goal_is),
            (Standing::Unknown, Standing::Unknown)
        );
        let mut failed = results(
            Work::Hit1k,
            &[(Peer::Nginx, &[Some(1.0)]), (Peer::Latencify, &[Some(9.0)])],
        );
        failed
            .failures
            .push("latencify round 2: status 503".to_owned());
        assert_eq!(of_results(&failed).floor_is, Standing::Missed);
    }
}
