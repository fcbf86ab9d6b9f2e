//! Who writes: purges and policies, each with an idempotency key and repeated until it is answered; then the receipt is asked for until it
//! is complete.

use crate::{
    event::Event,
    faults::Fault,
    lies::Lie,
    origin::{OBJECTS, PATHS, SITES, TAGS},
    world::World,
};
use latencify_cache::rules::Rules;
use latencify_conf::{api::ReceiptState, change::Epoch, digest::Digest};
use std::time::Duration;
use uuid::Uuid;

/// A writer.
#[derive(Debug, Default)]
pub struct Writer {
    /// What it is about to have written.
    pub intent: Option<Intent>,
    attempt: u64,
    asked: bool,
    /// Purges whose receipts were not complete yet.
    pub open: Vec<Uuid>,
    /// How many writes were answered.
    pub done: u64,
}

/// A write.
#[derive(Debug, Clone)]
pub struct Intent {
    /// Its idempotency key.
    pub key: String,
    /// What is to be written.
    pub what: What,
    /// The newest epoch that had been answered to anybody when it was sent first.
    pub after: Epoch,
    /// On which branch of the log.
    pub branch: u32,
}

/// What is to be written.
#[derive(Debug, Clone)]
pub enum What {
    /// A purge.
    Purge {
        /// Or hard.
        soft: bool,
        /// What it names.
        named: Vec<Named>,
    },
    /// A policy.
    Policy {
        /// Its bundle's.
        digest: Digest,
        /// A site beside those that are always there.
        more: Option<String>,
        /// Compare and set.
        base: bool,
    },
}

/// What a purge names, as people say it.
#[derive(Debug, Clone, Copy)]
pub enum Named {
    /// Everything.
    All,
    /// A site.
    Site(usize),
    /// A path of it.
    Url(usize, &'static str),
    /// A path of it and all below.
    Prefix(usize, &'static str),
    /// A tag of it.
    Tag(usize, &'static str),
}

/// What a writer is answered.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    /// It is written, there.
    Done {
        /// The entry.
        id: Uuid,
        /// Where it stands.
        epoch: Epoch,
        /// On which branch of the log.
        branch: u32,
    },
    /// It was not written, and the writer has to think again.
    Refused,
    /// Nobody knows, or not now: 503.
    Failed,
}

impl<R: Rules> World<R> {
    /// A writer has something to write.
    pub fn write(&mut self, writer: usize) {
        let is_free = self
            .writers
            .get(writer)
            .is_some_and(|writer| writer.intent.is_none());
        // Edges that saw more than a log that was put back wait until it has passed them.
        let is_called = !self.calm || self.replica.store.state.position.epoch <= self.passes;
        if is_free && is_called {
            let intent = self.think(writer);
            if let Some(writer) = self.writers.get_mut(writer) {
                writer.intent = Some(intent);
            }
            self.ask_again(writer);
        }
        let pause = self
            .random
            .span(self.plan.write_pause / 2, self.plan.write_pause * 2);
        self.put(pause, Event::Write(writer));
    }

    fn think(&mut self, writer: usize) -> Intent {
        self.next_key += 1;
        let key = format!("writer-{writer}/{}", self.next_key);
        let is_first = self.replica.store.state.head.is_none();
        let what = if is_first || self.random.permille(150) {
            let more = self
                .random
                .permille(400)
                .then(|| format!("more-{}", self.random.below(3)));
            What::Policy {
                digest: Digest::of_parts([key.as_bytes()]),
                more,
                base: self.random.permille(300),
            }
        } else {
            let count = if self.random.permille(200) { 3 } else { 1 };
            let named: Vec<_> = (0..count).map(|_| self.name()).collect();
            // Most purges follow a change of what they name; some come for no reason.
            for named in &named {
                self.publish_named(*named);
            }
            What::Purge {
                soft: self.random.permille(200),
                named,
            }
        };
        Intent {
            key,
            what,
            after: self.oracle.newest_answered(self.branch),
            branch: self.branch,
        }
    }

    fn name(&mut self) -> Named {
        let site = self.random.index(SITES.len());
        let path = PATHS
            .get(self.random.index(PATHS.len()))
            .copied()
            .unwrap_or("/");
        match self.random.below(20) {
            0 => Named::All,
            1 | 2 => Named::Site(site),
            3..=6 => Named::Prefix(site, path),
            7..=11 => Named::Tag(
                site,
                TAGS.get(self.random.index(TAGS.len()))
                    .copied()
                    .unwrap_or("red"),
            ),
            _ => Named::Url(site, path),
        }
    }

    fn publish_named(&mut self, named: Named) {
        for object in 0..OBJECTS {
            let (site, path) = (
                crate::origin::site_of(object),
                crate::origin::path_of(object),
            );
            let changes = match named {
                Named::All => self.random.permille(300),
                Named::Site(own) => own == site && self.random.permille(400),
                Named::Url(own, named) => own == site && path == named,
                Named::Prefix(own, named) => {
                    own == site && latencify_conf::path::has_segment_prefix(path, named)
                }
                Named::Tag(own, tag) => {
                    let tags = self.origin.tags(object, self.origin.now(object));
                    own == site && crate::origin::names(tags).any(|has| has == tag)
                }
            };
            if changes && self.random.permille(850) {
                self.publish(object);
            }
        }
    }

    /// The write that an attempt is about; none: it is past.
    pub fn intent(&self, writer: usize, attempt: u64) -> Option<Intent> {
        let writer = self
            .writers
            .get(writer)
            .filter(|writer| writer.attempt == attempt)?;
        writer.intent.clone()
    }

    fn ask_again(&mut self, writer: usize) {
        let Some(state) = self
            .writers
            .get_mut(writer)
            .filter(|writer| writer.intent.is_some())
        else {
            return;
        };
        state.attempt += 1;
        state.asked = true;
        let attempt = state.attempt;
        let (reaches, tires) = (self.random.millis(0..20), self.random.millis(500..4000));
        self.put(reaches, Event::WriterAsks(writer, attempt));
        self.put(tires, Event::WriterTires(writer, attempt));
    }

    /// A writer has waited long enough.
    pub fn writer_tires(&mut self, writer: usize, attempt: u64) {
        if self.intent(writer, attempt).is_some() {
            self.ask_again(writer);
        }
    }

    /// A writer hears an answer.
    pub fn writer_hears(&mut self, writer: usize, attempt: u64, reply: Reply) {
        let Some(intent) = self.intent(writer, attempt) else {
            return;
        };
        match reply {
            Reply::Failed => {}
            Reply::Refused => self.settle(writer),
            // The log was put back, or moved, while the answer was on its way.
            Reply::Done { branch, .. } if branch != self.branch => self.settle(writer),
            Reply::Done { id, epoch, .. } => {
                let in_the_past = self.lies(Lie::AnsweredInThePast);
                let told = if in_the_past { intent.after } else { epoch };
                self.oracle.answered(&intent, id, told, self.branch);
                if self.lies(Lie::AnsweredTwice) {
                    let another = Epoch(epoch.0 + 1);
                    self.oracle.answered(&intent, id, another, self.branch);
                }
                self.tell("write answered", &[writer as u64, epoch.0], || {
                    format!("writer {writer}: {} at epoch {epoch}", intent.key)
                });
                self.settle(writer);
                if matches!(intent.what, What::Purge { .. })
                    && let Some(state) = self.writers.get_mut(writer)
                {
                    state.open.push(id);
                    self.put(Duration::ZERO, Event::AskReceipt(writer));
                }
            }
        }
    }

    fn settle(&mut self, writer: usize) {
        if let Some(writer) = self.writers.get_mut(writer) {
            writer.intent = None;
            writer.done += 1;
        }
    }

    /// A writer asks for the receipts of its purges.
    pub fn ask_receipts(&mut self, writer: usize) {
        let Some(open) = self
            .writers
            .get_mut(writer)
            .map(|writer| std::mem::take(&mut writer.open))
        else {
            return;
        };
        let mut still_open = Vec::new();
        for id in open {
            match self.receipt(id) {
                None if self.oracle.is_lost(id) => {}
                None => still_open.push(id),
                Some(receipt) => {
                    self.judge_acks(&receipt);
                    if receipt.complete {
                        if receipt.those(ReceiptState::Fenced).next().is_some() {
                            self.fault(Fault::Fenced);
                        }
                        let epoch = receipt.epoch.0;
                        self.tell("receipt complete", &[epoch], || {
                            let edge = |(process, judged): &(
                                latencify_conf::change::ProcessId,
                                latencify_control::fleet::judgement::Judgement,
                            )| {
                                format!("{}: {:?}", process.0.as_u128(), judged.state)
                            };
                            let edges: Vec<_> = receipt.edges.iter().map(edge).collect();
                            format!("epoch {epoch}: {}", edges.join(", "))
                        });
                        self.oracle.completed(id, self.now);
                    } else {
                        self.faults.add_many(Fault::Held, receipt.is_held.into());
                        still_open.push(id);
                    }
                }
            }
        }
        let is_done = still_open.is_empty();
        if let Some(writer) = self.writers.get_mut(writer) {
            writer.open.extend(still_open);
        }
        if !is_done {
            let again = self.random.millis(20..400);
            self.put(again, Event::AskReceipt(writer));
        }
    }
}
