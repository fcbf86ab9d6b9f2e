//! The questions that are asked of a world: while it runs, and when it must be well again.

use crate::{
    control::receipts::Receipt,
    edge::Machine,
    event::Run,
    lies::Lie,
    oracle::{Given, Source, Violation},
    origin::{self, Named, OBJECTS, Object},
    world::World,
};
use latencify_cache::{Death, Identity, Liveness, Stamp, rules::Rules};
use latencify_conf::{
    api::ReceiptState,
    change::{Entry, Epoch, Mode, ProcessId},
};
use latencify_control::fold::Outcome;
use std::{collections::BTreeMap, sync::Arc};

impl<R: Rules> World<R> {
    /// Something is not true.
    pub fn violate(&mut self, invariant: &'static str, text: impl FnOnce() -> String) {
        if self.oracle.violation.is_none() {
            let text = text();
            self.tell("VIOLATION", &[], || format!("{invariant}: {text}"));
            self.oracle.violate(invariant, text);
        }
    }

    /// An answer was given: is it as new as it has to be?
    pub fn check_given(
        &mut self,
        edge: usize,
        run: Run,
        object: Object,
        version: u64,
        given: &Given,
    ) {
        self.answers += 1;
        let Some(machine) = self.edges.get(edge) else {
            return;
        };
        let Some(process) = machine
            .running
            .as_ref()
            .filter(|process| process.run == run)
        else {
            return;
        };
        let (version, given) = self.told(version, given);
        let what = (object, version);
        let mut wrong = self
            .oracle
            .judge_answer(&self.origin, run, &process.obeys, what, &given);
        // What was found before a request waited for the origin may be older than what came meanwhile.
        let is_from_store = matches!(
            given.source,
            Source::Stored | Source::Followed | Source::Stale
        );
        let newest = given.newest;
        if wrong.is_none() && is_from_store && version < self.origin.at(object, newest) {
            wrong = Some(Violation {
                invariant: "nothing_goes_back",
                text: format!(
                    "object {object}: version {version} ({:?}) of edge {edge}, after an answer whose fetch began at {newest:?}, when {} was the version",
                    given.source,
                    self.origin.at(object, newest)
                ),
            });
        }
        self.stored_answers += u64::from(given.source == Source::Stored);
        if let Some(wrong) = wrong {
            self.violate(wrong.invariant, || wrong.text);
        }
    }

    /// Whoever is said to have acked obeys.
    pub fn judge_acks(&mut self, receipt: &Receipt) {
        let mut wrong = None;
        for process in receipt.those(ReceiptState::Acked) {
            let running = self
                .edges
                .iter()
                .filter_map(|machine| machine.running.as_ref());
            if let Some(edge) = running.into_iter().find(|edge| edge.id == process) {
                let session = edge.session.borrow();
                let obeyed = session
                    .obedience
                    .link()
                    .obeyed()
                    .map_or(Epoch(0), |obeyed| obeyed.epoch);
                let edge_saves = session.obedience.link().introduction().saves_marks;
                if edge_saves && self.saved_up_to(process) < receipt.epoch {
                    wrong = Some(format!(
                        "process {} is said to have acked {} and has not saved it",
                        process.0.as_u128(),
                        receipt.epoch
                    ));
                }
                if obeyed < receipt.epoch || edge.marks.stamp().epoch < receipt.epoch {
                    wrong = Some(format!(
                        "process {} is said to have acked {} and obeys {obeyed}",
                        process.0.as_u128(),
                        receipt.epoch
                    ));
                }
            }
        }
        if let Some(text) = wrong {
            self.violate("true_receipts", || text);
        }
    }

    fn saved_up_to(&self, process: ProcessId) -> Epoch {
        let is_its = |machine: &Machine<R>| {
            machine
                .running
                .as_ref()
                .is_some_and(|edge| edge.id == process)
        };
        let edge = self.edges.iter().position(is_its);
        edge.map_or(Epoch(0), |edge| self.claimed_by(edge))
    }

    /// Asks an edge's marks about objects that could be, and compares with what the log says.
    pub fn probe(&mut self, edge: usize, run: Run) {
        if !self.random.permille(200) {
            return;
        }
        let (object, tags) = (self.random.index(OBJECTS), self.random.below(8) as u8);
        let draw = self.random.draw();
        let Some(machine) = self.edges.get(edge) else {
            return;
        };
        let running = machine.running.as_ref();
        let Some(process) = running.filter(|process| process.run == run) else {
            return;
        };
        let Some(site) = process.site(origin::site_of(object)) else {
            return;
        };
        let now = process.marks.stamp();
        let stamp = Stamp {
            epoch: Epoch(draw % (now.epoch.0 + 1)),
            ..now
        };
        let identity = Identity {
            site,
            path: Arc::from(origin::path_of(object)),
            tags: origin::names(tags).map(Box::from).collect(),
        };
        let verdict = if self.lies(Lie::AllLive) {
            Liveness::Live
        } else {
            process.marks.check(&identity, &stamp)
        };
        if matches!(verdict, Liveness::Dead(Death::BelowFloor | Death::OtherLog)) {
            return;
        }
        let widened = machine.has_widened || process.marks.count().widened > 0;
        let sites = std::array::from_fn::<_, 2, _>(|place| process.site(place));
        let store = &self.replica.store;
        let is_same = now.log == Some(store.state.position.log)
            && process.session.borrow().obedience.link().obeyed() == store.position_at(now.epoch);
        if !is_same || !store.has(stamp.epoch) {
            return;
        }
        let between = store
            .purges
            .values()
            .filter(|purge| purge.epoch > stamp.epoch && purge.epoch <= now.epoch);
        let covers = |mode| {
            between.clone().any(|purge| {
                purge.mode == mode
                    && purge.targets.iter().any(|target| {
                        Named::of(target, |place| *sites.get(place)?).covers(object, tags)
                    })
            })
        };
        let (hard, soft) = (covers(Mode::Hard), covers(Mode::Soft));
        let is_right = match verdict {
            Liveness::Dead(_) => hard || widened,
            Liveness::SoftPurged { .. } => !hard && (soft || widened),
            Liveness::Live => !hard && !soft,
        };
        if !is_right {
            self.violate("equal_marks", || {
                format!("edge {edge}, object {object}, tags {tags:b}, stamp {}: {verdict:?}, but the log says hard {hard}, soft {soft} up to {}", stamp.epoch, now.epoch)
            });
        }
    }

    /// Everything must be well by now.
    pub fn judge(&mut self) {
        self.judge_log();
        for writer in 0..self.writers.len() {
            self.judge_writer(writer);
        }
        for edge in 0..self.edges.len() {
            self.judge_edge(edge);
        }
        self.over = true;
    }

    fn judge_log(&mut self) {
        let mut accepted: BTreeMap<String, Vec<Epoch>> = BTreeMap::new();
        let mut again = crate::control::store::Store::new(self.log.id);
        for settled in again.fold(self.log.records()) {
            self.oracle.folded(&settled, self.branch);
            if settled.folded.outcome == Outcome::Accepted {
                let entry: &Entry = &settled.entry;
                if let Some(key) = &entry.key {
                    let times = match self.plan.breaks.lie {
                        Some(Lie::AppliedTwice) => 2,
                        Some(Lie::NeverApplied) => 0,
                        _ => 1,
                    };
                    let epochs = accepted.entry(key.clone()).or_default();
                    epochs.extend(std::iter::repeat_n(settled.epoch, times));
                }
            }
        }
        self.oracle.judge_writes(&accepted);
        if self.lies(Lie::EndsElsewhere) {
            again.state.applied = Epoch(0);
        }
        if again.state != self.replica.store.state {
            self.violate("equal_folds", || {
                "the log folded again comes to another state".into()
            });
        }
    }

    fn judge_writer(&mut self, number: usize) {
        let Some(writer) = self.writers.get(number) else {
            return;
        };
        if let Some(intent) = &writer.intent {
            let key = intent.key.clone();
            return self.violate("writes_are_answered", || format!("{key} is not answered"));
        }
        let mut open = Vec::new();
        for id in &writer.open {
            open.extend(self.receipt(*id).filter(|receipt| !receipt.complete));
        }
        if let Some(receipt) = open.first() {
            let text = format!("{receipt:?}");
            self.violate("receipts_complete", || text);
        }
    }

    fn judge_edge(&mut self, edge: usize) {
        let now = self.now;
        let head = self.replica.store.state.position;
        let target = self.replica.store.state.head.clone();
        let Some(process) = self
            .edges
            .get(edge)
            .and_then(|machine| machine.running.as_ref())
        else {
            return self.violate("edges_return", || format!("edge {edge} is down"));
        };
        let session = process.session.borrow();
        let link = session.obedience.link();
        let wrong = if link.obeyed() != Some(head) {
            Some(format!("obeys {:?}, the head is {head:?}", link.obeyed()))
        } else if let Some(isolation) = link.isolation(now) {
            Some(format!("is isolated: {}", isolation.as_str()))
        } else if let Some(leaks) = process.leaks() {
            Some(format!("holds {leaks}"))
        } else {
            let runs = process.policy.as_ref().map(|policy| {
                (
                    policy.target.revision,
                    policy.target.digest,
                    policy.target.sites.clone(),
                )
            });
            let wanted = target.map(|head| (head.revision, head.digest, head.sites));
            (runs != wanted).then(|| format!("runs {runs:?}, the head is {wanted:?}"))
        };
        drop(session);
        if let Some(wrong) = wrong {
            self.violate("convergence", || format!("edge {edge} {wrong}"));
        }
    }
}
