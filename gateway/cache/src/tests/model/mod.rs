//! Random interleavings of everything that happens to a few keys, against a model that only knows when things began.

mod steps;

use super::*;
use proptest::prelude::*;
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};
use steps::{KEYS, Step, TAGS, step};

struct Asked {
    key: usize,
    record: Record<()>,
    _under_way: Option<Fetching>,
}

struct Filling {
    key: usize,
    writer: Writer<()>,
}

/// A purge or a reset, as the model remembers it.
struct Event {
    at: usize,
    /// In the log; 0: of this edge alone.
    epoch: Epoch,
    time: SystemTime,
    /// None: everything, whatever it is called.
    target: Option<Target>,
    soft: bool,
}

struct World {
    cache: Arc<Cache<()>>,
    sweep: Sweep<()>,
    /// Whether marks are kept as they are: then too much never goes.
    exact: bool,
    clock: Arc<ManualClock>,
    now: usize,
    log: LogId,
    head: u64,
    fetches: Vec<Asked>,
    fills: Vec<Filling>,
    /// What is to be validated, of which key.
    bases: Vec<(usize, Arc<Record<()>>)>,
    validations: Vec<Asked>,
    events: Vec<Event>,
    /// Generation → the step in which it began.
    began: HashMap<u64, usize>,
    /// Generations whose fetches did not say that they were under way.
    careless: HashSet<u64>,
    /// Per key: the newest generation that was found complete.
    newest_found: [u64; KEYS.len()],
    /// Per key: the generation that was stored last, if nothing has happened since that could take it out.
    must_find: [Option<u64>; KEYS.len()],
}

fn covers(target: &Target, identity: &Identity) -> bool {
    match target {
        Target::Url { site, path } => *site == identity.site && **path == *identity.path,
        Target::Prefix { site, path } => {
            *site == identity.site && latencify_conf::path::has_segment_prefix(&identity.path, path)
        }
        Target::Tag { site, tag } => {
            *site == identity.site && identity.tags.iter().any(|own| **own == **tag)
        }
        Target::Site { site } => *site == identity.site,
        Target::All => true,
    }
}

impl World {
    fn new(bounds: MarkBounds) -> Self {
        let clock = Arc::new(ManualClock::at(
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
        ));
        let marks = Marks::open(Arc::clone(&clock), bounds);
        marks.obey(&position(log(1), 0));
        let cache = Cache::new(PLENTY, marks);
        Self {
            sweep: Sweep::new(Arc::clone(&cache)),
            exact: bounds == MarkBounds::default(),
            cache,
            clock,
            now: 0,
            log: log(1),
            head: 0,
            fetches: Vec::new(),
            fills: Vec::new(),
            bases: Vec::new(),
            validations: Vec::new(),
            events: Vec::new(),
            began: HashMap::new(),
            careless: HashSet::new(),
            newest_found: [0; KEYS.len()],
            must_find: [None; KEYS.len()],
        }
    }

    fn take(&mut self, step: Step) {
        self.now += 1;
        match step {
            Step::Fetch {
                key,
                tags,
                careless,
            } => self.fetch(key, tags, careless),
            Step::Header { fetch } => self.header(fetch),
            Step::Finish { fill } => self.finish(fill),
            Step::Drop { fill } => {
                if !self.fills.is_empty() {
                    self.fills.swap_remove(fill.index(self.fills.len()));
                }
            }
            Step::NeedsValidation { key: name } => {
                let found = self.cache.find(key(KEYS[name]));
                self.bases.extend(found.map(|base| (name, base.record)));
            }
            Step::Validate { base } => self.validate(base),
            Step::NotModified { validation } => self.not_modified(validation),
            Step::Purge {
                target,
                soft,
                obeyed,
            } => {
                self.head += 1;
                self.cache
                    .marks()
                    .apply(&target, mode(soft), Epoch(self.head));
                if obeyed {
                    self.cache.marks().obey(&position(self.log, self.head));
                }
                self.happened(self.head, Some(target), soft);
            }
            Step::Local { target, soft } => {
                self.cache.marks().local_purge(&target, mode(soft));
                self.happened(0, Some(target), soft);
            }
            Step::Reset { back } => {
                self.head = self.head.saturating_sub(back);
                self.cache
                    .marks()
                    .raise_floor(&position(self.log, self.head));
                self.happened(0, None, false);
            }
            Step::Restore => {
                let written = self.cache.marks().snapshot().encode().unwrap();
                let read = MarksSnapshot::decode(&written).unwrap();
                self.cache.marks().restore(read, LocalMarks::Known);
            }
            Step::Evict => {
                self.cache.index.evict();
                self.must_find = [None; KEYS.len()];
            }
            Step::Sweep { places } => {
                self.sweep.step(places);
            }
            Step::Find { key } => self.find(key),
            Step::Pass { seconds } => self.clock.advance(Duration::from_secs(seconds)),
        }
        assert!(self.cache.count().bytes <= PLENTY);
    }

    fn fetch(&mut self, key: usize, tags: u8, careless: bool) {
        let tags: Vec<&str> = TAGS
            .iter()
            .enumerate()
            .filter(|(bit, _)| tags & (1 << bit) != 0)
            .map(|(_, tag)| *tag)
            .collect();
        let fetch = self.cache.begin_fetch();
        self.began.insert(fetch.generation, self.now);
        let record = Record::of_fetch(identity(KEYS[key], &tags), *fetch, ());
        self.careless.extend(careless.then_some(fetch.generation));
        self.fetches.push(Asked {
            key,
            record,
            _under_way: (!careless).then_some(fetch),
        });
    }

    fn header(&mut self, fetch: prop::sample::Index) {
        if self.fetches.is_empty() {
            return;
        }
        let Asked {
            key: name,
            record,
            _under_way,
        } = self.fetches.swap_remove(fetch.index(self.fetches.len()));
        let generation = record.fetch.generation;
        if let Ok(mut writer) = self.cache.fill(key(KEYS[name]), record, ANY_SIZE) {
            writer
                .write(&generation.to_be_bytes().to_vec().into())
                .unwrap();
            self.fills.push(Filling { key: name, writer });
        }
    }

    fn finish(&mut self, fill: prop::sample::Index) {
        if self.fills.is_empty() {
            return;
        }
        let Filling { key, writer } = self.fills.swap_remove(fill.index(self.fills.len()));
        let record = Arc::clone(writer.record());
        let generation = record.fetch.generation;
        let certain = self.exact && !self.careless.contains(&generation);
        match writer.finish() {
            Ok(()) => self.must_find[key] = certain.then_some(generation),
            Err(Refusal::Purged) if certain => self.assert_purged(&record),
            Err(_) => {}
        }
    }

    /// Something hard happened to it since its body began to be fetched.
    fn assert_purged(&self, record: &Record<()>) {
        let began = self.began[&record.body_generation()];
        let is_after = |event: &&Event| {
            let matches = |target| covers(target, &record.identity());
            // The edge may not have obeyed it yet when the fetch began.
            let is_later = event.at > began || event.epoch > record.fetch.stamp.epoch;
            !event.soft && is_later && event.target.as_ref().is_none_or(matches)
        };
        let name = &record.identity().path;
        assert!(
            self.events.iter().any(|event| is_after(&event)),
            "nothing purged {name}"
        );
    }

    fn validate(&mut self, base: prop::sample::Index) {
        if self.bases.is_empty() {
            return;
        }
        let (key, base) = self.bases.swap_remove(base.index(self.bases.len()));
        let fetch = self.cache.begin_fetch();
        self.began.insert(fetch.generation, self.now);
        let record = Record::of_validation(&base, base.identity(), *fetch, ());
        self.validations.push(Asked {
            key,
            record,
            _under_way: Some(fetch),
        });
    }

    fn not_modified(&mut self, validation: prop::sample::Index) {
        if self.validations.is_empty() {
            return;
        }
        let taken = self
            .validations
            .swap_remove(validation.index(self.validations.len()));
        let generation = taken.record.fetch.generation;
        let renewed = self.cache.revalidate(key(KEYS[taken.key]), taken.record);
        if renewed.is_ok() {
            self.must_find[taken.key] = self.exact.then_some(generation);
        }
    }

    fn happened(&mut self, epoch: u64, target: Option<Target>, soft: bool) {
        let time = self.clock.now();
        if !soft {
            for (name, must_find) in self.must_find.iter_mut().enumerate() {
                // Whatever could match is no longer certain to be there, tags being what they are.
                let certain = target.as_ref().is_some_and(|target| {
                    let all_tags = identity(KEYS[name], &TAGS);
                    !covers(target, &all_tags)
                });
                if !certain {
                    *must_find = None;
                }
            }
        }
        self.events.push(Event {
            at: self.now,
            epoch: Epoch(epoch),
            time,
            target,
            soft,
        });
    }

    fn find(&mut self, name: usize) {
        let Some(mut found) = self.cache.find(key(KEYS[name])) else {
            assert_eq!(
                self.must_find[name], None,
                "{} was stored and nothing took it out",
                KEYS[name]
            );
            return;
        };
        let record = Arc::clone(&found.record);
        let generation = record.fetch.generation;
        if let Reader::Stored(reader) = &mut found.reader {
            let bytes = reader.read().unwrap().unwrap();
            let body = u64::from_be_bytes(bytes.as_ref().try_into().unwrap());
            assert_eq!(
                body,
                record.body_generation(),
                "metadata and body belong together"
            );
            assert!(
                generation >= self.newest_found[name],
                "{generation} after {}",
                self.newest_found[name]
            );
            self.newest_found[name] = generation;
        }
        assert!(
            generation >= self.newest_found[name],
            "an older fill was joined"
        );
        let matching = self.events.iter().filter(|event| {
            event
                .target
                .as_ref()
                .is_none_or(|target| covers(target, &record.identity()))
        });
        let (soft, hard): (Vec<&Event>, Vec<&Event>) = matching.partition(|event| event.soft);
        // A validation makes fresh again, but never alive: a hard purge takes whatever body was fetched before it.
        let body_began = self.began[&record.body_generation()];
        if let Some(purge) = hard.iter().find(|purge| purge.at > body_began) {
            panic!(
                "the body of {} began in step {body_began}, purged in step {}",
                KEYS[name], purge.at
            );
        }
        let began = self.began[&generation];
        let soft: Vec<&Event> = soft.into_iter().filter(|purge| purge.at > began).collect();
        match (soft.iter().map(|event| event.time).min(), found.liveness) {
            (None, Liveness::Live) => {}
            // A fetch may begin between a mark and the entry's being obeyed: it is then stale too early.
            (None, Liveness::SoftPurged { .. }) => {
                assert!(!self.exact || record.fetch.stamp.epoch < Epoch(self.head));
            }
            (Some(first), Liveness::SoftPurged { since }) => {
                assert!(since <= first, "stale too late");
            }
            (soft, found) => panic!("soft-purged at {soft:?}, found {found:?}"),
        }
    }
}

fn mode(soft: bool) -> Mode {
    if soft { Mode::Soft } else { Mode::Hard }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_fetched_before_a_purge_is_found_after_it_and_nothing_older_after_something_newer(
        steps in prop::collection::vec(step(), 1..160),
        bounded in prop::bool::weighted(0.3),
    ) {
        let few = MarkBounds { marks_per_site: 2, sites: 2, ..MarkBounds::default() };
        let mut world = World::new(if bounded { few } else { MarkBounds::default() });
        for step in steps {
            world.take(step);
        }
        for name in 0..KEYS.len() {
            world.take(Step::Find { key: name });
        }
    }
}
