mod judging;

use super::*;
use crate::fold::{Conflict, Folded, Outcome, fold};
use latencify_conf::{
    change::{
        Change, Entry, Epoch, Gates, LogId, ProcessId, RolloutEnd, RolloutStep, SiteId, Stage,
    },
    digest::Digest,
};
use time::OffsetDateTime;
use uuid::Uuid;

fn canary_then_all() -> Plan {
    Plan {
        stages: vec![Stage::Edges(vec!["paris".to_owned()]), Stage::Percent(100)],
        soak_ms: 10_000,
        deadline_ms: 5_000,
        gates: Gates::default(),
    }
}

/// A state to which entries are folded.
struct Folding(State, u64);

impl Folding {
    fn begun() -> Self {
        Self(State::before(LogId(Uuid::from_u128(1))), 0)
    }

    fn entry(&mut self, change: Change) -> Outcome {
        self.1 += 1;
        let entry = Entry {
            id: Uuid::from_u128(self.1.into()),
            key: None,
            request: None,
            by: "test".into(),
            at: OffsetDateTime::UNIX_EPOCH,
            change,
        };
        let folded: Folded = fold(&self.0, None, Epoch(self.1), &entry);
        self.0
            .apply(Epoch(self.1), &entry.encode().unwrap(), &folded);
        folded.outcome
    }

    fn policy(&mut self, sites: &[&str], base: Option<u64>) -> Outcome {
        self.entry(Change::Policy {
            digest: digest(sites),
            sites: sites.iter().map(ToString::to_string).collect(),
            base: base.map(Revision),
            message: String::new(),
        })
    }

    fn rollout(&mut self, sites: &[&str], base: Option<u64>) -> Outcome {
        self.entry(Change::RolloutStarted {
            digest: digest(sites),
            sites: sites.iter().map(ToString::to_string).collect(),
            base: base.map(Revision),
            message: String::new(),
            plan: canary_then_all(),
        })
    }

    fn step(&mut self, revision: u64, step: u32, to: RolloutStep) -> Outcome {
        let revision = Revision(revision);
        self.entry(Change::RolloutStepped { revision, step, to })
    }

    fn end(&mut self, revision: u64, step: u32, why: RolloutEnd) -> Outcome {
        let revision = Revision(revision);
        self.entry(Change::RolloutEnded {
            revision,
            step,
            why,
        })
    }

    fn purge(&mut self, seen: u64) -> Outcome {
        self.entry(Change::Purge {
            mode: latencify_conf::change::Mode::Hard,
            targets: vec![latencify_conf::change::Target::All],
            event: None,
            seen: Some(Revision(seen)),
        })
    }

    /// The revision that an edge is to run, and the ids of its sites.
    fn target(&self, edge: &str) -> (u64, Vec<(&str, u64)>) {
        let head = target(&self.0, edge, &BTreeMap::new()).unwrap();
        let sites = head.sites.iter();
        let sites = sites.map(|(name, SiteId(id))| (name.as_str(), *id));
        (head.revision.0, sites.collect())
    }
}

fn digest(sites: &[&str]) -> Digest {
    Digest::of_parts(sites.iter().map(|site| site.as_bytes()))
}

fn moved(revision: u64, step: u32) -> Outcome {
    Outcome::Conflict(Conflict::RolloutMoved {
        at: Some((Revision(revision), step)),
    })
}

#[test]
fn the_canary_runs_the_candidate_and_the_others_what_they_ran() {
    let mut log = Folding::begun();
    assert_eq!(log.policy(&["blog", "shop"], None), Outcome::Accepted);
    assert_eq!(log.rollout(&["shop", "wiki"], Some(1)), Outcome::Accepted);
    assert_eq!(log.target("paris"), (2, vec![("shop", 2), ("wiki", 3)]));
    assert_eq!(log.target("tokyo"), (1, vec![("blog", 1), ("shop", 2)]));
    assert_eq!(log.step(2, 0, RolloutStep::Stage(1)), Outcome::Accepted);
    assert_eq!((log.target("paris").0, log.target("tokyo").0), (2, 2));
    assert_eq!(log.end(2, 1, RolloutEnd::Completed), Outcome::Accepted);
    assert_eq!((log.0.rollout.clone(), log.target("tokyo").0), (None, 2));
}

#[test]
fn a_returned_candidate_leaves_the_fleet_on_what_it_ran_and_its_number_and_ids_to_nobody() {
    let mut log = Folding::begun();
    log.policy(&["blog"], None);
    log.rollout(&["blog", "wiki"], None);
    assert_eq!(log.end(2, 0, RolloutEnd::Aborted), Outcome::Accepted);
    assert_eq!(log.target("paris"), (1, vec![("blog", 1)]));
    assert_eq!(
        (log.0.head.as_ref().unwrap().revision, log.0.newest),
        (Revision(1), Revision(2))
    );
    // What is submitted on top of what runs is no conflict, whatever was tried meanwhile.
    assert_eq!(log.policy(&["blog", "wiki"], Some(1)), Outcome::Accepted);
    assert_eq!(log.target("tokyo"), (3, vec![("blog", 1), ("wiki", 3)]));
}

#[test]
fn steps_are_taken_once_by_whoever_saw_the_newest() {
    let mut log = Folding::begun();
    log.policy(&["shop"], None);
    log.rollout(&["shop"], None);
    assert_eq!(log.step(2, 0, RolloutStep::Pause), Outcome::Accepted);
    for late in [
        log.step(2, 0, RolloutStep::Stage(1)),
        log.end(2, 0, RolloutEnd::Promoted),
        log.end(1, 1, RolloutEnd::Promoted),
        // Paused, or so already.
        log.step(2, 1, RolloutStep::Stage(1)),
        log.step(2, 1, RolloutStep::Pause),
    ] {
        assert_eq!(late, moved(2, 1));
    }
    assert_eq!(log.step(2, 1, RolloutStep::Resume), Outcome::Accepted);
    for nowhere in [0, 2] {
        assert_eq!(log.step(2, 2, RolloutStep::Stage(nowhere)), moved(2, 2));
    }
    assert_eq!(log.end(2, 2, RolloutEnd::Promoted), Outcome::Accepted);
    let over = Outcome::Conflict(Conflict::RolloutMoved { at: None });
    assert_eq!(log.end(2, 3, RolloutEnd::Aborted), over);
    assert_eq!(log.target("tokyo").0, 2);
}

#[test]
fn what_is_rolled_out_is_replaced_by_name_alone() {
    let mut log = Folding::begun();
    log.policy(&["shop"], None);
    log.rollout(&["shop", "wiki"], None);
    assert_eq!(
        log.policy(&["shop"], None),
        moved(2, 0),
        "an operator who has not seen it"
    );
    let head = Revision(2);
    assert_eq!(
        log.policy(&["shop"], Some(1)),
        Outcome::Conflict(Conflict::HeadMoved { head })
    );
    assert_eq!(log.rollout(&["shop"], Some(2)), Outcome::Accepted);
    let rollout = log.0.rollout.as_ref().unwrap();
    assert_eq!(
        rollout.stable.as_ref().unwrap().revision,
        Revision(1),
        "what was never kept is not gone back to"
    );
    assert_eq!(log.policy(&["shop"], Some(3)), Outcome::Accepted);
    assert_eq!((log.0.rollout.clone(), log.target("tokyo").0), (None, 4));
}

#[test]
fn a_purge_that_was_resolved_before_a_candidate_came_is_resolved_again() {
    let mut log = Folding::begun();
    log.policy(&["shop"], None);
    log.rollout(&["shop"], None);
    let late = Outcome::Conflict(Conflict::HeadMoved { head: Revision(2) });
    assert_eq!(log.purge(1), late);
    assert_eq!(log.purge(2), Outcome::Accepted);
    log.end(2, 0, RolloutEnd::Aborted);
    assert_eq!(log.purge(1), late, "edges may run the candidate yet");
    assert_eq!(log.purge(2), Outcome::Accepted);
}

#[tokio::test]
async fn the_store_gives_the_state_back_at_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::store::Store::open(folder.path()).await.unwrap();
    let log = LogId(Uuid::from_u128(1));
    let mut state = store.bind(log).await.unwrap();
    let policy = |n: u8| (Digest([n; 32]), vec!["shop".to_owned()]);
    let started = |n, base| {
        let (digest, sites) = policy(n);
        Change::RolloutStarted {
            digest,
            sites,
            base,
            message: "why".into(),
            plan: canary_then_all(),
        }
    };
    let plain = {
        let (digest, sites) = policy(1);
        Change::Policy {
            digest,
            sites,
            base: None,
            message: String::new(),
        }
    };
    let stepped = |revision, step, to| Change::RolloutStepped { revision, step, to };
    let ended = |revision, step, why| Change::RolloutEnded {
        revision,
        step,
        why,
    };
    let changes = [
        started(1, None),
        stepped(Revision(1), 0, RolloutStep::Stage(1)),
        ended(Revision(1), 1, RolloutEnd::Completed),
        started(2, None),
        stepped(Revision(2), 0, RolloutStep::Pause),
        ended(Revision(2), 1, RolloutEnd::Aborted),
        started(3, Some(Revision(1))),
        started(4, Some(Revision(3))),
        ended(Revision(4), 0, RolloutEnd::Promoted),
        plain,
    ];
    let mut heads = Vec::new();
    let first = Change::LogCreated { log, from: None };
    for (at, change) in std::iter::once(first).chain(changes).enumerate() {
        let entry = Entry {
            id: Uuid::from_u128(at as u128 + 1),
            key: None,
            request: None,
            by: "user:ada".into(),
            at: OffsetDateTime::UNIX_EPOCH,
            change,
        };
        let bytes = bytes::Bytes::from(entry.encode().unwrap());
        let epoch = Epoch(at as u64 + 1);
        let batch = store
            .fold(&mut state, &[crate::log::Record { epoch, bytes }])
            .await
            .unwrap();
        let outcome = batch.settled[0].folded.outcome;
        assert_eq!(outcome, Outcome::Accepted, "{entry:?}");
        let again = store.bind(log).await.unwrap();
        assert_eq!(again, state, "after {entry:?}");
        heads.push(state.head.as_ref().map_or(0, |head| head.revision.0));
    }
    assert_eq!(heads, [0, 1, 1, 1, 2, 2, 1, 3, 4, 4, 5]);
    let row = store.rollout(Revision(2)).await.unwrap().unwrap();
    assert_eq!(row.end().unwrap(), Some(RolloutEnd::Aborted));
    let row = store.rollout(Revision(3)).await.unwrap().unwrap();
    assert_eq!(
        row.end().unwrap(),
        Some(RolloutEnd::Superseded(Revision(4)))
    );
}

fn process(number: u128) -> ProcessId {
    ProcessId(Uuid::from_u128(number))
}
