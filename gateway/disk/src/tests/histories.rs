//! Memory over disk, under one set of marks: fills, purges, evictions, restarts, power losses, validations, promotions and sweeps in any
//! order. What is served is never older than the newest purge that was acknowledged, and never torn: neither what is stored, nor what
//! arrives while it is read. A fill, a validation and a promotion each begin in one step and end in a later one.

use super::{
    model::{Chance, Model},
    *,
};
use latencify_cache::{
    Cache, Earlier, Expectation, Fetching, Found, Held, LocalMark, LocalMarks, ManualClock,
    Marks as Purges, MarksSnapshot, Metadata, Promotion, Record, Sweep,
};
use latencify_conf::{
    change::{LogId, Mode, Position, Target},
    digest::Digest,
};
use std::time::SystemTime;
use uuid::Uuid;

const NAMES: usize = 6;
const SITE: SiteId = SiteId(7);
const STEPS: usize = 400;
const SEEDS: u64 = 60;
const MEMORY_BYTES: u64 = 24 << 10;
const DAY: Duration = Duration::from_hours(24);
const TAG: &str = "tagged";

/// What the origin said: which version, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    version: u64,
    length: usize,
}

impl Metadata for Said {
    fn bytes(&self) -> u64 {
        16
    }
}

/// A fetch whose body is under way into both tiers.
struct Arriving {
    name: usize,
    said: Said,
    followers: Vec<Found<Said>>,
    memory: Option<latencify_cache::Writer<Said>>,
    disk: Option<crate::Writer>,
    _held: Held,
}

/// The origin is being asked whether what was found holds still.
struct Validating {
    name: usize,
    record: Arc<Record<Said>>,
    fetch: Fetch,
    /// What it had when it was asked.
    version: u64,
    _held: Held,
}

/// What was found on disk, on its way into memory.
struct Rising {
    name: usize,
    promotion: Promotion,
    head: Head,
    body: Bytes,
}

/// What is kept of the marks, as an edge keeps them.
struct Saved {
    snapshot: Vec<u8>,
    /// What of the log came after it.
    epochs: usize,
    locals: Vec<LocalMark>,
    last: u64,
    floor: u64,
    runs: Vec<(u64, Epoch)>,
}

struct World {
    chance: Chance,
    clock: Arc<ManualClock>,
    is_judged: bool,
    model: Model,
    tier: Tier,
    marks: Arc<Purges>,
    cache: Arc<Cache<Said>>,
    sweep: Sweep<Said>,
    saved: Saved,
    /// What the log has purged, in order.
    log: Vec<Target>,
    obeyed: usize,
    arriving: Vec<Arriving>,
    validating: Vec<Validating>,
    rising: Vec<Rising>,
    /// What the origin has now.
    versions: [u64; NAMES],
    /// What an acknowledged purge leaves nothing older of.
    promised: [u64; NAMES],
    served: [u64; 2],
    /// Bodies that came whole under their readers, those that broke off, and validations that held.
    happened: [u64; 3],
}

fn position(epoch: usize) -> Position {
    Position {
        log: LogId(Uuid::from_u128(5)),
        epoch: Epoch(epoch as u64),
        hash: Digest([0; 32]),
    }
}

fn name_of(name: usize) -> String {
    format!("n{name}")
}

fn identity(name: usize) -> Identity {
    let tags: &[Box<str>] = if name.is_multiple_of(2) {
        &[TAG.into()]
    } else {
        &[]
    };
    Identity {
        site: SITE,
        path: format!("/{}", name_of(name)).into(),
        tags: tags.into(),
    }
}

fn body_of(name: usize, said: Said) -> Vec<u8> {
    body(&name_of(name), said.version, said.length)
}

fn head_of(name: usize, fetch: Fetch, said: Said) -> Head {
    Head {
        key: key(&name_of(name)).to_key(),
        identity: identity(name),
        fetch,
        keep_until_ms: 0,
        header: Bytes::from(format!("{} {}", said.version, said.length)),
    }
}

fn tier_on(model: &Model, marks: &Arc<Purges>, is_judged: bool) -> Tier {
    let marks = Arc::clone(marks);
    let judge = move |identity: &Identity, stamp: &Stamp| {
        is_judged && marks.check_kept(identity, stamp).is_dead()
    };
    let tier = Tier::open_on(Arc::new(model.clone()), settings(), Arc::new(judge)).unwrap();
    assert!(tier.wait_ready(LIMIT), "{:?}", tier.count());
    tier
}

impl World {
    fn new(seed: u64, is_judged: bool) -> Self {
        let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + DAY));
        let (model, marks) = (Model::default(), Purges::with_clock(Arc::clone(&clock)));
        marks.keep();
        marks.raise_floor(&position(0));
        marks.inherit(Some(Earlier::default()));
        let cache = Cache::new(MEMORY_BYTES, Arc::clone(&marks));
        let saved = Saved {
            snapshot: marks.snapshot().encode().unwrap(),
            epochs: 0,
            locals: Vec::new(),
            last: marks.run().unwrap().0,
            runs: vec![marks.run().unwrap()],
            floor: 0,
        };
        Self {
            chance: Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            clock,
            is_judged,
            tier: tier_on(&model, &marks, is_judged),
            sweep: Sweep::new(Arc::clone(&cache)),
            model,
            marks,
            cache,
            saved,
            log: Vec::new(),
            obeyed: 0,
            arriving: Vec::new(),
            validating: Vec::new(),
            rising: Vec::new(),
            versions: [1; NAMES],
            promised: [0; NAMES],
            served: [0; 2],
            happened: [0; 3],
        }
    }

    fn play(&mut self) {
        for _ in 0..STEPS {
            let name = self.chance.below(NAMES as u64) as usize;
            match self.chance.below(60) {
                0..18 => self.ask(name),
                18..27 => self.fetch(name),
                27..36 => self.arrive(),
                36..39 => self.rise(),
                39..41 => self.purge_by_log(name),
                41 => self.purge_alone(name),
                42..46 => self.validate(name),
                46..52 => self.renew(),
                52 => self.sweep_memory(),
                53 => self.sweep_disk(),
                54 => self.save(),
                55 => self.tier.save(),
                _ => self.restart(),
            }
        }
    }

    /// Looks a name up in both tiers, and serves what is found.
    fn ask(&mut self, name: usize) {
        let text = name_of(name);
        if let Some(mut found) = self.cache.find(key(&text)) {
            if found.is_filling() {
                return self.follow(name, found);
            }
            let read = block_on(found.read_all()).unwrap();
            self.serve(0, name, found.record.meta, &read);
            return;
        }
        let promotion = self.cache.begin_promotion(key(&text));
        let Some((head, body)) = self.on_disk(name) else {
            return;
        };
        let rising = Rising {
            name,
            promotion,
            head,
            body: body.into(),
        };
        self.rising.push(rising);
    }

    /// Reads what arrives, to the end that it will have.
    fn follow(&mut self, name: usize, found: Found<Said>) {
        self.is_new_enough(0, name, found.record.meta);
        let fetch = found.record.fetch;
        let is_its = |fill: &latencify_cache::Writer<Said>| fill.record().fetch == fetch;
        let mut arriving = self.arriving.iter_mut();
        let fill = arriving.find(|arriving| arriving.memory.as_ref().is_some_and(is_its));
        fill.unwrap().followers.push(found);
    }

    /// What the disk has, served.
    fn on_disk(&mut self, name: usize) -> Option<(Head, Vec<u8>)> {
        let text = name_of(name);
        let Look::Reading(ticket) = self.tier.find(key(&text)) else {
            return None;
        };
        let stored = kept(ticket).ok()?;
        kept(stored.prove()).ok()?;
        let head = stored.head().clone();
        let (record, _) = self.taken_over(&head)?;
        let read = read_all(&stored);
        self.serve(1, name, record.meta, &read);
        Some((head, read))
    }

    fn taken_over(&self, head: &Head) -> Option<(Record<Said>, latencify_cache::Liveness)> {
        let text = std::str::from_utf8(&head.header).unwrap();
        let (version, length) = text.split_once(' ').unwrap();
        let said = Said {
            version: version.parse().unwrap(),
            length: length.parse().unwrap(),
        };
        if !self.is_judged {
            let record = Record::of_fetch(head.identity.clone(), head.fetch, said);
            return Some((record, latencify_cache::Liveness::Live));
        }
        Record::taken_over(&self.marks, head.identity.clone(), head.fetch, said).ok()
    }

    fn serve(&mut self, tier: usize, name: usize, said: Said, read: &[u8]) {
        assert_eq!(read, body_of(name, said), "torn: {name} {said:?}");
        self.is_new_enough(tier, name, said);
        self.served[tier] += 1;
    }

    fn is_new_enough(&self, tier: usize, name: usize, said: Said) {
        let promised = self.promised[name];
        assert!(
            said.version >= promised,
            "{} serves {said:?} of {name}, and everything before {promised} was purged",
            ["memory", "disk"][tier]
        );
    }

    fn fetch(&mut self, name: usize) {
        if self.arriving.len() >= 8 {
            return self.arrive();
        }
        let fetching: Fetching = self.marks.begin();
        let said = Said {
            version: self.versions[name],
            length: self.chance.below(3000) as usize,
        };
        let text = name_of(name);
        let expectation = Expectation {
            bytes: Some(said.length as u64),
            bytes_max: u64::MAX,
        };
        let record = Record::of_fetch(identity(name), *fetching, said);
        let memory = self.cache.fill(key(&text), record, expectation).ok();
        let disk = self
            .tier
            .fill(head_of(name, *fetching, said), expectation.bytes);
        if matches!(disk, Err(refusal) if refusal != Refusal::Older) {
            self.tier.remove(key(&text), None);
        }
        self.arriving.push(Arriving {
            name,
            said,
            followers: Vec::new(),
            memory,
            disk: disk.ok(),
            _held: self.marks.hold(&fetching),
        });
    }

    /// A body that is under way comes to its end, or breaks off.
    fn arrive(&mut self) {
        if self.arriving.is_empty() {
            return;
        }
        let at = self.chance.below(self.arriving.len() as u64) as usize;
        let Arriving {
            name,
            said,
            followers,
            mut memory,
            mut disk,
            _held,
        } = self.arriving.swap_remove(at);
        let whole = Bytes::from(body_of(name, said));
        let breaks_off = self.chance.below(8) == 0 && said.length > 0;
        let part = if breaks_off {
            whole.slice(..said.length / 2)
        } else {
            whole
        };
        if let Some(memory) = &mut memory {
            let _ = memory.write(&part);
        }
        if let Some(disk) = &mut disk {
            let _ = disk.write(&part);
        }
        if breaks_off {
            drop(memory);
            for mut follower in followers {
                let read = block_on(follower.read_all());
                assert!(read.is_err(), "half of {name} {said:?} is whole: {read:?}");
                self.happened[1] += 1;
            }
            return;
        }
        let is_refused = memory.is_some_and(|memory| memory.finish().is_err());
        if let Some(disk) = disk.filter(|_| !is_refused) {
            let ticket = disk.commit();
            if self.chance.below(2) == 0 {
                let _ = kept(ticket);
            }
        }
        // It was good when they asked, whatever has been purged since, and is whole for them.
        for mut follower in followers {
            let read = block_on(follower.read_all()).unwrap();
            assert_eq!(read, body_of(name, said), "torn: {name} {said:?}");
            self.happened[0] += 1;
        }
    }

    /// What was found on disk comes into memory, late.
    fn rise(&mut self) {
        if self.rising.is_empty() {
            return;
        }
        let at = self.chance.below(self.rising.len() as u64) as usize;
        let rising = self.rising.swap_remove(at);
        if let Some((record, _)) = self.taken_over(&rising.head) {
            let (promotion, text) = (rising.promotion, name_of(rising.name));
            let risen = (self.cache).promote(promotion, key(&text), record, &rising.body);
            let _ = risen;
        }
    }

    fn target(&mut self, name: usize) -> (Target, Vec<usize>) {
        let all = 0..NAMES;
        match self.chance.below(12) {
            0 => (Target::All, all.collect()),
            1 => {
                let tag = TAG.to_owned();
                (Target::Tag { site: SITE, tag }, all.step_by(2).collect())
            }
            _ => {
                let path = identity(name).path.to_string();
                (Target::Url { site: SITE, path }, vec![name])
            }
        }
    }

    /// The origin has something else, and what it had is purged; acknowledged when that is on disk.
    fn purge_by_log(&mut self, name: usize) {
        let (target, names) = self.target(name);
        for name in &names {
            self.versions[*name] += 1;
        }
        self.log.push(target);
        self.catch_up();
        // Without that the process may die before it has acknowledged anything.
        if self.chance.below(3) > 0 {
            self.saved.epochs = self.obeyed;
            for name in names {
                self.promised[name] = self.versions[name];
            }
        }
    }

    fn catch_up(&mut self) {
        while let Some(target) = self.log.get(self.obeyed) {
            self.obeyed += 1;
            let epoch = Epoch(self.obeyed as u64);
            self.marks.apply(target, Mode::Hard, epoch);
            self.marks.obey(&position(self.obeyed));
        }
    }

    fn purge_alone(&mut self, name: usize) {
        let (target, names) = self.target(name);
        for name in &names {
            self.versions[*name] += 1;
        }
        let number = self.marks.local_purge(&target, Mode::Hard);
        if self.chance.below(4) == 0 {
            // Nobody was told.
            return;
        }
        self.saved.last = self.saved.last.max(number);
        self.saved.locals.push(LocalMark {
            target,
            mode: Mode::Hard,
            number,
            at: SystemTime::UNIX_EPOCH,
        });
        for name in names {
            self.promised[name] = self.versions[name];
        }
    }

    /// Asks the origin whether what memory has still holds.
    fn validate(&mut self, name: usize) {
        let Some(found) = self.cache.find(key(&name_of(name))) else {
            return;
        };
        if found.is_filling() || self.validating.len() >= 4 {
            return self.renew();
        }
        let fetching = self.marks.begin();
        self.validating.push(Validating {
            name,
            record: found.record,
            fetch: *fetching,
            version: self.versions[name],
            _held: self.marks.hold(&fetching),
        });
    }

    /// It answers as it was when it was asked, whatever has happened since to what was found.
    fn renew(&mut self) {
        if self.validating.is_empty() {
            return;
        }
        let at = self.chance.below(self.validating.len() as u64) as usize;
        let asked = self.validating.swap_remove(at);
        let (name, record, fetch) = (asked.name, asked.record, asked.fetch);
        let (said, text) = (record.meta, name_of(name));
        if said.version != asked.version {
            return;
        }
        let of = self.tier.version_of(key(&text), record.fetch.generation);
        if let Some(of) = of {
            drop(self.tier.renew(of, head_of(name, fetch, said)));
        }
        let renewed = Record::of_validation(&record, identity(name), fetch, said);
        let renewed = self.cache.revalidate(key(&text), renewed);
        self.happened[2] += u64::from(renewed.is_ok());
    }

    fn sweep_memory(&mut self) {
        while !self.sweep.step(64).is_end() {}
    }

    fn sweep_disk(&mut self) {
        let round = self.marks.begin_kept_round();
        let mut place = crate::Place::default();
        let mut oldest: Option<(Epoch, u64)> = None;
        loop {
            let Ok(walked) = kept(self.tier.walk(place, 8)) else {
                return;
            };
            if let Some((epoch, local)) = walked.oldest {
                let (low_epoch, low_local) = oldest.unwrap_or((epoch, local));
                oldest = Some((low_epoch.min(epoch), low_local.min(local)));
            }
            match walked.next {
                Some(next) => place = next,
                None => break,
            }
        }
        self.saved.floor = self.marks.end_kept_round(&round, oldest);
        self.marks.forget_kept();
    }

    fn save(&mut self) {
        self.saved.snapshot = self.marks.snapshot().encode().unwrap();
        self.saved.epochs = self.obeyed;
    }

    fn restart(&mut self) {
        self.arriving.clear();
        self.validating.clear();
        self.rising.clear();
        match self.chance.below(3) {
            0 => {
                close(&self.tier);
                self.model = self.model.copy();
            }
            1 => self.model = self.model.copy(),
            _ => {
                let lost = self.chance.below(20) as usize;
                let acts = self.model.acts().saturating_sub(lost);
                self.model = self.model.cut(acts, self.chance.below(1 << 40));
            }
        }
        self.clock.advance(Duration::from_secs(1));
        self.marks = Purges::with_clock(Arc::clone(&self.clock));
        self.marks.keep();
        let snapshot = MarksSnapshot::decode(&self.saved.snapshot).unwrap();
        self.obeyed = snapshot
            .obeyed()
            .map_or(0, |obeyed| obeyed.epoch.0 as usize);
        self.marks.restore(snapshot, LocalMarks::Lost);
        while self.obeyed < self.saved.epochs {
            let target = self.log[self.obeyed].clone();
            self.obeyed += 1;
            let epoch = Epoch(self.obeyed as u64);
            self.marks.apply(&target, Mode::Hard, epoch);
            self.marks.obey(&position(self.obeyed));
        }
        let forks = self.log.len() > self.obeyed && self.chance.below(2) == 0;
        if forks {
            // What nobody acknowledged is not in the log: an older copy of it was put back.
            self.log.truncate(self.obeyed);
        }
        self.marks.inherit(Some(Earlier {
            marks: &self.saved.locals,
            last: self.saved.last,
            floor: self.saved.floor,
            runs: &self.saved.runs,
        }));
        let run = self.marks.run().unwrap();
        self.saved.runs.push(run);
        self.saved.last = self.saved.last.max(run.0);
        self.cache = Cache::new(MEMORY_BYTES, Arc::clone(&self.marks));
        self.sweep = Sweep::new(Arc::clone(&self.cache));
        self.tier = tier_on(&self.model, &self.marks, self.is_judged);
        self.catch_up();
        if forks {
            // What follows has the numbers of what is gone.
            let name = self.chance.below(NAMES as u64) as usize;
            self.purge_by_log(name);
            (0..NAMES).for_each(|name| self.ask(name));
        }
    }
}

#[test]
fn nothing_purged_and_nothing_torn_is_served_whatever_happens() {
    let mut happened = [0; 5];
    for seed in 0..SEEDS {
        let mut world = World::new(seed, true);
        world.play();
        let ([memory, disk], [whole, broken, renewed]) = (world.served, world.happened);
        let these = [memory, disk, whole, broken, renewed];
        happened = std::array::from_fn(|kind| happened[kind] + these[kind]);
    }
    assert!(happened.iter().all(|&n| n > SEEDS / 2), "{happened:?}");
}

/// The history finds out a tier that asks nobody.
#[test]
fn a_tier_without_a_judge_is_found_out() {
    let is_found_out = (0..SEEDS).any(|seed| {
        let play = move || World::new(seed, false).play();
        std::panic::catch_unwind(play).is_err()
    });
    assert!(is_found_out);
}
