mod runs;

use super::*;
use crate::{
    log::Record,
    store::{Store, entity::entries},
};
use latencify_conf::change::{
    Mode, ProcessId, Replaces, ReplicaId, StoreId, StoreKind, StoreRef, Target,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use time::OffsetDateTime;
use uuid::Uuid;

const LOG: LogId = LogId(Uuid::from_u128(1));

fn process(number: u128) -> ProcessId {
    ProcessId(Uuid::from_u128(number))
}

fn entry(id: u128, change: Change) -> Entry {
    Entry {
        id: Uuid::from_u128(id),
        key: None,
        request: None,
        by: "test".into(),
        at: OffsetDateTime::UNIX_EPOCH,
        change,
    }
}

fn keyed(id: u128, key: &str, request: &str, change: Change) -> Entry {
    let request = Some(Digest::of_parts([request.as_bytes()]));
    Entry {
        key: Some(key.into()),
        request,
        ..entry(id, change)
    }
}

fn created() -> Change {
    Change::LogCreated {
        log: LOG,
        from: None,
    }
}

fn policy(sites: &[&str], base: Option<u64>) -> Change {
    Change::Policy {
        digest: Digest::of_parts(sites.iter().map(|site| site.as_bytes())),
        sites: sites.iter().map(ToString::to_string).collect(),
        base: base.map(Revision),
        message: String::new(),
    }
}

fn purge(event: Option<(&str, &str)>) -> Change {
    resolved(event, None)
}

/// A purge whose names were resolved by a head.
fn resolved(event: Option<(&str, &str)>, seen: Option<u64>) -> Change {
    let event = event.map(|(source, id)| EventId {
        source: source.into(),
        id: id.into(),
    });
    Change::Purge {
        mode: Mode::Hard,
        targets: vec![Target::All],
        event,
        seen: seen.map(Revision),
    }
}

fn joined(number: u128) -> Change {
    Change::EdgeJoined {
        process: process(number),
        edge: "paris".into(),
        about: BTreeMap::new(),
        replica: None,
    }
}

/// Welcomed by a run of control.
fn welcomed(number: u128, replica: u128) -> Change {
    Change::EdgeJoined {
        process: process(number),
        edge: "paris".into(),
        about: BTreeMap::new(),
        replica: Some(run(replica)),
    }
}

fn run(number: u128) -> ReplicaId {
    ReplicaId(Uuid::from_u128(number))
}

fn left(number: u128) -> Change {
    Change::EdgeLeft {
        replica: None,
        process: process(number),
        why: LeaveReason::Stopped,
    }
}

/// As an older version writes it.
fn replica_joined(replica: u128, store: u128) -> Change {
    announced(replica, store, None, None)
}

/// In the place of a run, or of nobody.
fn replica_replaces(replica: u128, other: Option<u128>) -> Change {
    announced(replica, 1, Some(Replaces::of(other.map(run))), Some(60_000))
}

fn replica_alone(replica: u128) -> Change {
    Change::ReplicaAlone {
        replica: run(replica),
    }
}

fn announced(
    replica: u128,
    store: u128,
    replaces: Option<Replaces>,
    unread_max_ms: Option<u64>,
) -> Change {
    Change::ReplicaJoined {
        replica: run(replica),
        name: "control".into(),
        store: StoreRef {
            kind: StoreKind::Sqlite,
            id: StoreId(Uuid::from_u128(store)),
        },
        version: "1".into(),
        replaces,
        unread_max_ms,
        lease_ms: None,
    }
}

fn replica_left(replica: u128) -> Change {
    Change::ReplicaLeft {
        replica: ReplicaId(Uuid::from_u128(replica)),
        why: LeaveReason::Stopped,
    }
}

/// The fold over a list of entries with an index of repeats in memory: the store's job, in its simplest form.
struct Model {
    state: State,
    repeats: HashMap<String, Original>,
    outcomes: Vec<Outcome>,
}

impl Model {
    fn new() -> Self {
        Self {
            state: State::before(LOG),
            repeats: HashMap::new(),
            outcomes: Vec::new(),
        }
    }

    fn take(&mut self, epoch: Epoch, entry: &Entry) {
        let original = repeat_name(entry).and_then(|name| self.repeats.get(&name).copied());
        let folded = fold(&self.state, original, epoch, entry);
        self.state.apply(epoch, &entry.encode().unwrap(), &folded);
        for effect in &folded.effects {
            if let Effect::Remember { name } = effect {
                self.repeats.insert(
                    name.clone(),
                    Original {
                        id: entry.id,
                        epoch,
                        request: entry.request,
                    },
                );
            }
        }
        self.outcomes.push(folded.outcome);
    }

    fn of(entries: &[Entry]) -> Self {
        let mut model = Self::new();
        for (epoch, entry) in (1..).map(Epoch).zip(entries) {
            model.take(epoch, entry);
        }
        model
    }
}

/// Folds entries at epochs 1, 2, 3 … and compares what became of the last one.
fn check(name: &str, entries: &[Entry], expected: Outcome) -> Model {
    let model = Model::of(entries);
    assert_eq!(model.outcomes.last(), Some(&expected), "{name}");
    model
}

#[test]
fn what_becomes_of_entries() {
    let first = entry(1, created());
    let conflict = Outcome::Conflict;
    let original = |id, epoch, request: Option<&str>| Original {
        id: Uuid::from_u128(id),
        epoch: Epoch(epoch),
        request: request.map(|text| Digest::of_parts([text.as_bytes()])),
    };
    let head_is = |head| {
        conflict(Conflict::HeadMoved {
            head: Revision(head),
        })
    };
    let cases: Vec<(&str, Vec<Entry>, Outcome)> = vec![
        ("the identity", vec![], Outcome::Accepted),
        (
            "a second identity",
            vec![entry(2, created())],
            conflict(Conflict::NotFirst),
        ),
        (
            "a policy",
            vec![entry(2, policy(&["a"], None))],
            Outcome::Accepted,
        ),
        (
            "the first policy, seen as such",
            vec![entry(2, policy(&["a"], Some(0)))],
            Outcome::Accepted,
        ),
        (
            "a base that never was",
            vec![entry(2, policy(&["a"], Some(1)))],
            head_is(0),
        ),
        (
            "a base that was overtaken",
            vec![
                entry(2, policy(&["a"], None)),
                entry(3, policy(&["b"], None)),
                entry(4, policy(&["c"], Some(1))),
            ],
            head_is(2),
        ),
        (
            "a base that holds",
            vec![
                entry(2, policy(&["a"], None)),
                entry(3, policy(&["b"], Some(1))),
            ],
            Outcome::Accepted,
        ),
        (
            "a key again",
            vec![
                keyed(2, "k", "r", purge(None)),
                keyed(3, "k", "r", purge(None)),
            ],
            Outcome::Repeat(original(2, 2, Some("r"))),
        ),
        (
            "a key with another request",
            vec![
                keyed(2, "k", "r", purge(None)),
                keyed(3, "k", "s", purge(None)),
            ],
            conflict(Conflict::KeyReused(original(2, 2, Some("r")))),
        ),
        (
            "a key whose first use was refused",
            vec![
                keyed(2, "k", "r", policy(&[], Some(7))),
                keyed(3, "k", "r", policy(&[], Some(0))),
            ],
            Outcome::Accepted,
        ),
        (
            "an event again",
            vec![
                entry(2, purge(Some(("s", "1")))),
                entry(3, purge(Some(("s", "1")))),
            ],
            Outcome::Repeat(original(2, 2, None)),
        ),
        (
            "the same id from another source",
            vec![
                entry(2, purge(Some(("s1", "1")))),
                entry(3, purge(Some(("s", "11")))),
            ],
            Outcome::Accepted,
        ),
        (
            "a purge by the head",
            vec![
                entry(2, policy(&["a"], None)),
                entry(3, resolved(None, Some(1))),
            ],
            Outcome::Accepted,
        ),
        (
            "a purge by a head that was overtaken",
            vec![
                entry(2, policy(&["a"], None)),
                entry(3, policy(&["b"], None)),
                entry(4, resolved(None, Some(1))),
            ],
            head_is(2),
        ),
        (
            "a purge before the first policy, folded after it",
            vec![
                entry(2, policy(&["a"], None)),
                entry(3, resolved(None, Some(0))),
            ],
            head_is(1),
        ),
        (
            "a purge that was overtaken has not used up its key",
            vec![
                entry(2, policy(&["a"], None)),
                keyed(3, "k", "r", resolved(None, Some(0))),
                keyed(4, "k", "r", resolved(None, Some(1))),
            ],
            Outcome::Accepted,
        ),
        (
            "nor the identity of its event",
            vec![
                entry(2, policy(&["a"], None)),
                entry(3, resolved(Some(("s", "1")), Some(0))),
                entry(4, resolved(Some(("s", "1")), Some(1))),
            ],
            Outcome::Accepted,
        ),
        ("a join", vec![entry(2, joined(7))], Outcome::Accepted),
        (
            "a join twice",
            vec![entry(2, joined(7)), entry(3, joined(7))],
            conflict(Conflict::AlreadyJoined),
        ),
        (
            "a leave",
            vec![entry(2, joined(7)), entry(3, left(7))],
            Outcome::Accepted,
        ),
        (
            "a leave of nobody",
            vec![entry(2, left(7))],
            conflict(Conflict::NotInRoster),
        ),
        (
            "a join after a leave",
            vec![entry(2, joined(7)), entry(3, left(7)), entry(4, joined(7))],
            Outcome::Accepted,
        ),
    ];
    for (name, rest, expected) in cases {
        let entries: Vec<_> = std::iter::once(first.clone()).chain(rest).collect();
        check(name, &entries, expected);
    }
    check(
        "another log's identity",
        &[entry(
            1,
            Change::LogCreated {
                log: LogId(Uuid::nil()),
                from: None,
            },
        )],
        conflict(Conflict::NotFirst),
    );
}

#[test]
fn a_name_counts_as_a_repeat_within_the_window_only() {
    let state = State::before(LOG);
    let original = Original {
        id: Uuid::nil(),
        epoch: Epoch(5),
        request: None,
    };
    let again = entry(9, purge(Some(("s", "1"))));
    let outcome = |epoch| fold(&state, Some(original), Epoch(epoch), &again).outcome;
    assert_eq!(
        outcome(5 + REPEAT_WINDOW_ENTRIES),
        Outcome::Repeat(original)
    );
    assert_eq!(outcome(6 + REPEAT_WINDOW_ENTRIES), Outcome::Accepted);
}

#[test]
fn a_site_keeps_its_id_while_it_stays_and_never_gets_an_old_one() {
    let ids = |sites: &[&[&str]]| {
        let entries: Vec<_> = (1..)
            .zip(sites)
            .map(|(id, sites)| entry(id, policy(sites, None)))
            .collect();
        let head = Model::of(&entries).state.head.unwrap();
        head.sites
            .into_iter()
            .map(|(name, id)| (name, id.0))
            .collect::<Vec<_>>()
    };
    let named = |pairs: &[(&str, u64)]| {
        pairs
            .iter()
            .map(|(name, id)| ((*name).to_owned(), *id))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&[&["b", "a", "a"]]), named(&[("a", 1), ("b", 2)]));
    assert_eq!(
        ids(&[&["a", "b"], &["b", "c"]]),
        named(&[("b", 2), ("c", 3)])
    );
    assert_eq!(
        ids(&[&["a"], &["b"], &["a"]]),
        named(&[("a", 3)]),
        "back again is not the same site"
    );
}

#[test]
fn only_accepted_entries_extend_the_chain() {
    let before = Model::of(&[entry(1, created())]).state;
    let after = Model::of(&[entry(1, created()), entry(2, left(7))]).state;
    assert_eq!(after.position, before.position);
    assert_eq!((before.applied, after.applied), (Epoch(1), Epoch(2)));
}

/// Entries that often meet each other: few keys, few events, few processes, few sites.
fn changes() -> impl Strategy<Value = Vec<Entry>> {
    let site = prop::sample::select(vec!["a", "b", "c"]);
    let name = prop::sample::select(vec!["1", "2"]);
    let change = prop_oneof![
        (
            prop::collection::vec(site, 0..3),
            prop::option::of(0..4_u64)
        )
            .prop_map(|(sites, base)| policy(&sites, base)),
        (
            prop::option::of((name.clone(), name)),
            prop::option::of(0..4_u64)
        )
            .prop_map(|(event, seen)| resolved(event, seen)),
        (0..3_u128).prop_map(joined),
        (0..3_u128).prop_map(left),
        (0..3_u128, 0..2_u128).prop_map(|(replica, store)| replica_joined(replica, store)),
        (0..3_u128, prop::option::of(0..3_u128))
            .prop_map(|(replica, other)| replica_replaces(replica, other)),
        (0..3_u128).prop_map(replica_left),
        (0..3_u128).prop_map(replica_alone),
        (0..3_u128, 0..3_u128).prop_map(|(process, replica)| welcomed(process, replica)),
        Just(created()),
    ];
    let key = prop::option::of((
        prop::sample::select(vec!["k", "l"]),
        prop::sample::select(vec!["r", "s"]),
    ));
    prop::collection::vec((key, change), 0..30).prop_map(|changes| {
        let numbered = (1..).zip(changes);
        numbered
            .map(|(id, (key, change))| match key {
                Some((key, request)) => keyed(id, key, request, change),
                None => entry(id, change),
            })
            .collect()
    })
}

/// Folds records into a fresh store, in batches that end at the given places, each batch twice.
async fn through_the_store(records: &[Record], cuts: &[usize]) -> (State, Vec<entries::Model>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let mut state = store.bind(LOG).await.unwrap();
    let mut start = 0;
    for end in cuts.iter().copied().chain([records.len()]) {
        let end = end.clamp(start, records.len());
        store.fold(&mut state, &records[start..end]).await.unwrap();
        let again = store.fold(&mut state, &records[..end]).await.unwrap();
        assert!(again.settled.is_empty(), "what is past is skipped");
        start = end;
    }
    assert_eq!(
        store.bind(LOG).await.unwrap(),
        state,
        "what is read back is what was in memory"
    );
    let entries = store.entries_after(Epoch(0), 1000).await.unwrap();
    (state, entries)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn store_and_model_agree_whatever_the_batches(entries in changes(), cuts in prop::collection::vec(0..30_usize, 0..4)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let model = Model::of(&entries);
        let records: Vec<_> = (1..).map(Epoch).zip(&entries)
            .map(|(epoch, entry)| Record { epoch, bytes: entry.encode().unwrap().into() })
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (state, stored) = runtime.block_on(through_the_store(&records, &cuts));
        prop_assert_eq!(&state, &model.state);
        let outcomes: Vec<_> = stored.iter().map(|row| row.outcome.as_str()).collect();
        let expected: Vec<_> = model.outcomes.iter().map(|outcome| outcome.as_str()).collect();
        prop_assert_eq!(outcomes, expected);
    }
}

#[tokio::test]
async fn an_entry_that_is_not_understood_stops_the_fold_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let mut state = store.bind(LOG).await.unwrap();
    let record = |epoch, bytes: Vec<u8>| Record {
        epoch: Epoch(epoch),
        bytes: bytes.into(),
    };
    let good = entry(1, created()).encode().unwrap();
    let newer = String::from_utf8(good.clone())
        .unwrap()
        .replace("log_created", "log_painted")
        .into_bytes();
    let batch = store
        .fold(
            &mut state,
            &[record(1, good.clone()), record(2, newer), record(3, good)],
        )
        .await
        .unwrap();
    assert_eq!((batch.settled.len(), state.applied), (1, Epoch(1)));
    let error = batch.stopped.unwrap().to_string();
    assert!(
        error.contains("epoch 2") && error.contains("upgrade"),
        "{error}"
    );
}

#[tokio::test]
async fn a_store_of_another_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.bind(LOG).await.unwrap();
    let error = store.bind(LogId(Uuid::from_u128(2))).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("start with the data folder that belongs to this log"),
        "{error}"
    );
}

#[test]
fn a_log_ends_only_right_behind_what_was_moved() {
    let mut state = State::before(LOG);
    state.applied = Epoch(7);
    let elsewhere = LogId(Uuid::nil());
    for (log, after, is_end) in [
        (LOG, 7, true),
        (LOG, 6, false),
        (LOG, 8, false),
        (elsewhere, 7, false),
    ] {
        let to = MovedTo {
            log: elsewhere,
            place: "there".into(),
            flags: "--data d".into(),
        };
        let after = Epoch(after);
        let last = entry(1, Change::LogMoved { log, after, to });
        assert_eq!(ends(&state, &last).is_some(), is_end, "{log:?} {after}");
        if !is_end {
            let outcome = fold(&state, None, Epoch(9), &last).outcome;
            assert_eq!(outcome, Outcome::Conflict(Conflict::NotLast));
        }
    }
}
